"""The control socket by itself: lines in, lines out, and every way a client can be let down."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest

from supervisor.control.control_client import ControlClient, NotRunning, Refused, Unanswered
from supervisor.control.control_server import ControlServer
from supervisor.control.socket_protocol import socket_path


async def echo(request):
    match request["op"]:
        case "sleep":
            await asyncio.sleep(60)
        case "break":
            1 / 0  # noqa: B018
        case "no":
            return {"ok": False, "error": "not today"}
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


def test_requests_and_answers(served):
    data_dir, _ = served
    with ControlClient(data_dir) as client:
        for number in range(3):
            assert client.request("hello", number=number)["heard"] == {"op": "hello", "number": number}
        with pytest.raises(Refused, match="not today"):
            client.request("no")
        big = "x" * 1_000_000
        assert client.request("big", text=big)["heard"]["text"] == big


def test_an_answer_that_does_not_come(served):
    data_dir, _ = served
    with ControlClient(data_dir, timeout=0.05) as client, pytest.raises(Unanswered, match="'sleep' in time"):
        client.request("sleep")


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
        with pytest.raises(Refused, match="unexpected ZeroDivisionError"):
            client.request("break")
        assert client.request("hello")["ok"]
