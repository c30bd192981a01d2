"""The client of a supervisor's control socket (see `socket_protocol`). Loads no asyncio, to keep `status` quick."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gridbot.doors.bounded_json import JsonMistake, read_json
from supervisor.control.socket_protocol import LONGEST_ANSWER, UNTIL, Json, encode, kernel_path, socket_path
from supervisor.status.other_version import as_ours, is_other, sentence

__all__ = [
    "AFAR_S",
    "ControlClient",
    "ControlError",
    "Denied",
    "Failed",
    "NotRunning",
    "Refused",
    "Unanswered",
    "answered_by",
]

AGAIN_S: Final = 0.05
AFAR_S: Final = 10.0
"""How long an answer that another host of a fleet gives may take: to be heard of, taken, and given."""
LATER: Final = {"worker": "; what it has begun goes on, and what it has not read by now it will not carry out"}


class ControlError(Exception):
    """Base of the ways in which a request can fail."""


class NotRunning(ControlError):
    """No supervisor listens for this data directory."""


class Unanswered(ControlError):
    """A supervisor is there, but no answer came in time: its own, or that of the worker it asked."""


class Refused(ControlError):
    """The supervisor answered that it will not or cannot do it; `kind` tells some refusals apart."""

    kind = ""


class Denied(Refused):
    """It was understood, and cannot be done as things are: somebody else has the account, or it is busy."""


class Failed(Refused):
    """A fault of ours: it raised what nobody expected; how much of it was done is not known."""


class ControlClient:
    """A blocking connection to the supervisor of `data_dir`; opened at the first request, usable in `with`.

    `who` is whom it asks for, where that is somebody else than the user of this process (`operator_name`).
    """

    def __init__(self, data_dir: Path | str, *, timeout: float = 5.0, who: str = "") -> None:
        self._data_dir = Path(data_dir)
        self._timeout = timeout
        self._who = {"who": who} if who else {}
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self.farewell: Json = {}

    def request(self, op: str, *, timeout: float | None = None, **fields: Any) -> Json:
        """Send a request and wait for its answer, `timeout` seconds (None: the client's own timeout).

        Raises NotRunning, Unanswered or Refused (with the supervisor's words).
        """
        connection = self._connect()
        connection.settimeout(self._timeout if timeout is None else timeout)
        try:
            answer = _answer(self._ask(connection, encode({"op": op, **self._who, **fields})))
        except ValueError as error:
            self.close()
            raise Unanswered(f"what listens in {self._data_dir} is no supervisor of this version: {error}") from None
        except TimeoutError:
            self.close()
            raise Unanswered(
                f"the supervisor in {self._data_dir} did not answer {op!r} in time{LATER.get(op, '')}"
            ) from None
        except OSError as error:
            self.close()
            raise NotRunning(f"the supervisor in {self._data_dir} went away: {error}") from None
        if not answer.get("ok"):
            kind, text = _kind_of(answer), str(answer.get("error", "refused without a reason"))
            if kind in (Refused, Failed) and op not in ("ping", "status"):  # it may not know what was asked for
                other = self.other_version(str(fields.get("name", "")))
                text += f". {other}" if other else ""
            refusal = kind(text)
            if isinstance(refusal, Refused):
                refusal.kind = str(answer.get("kind", ""))
            raise refusal
        return dict(answer)

    def other_version(self, command: str = "") -> str:
        """Which other version than ours answers here, in words; empty for ours, and when nobody answers.

        `command` is what it has refused: where that can be given without a supervisor, the words say how.
        """
        try:
            about = self.ping()
            if not is_other(about):
                return ""
            with contextlib.suppress(ControlError, LookupError, TypeError):
                status = self.request("status")["status"]
                about = {**status["supervisor"], "time": status["time"]}
            return sentence(about, command)
        except ControlError:
            return ""

    def ping(self) -> Json:
        return self.request("ping")

    def status(self) -> Json:
        """The status model of `supervisor.status.model`, as this version reads it (`status.other_version`)."""
        return as_ours(dict(self.request("status")["status"]))

    def why(self, account: str, strategy: str = "", *, timeout: float | None = None) -> Json:
        """What the worker of an account says of the orders that are missing (`gridbot.worker.explanations`).

        Of an account that another host of a fleet has it takes up to `AFAR_S` until that one has answered."""
        return dict(self.request("why", timeout=timeout, account=account, strategy=strategy)["why"])

    def running_config(self, account: str) -> Json:
        """What an account runs with, without secrets (`gridbot.config.snapshots.account_snapshot`)."""
        return dict(self.request("config", account=account)["config"] or {})

    def settings(self) -> Json:
        """All in force and where each value comes from, without secrets (`supervisor.status.config_sections`)."""
        return self.request("settings")

    def stop(self, *, mode: str | None = None, force: bool = False) -> Json:
        """Ask for the end; returns at once. `wait_closed` waits for it."""
        return self.request("stop", mode=mode, force=force)

    def worker(
        self, account: str, name: str, args: Json | None = None, *, wait_s: float = 5.0, takes_s: float = 0.0
    ) -> Json:
        """A command for the worker of one account, such as pause; the worker gets `wait_s` seconds to take it.

        `takes_s`: how long it may take from then on (`Command.takes_s`).
        """
        waits_s = wait_s + takes_s + self._timeout
        fields = {"account": account, "name": name, "args": args or {}, "wait_s": wait_s}
        return self.request("worker", timeout=waits_s, **fields, **{UNTIL: time.monotonic() + waits_s})

    def wait_closed(self, timeout: float) -> bool:
        """Whether the supervisor closed this connection within `timeout` seconds: its children are gone by then.

        `farewell` then has what it said last to one who had asked for the end.
        """
        if self._socket is None:
            return True
        self._socket.settimeout(timeout)
        try:
            while said := self._socket.recv(1 << 16):
                self._buffer += said
        except TimeoutError:
            return False
        except OSError:
            pass
        with contextlib.suppress(ValueError, TypeError):  # killed before it said anything, or in the middle
            self.farewell = dict(read_json(self._buffer))
        self.close()
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(self._timeout)
            try:
                with kernel_path(socket_path(self._data_dir)) as path:
                    self._reach(connection, path)
            except TimeoutError:
                connection.close()
                raise Unanswered(f"the supervisor in {self._data_dir} does not answer") from None
            except PermissionError as error:
                connection.close()
                raise PermissionError(error.errno, error.strerror, str(self._data_dir)) from None
            except OSError as error:
                connection.close()
                raise NotRunning(f"no supervisor runs in {self._data_dir}") from error
            self._socket = connection
        return self._socket

    def _reach(self, connection: socket.socket, path: str) -> None:
        """Connect. While the supervisor has too many to accept, the kernel says "try again" at once."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return connection.connect(path)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    text = f"the supervisor in {self._data_dir} is busy: too many connections wait"
                    raise Unanswered(text) from None
                time.sleep(AGAIN_S)

    def _ask(self, connection: socket.socket, request: bytes) -> bytes:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            return self._line(connection)  # a supervisor that is too busy says so before it hears what is asked
        return self._line(connection)

    def _line(self, connection: socket.socket) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionResetError("connection closed")
            self._buffer += data
            if len(self._buffer) > LONGEST_ANSWER:
                raise ValueError(f"expected an answer of at most {LONGEST_ANSWER:,} bytes, got more")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def answered_by(answer: Json) -> str:
    """Which other host of a fleet has carried it out, as the end of a sentence; "" for this one."""
    return f" (on host {answer['host']})" if answer.get("host") else ""


def _kind_of(answer: Json) -> type[Unanswered | Refused]:
    if answer.get("unanswered"):
        return Unanswered
    if answer.get("fault"):
        return Failed
    return Denied if answer.get("denied") else Refused


def _answer(line: bytes) -> Json:
    """ValueError when it is none."""
    try:
        answer = read_json(line, longest=LONGEST_ANSWER)
    except JsonMistake:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise ValueError(f'expected one JSON object with "ok" a line, got {line[:60]!r}')
    return answer
