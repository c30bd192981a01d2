"""What a service manager hears, whatever it gives us and whether or not it listens."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from supervisor.process.service_notify import ServiceManager


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_signs_of_life_come_at_half_the_time_and_words_when_they_change(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@gridbot-test-{os.getpid()}"
    variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0"))
        listener.setblocking(False)
        service = ServiceManager(variables)
        assert variables == {"HOME": "/"}, "no child can speak for us"
        service.ready()
        for now, state in (
            (100.0, "2 of 3"),
            (100.2, "2 of 3"),
            (110.0, "3 of 3"),
            (130.0, "3 of 3"),
            (131.0, "3 of 3"),
        ):
            service.turned(now, state)
        service.stopping()
        service.close()
        service.turned(200.0, "after the end")
        heard = [listener.recv(1000).decode() for _ in range(5)]
        with pytest.raises(BlockingIOError):
            listener.recv(1000)
    assert heard == ["READY=1", "STATUS=2 of 3\nWATCHDOG=1", "STATUS=3 of 3", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "1000"},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "x"},
        {"NOTIFY_SOCKET": "n" * 200},
    ],
)
def test_nobody_who_listens_is_no_fault(variables: dict[str, str]) -> None:
    service = ServiceManager(variables)
    service.ready()
    service.turned(1.0, "all run")
    service.stopping()
    service.close()


def test_the_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
        service.turned(1.0, "all run")
        assert listener.recv(1000) == b"STATUS=all run"
        service.close()
