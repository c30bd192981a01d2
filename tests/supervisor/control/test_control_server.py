"""The control socket by itself: lines in, lines out, and every way a client can be let down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import threading

import pytest

from supervisor.control import control_server
from supervisor.control.control_client import ControlClient, Failed, NotRunning, Refused, Unanswered
from supervisor.control.control_server import CLIENTS, ControlServer
from supervisor.control.operator_name import user_at_host
from supervisor.control.socket_protocol import socket_path
from supervisor.polling import wait_until

asleep = []


async def echo(request, peer):
    match request["op"]:
        case "sleep":
            asleep.append(request)
            await asyncio.sleep(60)
        case "break":
            1 / 0  # noqa: B018
        case "no":
            return {"ok": False, "error": "not today"}
        case "who":
            return {"ok": True, "peer": peer}
    return {"ok": True, "heard": request}


@pytest.fixture
def served(tmp_path):
    """A server on a loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)

    server = ControlServer(tmp_path, echo)
    (tmp_path / "control.sock").write_text("left by a dead supervisor")
    call(server.open())
    yield tmp_path, lambda: call(server.close())
    call(server.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_the_handler_is_told_who_asks(served):
    data_dir, _ = served
    with ControlClient(data_dir) as client:
        assert client.request("who")["peer"] == user_at_host(os.getuid())
    with ControlClient(data_dir, who="telegram:7") as client:
        assert client.request("hello")["heard"] == {"op": "hello", "who": "telegram:7"}


def test_requests_and_answers(served):
    data_dir, _ = served
    with ControlClient(data_dir) as client:
        for number in range(3):
            assert client.request("hello", number=number)["heard"] == {"op": "hello", "number": number}
        with pytest.raises(Refused, match="not today"):
            client.request("no")
        big = "x" * 250_000
        assert client.request("big", text=big)["heard"]["text"] == big


def test_an_answer_that_does_not_come(served):
    data_dir, _ = served
    with ControlClient(data_dir, timeout=0.05) as client, pytest.raises(Unanswered, match="'sleep' in time"):
        client.request("sleep")


def connected(data_dir, sends=b""):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    while connection.connect_ex(str(socket_path(data_dir))) == errno.EAGAIN:
        pass  # more at a time than the server has accepted
    connection.sendall(sends)
    return connection


def is_over(connection):
    with contextlib.suppress(ConnectionResetError):  # what we sent was not read to the end
        return connection.recv(10) == b""
    return True


def test_a_crowd_that_says_nothing_makes_room_for_who_asks(served):
    """A thousand connections with most of a line of 4 MB each held 600 MB of the supervisor."""
    data_dir, _ = served
    crowd = [connected(data_dir, b"x" * 10_000) for _ in range(CLIENTS + 10)]
    with ControlClient(data_dir, timeout=10) as client:
        assert client.ping()["heard"] == {"op": "ping"}
        assert is_over(crowd[0]), "the oldest had to go"
        assert client.ping()["ok"], "who asked last stays"
    for connection in crowd:
        connection.close()


def test_a_supervisor_with_too_much_to_answer_says_so(served):
    data_dir, _ = served
    asleep.clear()
    crowd = [connected(data_dir, b'{"op": "sleep"}\n') for _ in range(CLIENTS)]
    wait_until(lambda: len(asleep) == CLIENTS or None, timeout_s=10, every_s=0.02)
    with ControlClient(data_dir, timeout=10) as client, pytest.raises(Unanswered, match=f"busy: {CLIENTS} requests"):
        client.ping()
    for connection in crowd:
        connection.close()


def test_a_backlog_that_is_full_is_no_supervisor_that_does_not_run(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path(tmp_path)))
        listener.listen(0)
        busy = pytest.raises(Unanswered, match="is busy: too many connections wait")
        with connected(tmp_path), ControlClient(tmp_path, timeout=0.1) as client, busy:
            client.ping()


def test_a_client_that_says_nothing_or_does_not_read_is_let_go(served, monkeypatch):
    monkeypatch.setattr(control_server, "IDLE_S", 0.05)
    monkeypatch.setattr(control_server, "READING_S", 0.05)
    data_dir, _ = served
    with connected(data_dir, b'{"op": "half') as half:
        assert is_over(half)
    line = json.dumps({"op": "long", "text": "x" * 200_000}).encode() + b"\n"
    with connected(data_dir) as deaf, pytest.raises(ConnectionError):
        deaf.sendall(line * 100)


@pytest.mark.parametrize("answer", [b"hello\n", b"[1]\n", b'{"ok": 1}\n', b"\xff\n", b"[" * 100_000 + b"\n", b"{}\n"])
def test_a_client_survives_what_is_no_supervisor(tmp_path, answer):
    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path(tmp_path)))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        with ControlClient(tmp_path) as client, pytest.raises(Unanswered, match="is no supervisor of this version"):
            client.ping()
        thread.join()


@pytest.mark.parametrize("line", [b"hello\n", b"[1]\n", b'{"op": 3}\n', b"\xff\xfe\n"])
def test_rubbish_is_answered_in_words(served, line):
    data_dir, _ = served
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path(data_dir)))
        connection.sendall(line)
        answer = json.loads(connection.makefile().readline())
    assert answer["ok"] is False
    assert "expected" in answer["error"]


def test_nobody_there(tmp_path):
    with pytest.raises(NotRunning, match="no supervisor runs in"):
        ControlClient(tmp_path).ping()
    (tmp_path / "control.sock").write_text("")
    with pytest.raises(NotRunning):
        ControlClient(tmp_path).ping()


def test_the_end_of_the_server_is_noticed(served):
    data_dir, close = served
    with ControlClient(data_dir) as client:
        client.request("hello")
        assert client.wait_closed(0.05) is False
        close()
        assert client.wait_closed(10) is True
    with pytest.raises(NotRunning):
        ControlClient(data_dir).ping()


def test_a_socket_that_another_has_put_in_the_place_of_ours_stays(served):
    data_dir, close = served
    path = socket_path(data_dir)
    kept = path.with_name("kept")
    path.rename(kept)  # its inode stays in use
    path.write_text("another's")
    close()
    assert path.read_text() == "another's"


def test_a_request_that_breaks_the_handler_is_answered(served):
    data_dir, _ = served
    with ControlClient(data_dir) as client:
        with pytest.raises(Failed, match="unexpected ZeroDivisionError"):
            client.request("break")
        assert client.request("hello")["ok"]
