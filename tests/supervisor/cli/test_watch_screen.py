"""`status --watch` in a real terminal: a pty, read as a terminal shows it. The supervisor is a real control server."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest

from supervisor.control.control_server import ControlServer
from tests.supervisor.status.test_watch_view import account, status, strategy

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 30.0


class Fleet:
    """A control server in a thread that answers with `model`."""

    def __init__(self, data_dir: Path) -> None:
        self.model = status(account("alice", strategy("btc"), strategy("eth", "paused", reason="by the operator")),
                            account("bob", strategy("sol", realised="-3")))  # fmt: skip
        for row in self.model["accounts"]:
            row |= {"groups": [], "freshness": "active"}
        self._data_dir = data_dir
        self._loop = asyncio.new_event_loop()
        self._opened = threading.Event()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        assert self._opened.wait(DEADLINE_S)

    async def _serve(self) -> None:
        server = ControlServer(self._data_dir, self._answer, dict)
        await server.open()
        self._opened.set()
        await self._ended.wait()
        await server.close()

    async def _answer(self, request: dict[str, Any], *_: object) -> dict[str, Any]:
        return {"ok": True, "status": self.model}

    def end(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()


class Terminal:
    """A process in a terminal of this size, and what the terminal shows."""

    def __init__(self, data_dir: Path, *words: str, width: int = 80, height: int = 24) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._master, slave = pty.openpty()
        self.size(width, height)
        self.before = termios.tcgetattr(self._master)
        command = [sys.executable, "-m", "supervisor", "status", "--watch", "--data-dir", str(data_dir), *words]
        env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "COLUMNS": "40", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave, preexec_fn=_own_terminal
        )
        os.close(slave)

    def size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.screen.resize(height, width)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, timeout_s: float = 0.05) -> bool:
        """Take in what has come; False when nothing did."""
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # the process has closed the terminal
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def wait(self, condition: Callable[[list[str]], object], what: str) -> list[str]:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            self.read()
            text = [line.rstrip() for line in self.screen.display]
            if condition(text):
                return text
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n" + "\n".join(text)

    def end(self) -> int:
        """Wait for the end of the process; its exit code. The terminal has to be as it was."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < deadline, "it does not end"
        while self.read():
            pass
        assert self.raw.count(b"\x1b[?1049h") == self.raw.count(b"\x1b[?1049l"), "the usual screen is back"
        assert self.raw.rfind(b"\x1b[?25l") < max(self.raw.rfind(b"\x1b[?25h"), self.raw.rfind(b"\x1b[?12l"))
        assert termios.tcgetattr(self._master)[:4] == self.before[:4], "what is typed is shown again"
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.end()


@contextlib.contextmanager
def watching(tmp_path: Path, *words: str) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, *words)
    try:
        yield terminal
    finally:
        terminal.close()


def has(*words: str) -> Callable[[list[str]], bool]:
    return lambda text: all(any(word in line for line in text) for word in words)


def order(text: list[str]) -> list[str]:
    return [line.split()[1] for line in text[3:] if line.split()[1:2] in (["btc"], ["eth"], ["sol"])]


def test_a_session_with_keys_a_resize_a_lost_supervisor_and_q(tmp_path: Path, fleet: Fleet) -> None:
    with watching(tmp_path) as terminal:
        text = terminal.wait(has("alice", "sol", "q quit"), "the table")
        assert text[0].startswith("gridbot 0.1.0  running 1h01m  healthy")
        assert order(text) == ["btc", "eth", "sol"]
        terminal.press("sr")
        terminal.wait(lambda text: order(text) == ["sol", "eth", "btc"], "another order")
        terminal.press("/bob")
        terminal.wait(has("filter: bob_", "1 of 3 strategies"), "what is typed")
        terminal.press("\x1b")
        terminal.wait(lambda text: len(order(text)) == 3, "the filter to go")
        terminal.press("p")
        terminal.wait(lambda text: order(text) == ["eth"], "the problems")
        terminal.press("p")
        terminal.size(160, 12)
        os.kill(terminal.process.pid, signal.SIGWINCH)
        wide = terminal.wait(has("SYMBOL", "by the operator"), "the columns that fit now")
        assert wide[11].startswith("q quit")
        drawn = len(terminal.raw)
        fleet.model["accounts"][1]["strategies"][0]["last_price"] = "77777.7"
        terminal.wait(has("77777.7"), "a new price")
        assert b"\x1b[2J" not in terminal.raw[drawn:], "only what has changed is sent"
        assert len(terminal.raw) - drawn < 300
        fleet.end()
        terminal.wait(has("LOST: ", "what is shown is"), "the loss")
        assert has("77777.7", "sol")(terminal.screen.display)
        terminal.press("q")
        assert terminal.end() == 3


@pytest.mark.parametrize(("way", "code"), [("q", 0), ("\x03", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_is_given_back_on_every_way_out(tmp_path: Path, fleet: Fleet, way: Any, code: int) -> None:
    with watching(tmp_path, "alice") as terminal:
        text = terminal.wait(has("btc", "eth"), "the table")
        assert "sol" not in order(text)
        if isinstance(way, str):
            terminal.press(way)
        else:
            os.kill(terminal.process.pid, way)
        assert terminal.end() in (code, 6 if code == 0 else code)


def test_a_name_that_nobody_has_ends_it_with_a_sentence(tmp_path: Path, fleet: Fleet) -> None:
    with watching(tmp_path, "alise") as terminal:
        assert terminal.end() == 2
        assert "did you mean alice" in terminal.raw.decode().replace("\r\n", " ")


def test_without_a_supervisor_it_says_so_until_q(tmp_path: Path) -> None:
    with watching(tmp_path) as terminal:
        terminal.wait(has("no supervisor runs in"), "the news")
        terminal.press("q")
        assert terminal.end() == 3
