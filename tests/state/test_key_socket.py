from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid

import pytest

from gridbot.state import key_socket
from gridbot.state.key_socket import ForeignHolder, take_socket
from gridbot.state.lock_directory import LockHeld

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")

HOLDER = """
import os, sys, time
from gridbot.state.key_socket import take_socket
if sys.argv[2] != "us":
    os.setuid(int(sys.argv[2]))
lock = take_socket(sys.argv[1])
print(os.getpid(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def name() -> str:
    return f"gridbot-test-{uuid.uuid4().hex}"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_socket, "_RETRY_S", 0.001)


def holder(name: str, user: str = "us") -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, name, user], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def test_another_process_of_ours_has_it_until_it_is_killed(name: str) -> None:
    process, pid = holder(name)
    with pytest.raises(LockHeld) as held:
        take_socket(name)
    assert held.value.holder == str(pid)
    process.kill()
    process.wait()
    lock = take_socket(name)
    assert lock is not None
    with pytest.raises(LockHeld, match=str(os.getpid())):
        take_socket(name)
    lock.close()
    again = take_socket(name)
    assert again is not None
    again.close()


def test_it_stays_held_however_often_others_ask(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder accepts no connection, so its queue fills: a restart loop of the other worker is enough."""
    monkeypatch.setattr(key_socket, "_BACKLOG", 2, raising=False)
    lock = take_socket(name)
    assert lock is not None
    for _ in range(20):
        with pytest.raises(LockHeld):
            take_socket(name)
    lock.close()
    again = take_socket(name)
    assert again is not None
    again.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_is_told_apart(name: str) -> None:
    process, pid = holder(name, "12345")
    with pytest.raises(ForeignHolder, match=f"process {pid} of uid 12345"):
        take_socket(name)
    process.kill()
    process.wait()


def test_one_that_does_not_answer_is_nobody_of_ours(name: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as squatter:
        squatter.bind(f"\0{name}")  # and never listens
        with pytest.raises(ForeignHolder, match="does not answer"):
            take_socket(name)


def test_elsewhere_there_are_no_such_sockets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert take_socket(name) is None
