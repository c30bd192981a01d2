"""The control socket: how the command line, the web process and tests talk to a running supervisor.

A unix socket `control.sock` in the data directory, mode 0600. Each request is one line of JSON `{"op": ...}`, each
answer one line `{"ok": true, ...}` or `{"ok": false, "error": text}`. A path that is too long for the kernel (about 100
bytes) is replaced by one in a private directory below the temporary directory, written into `control.path`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["ControlClient", "ControlError", "ControlServer", "NotRunning", "Refused", "Unanswered"]

log = logging.getLogger(__name__)

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[Json]]

SOCKET_NAME = "control.sock"
PATH_NAME = "control.path"
_LONGEST_PATH = 100
_LONGEST_LINE = 4 << 20


class ControlError(Exception):
    """Base of what a client can meet."""


class NotRunning(ControlError):
    """No supervisor listens for this data directory."""


class Unanswered(ControlError):
    """A supervisor is there, but no answer came in time."""


class Refused(ControlError):
    """The supervisor answered that it will not or cannot do it."""


def socket_path(data_dir: Path) -> Path:
    """Where a client has to look. The file need not exist."""
    direct = data_dir.absolute() / SOCKET_NAME
    if len(os.fsencode(direct)) <= _LONGEST_PATH:
        return direct
    with contextlib.suppress(OSError, ValueError):
        return Path((data_dir / PATH_NAME).read_text(encoding="utf-8").strip())
    return direct


class ControlServer:
    """Listens while it is open. `handler` answers one request; only the holder of the directory's lock may open it."""

    def __init__(self, data_dir: Path, handler: Handler) -> None:
        self._data_dir = data_dir
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}
        self._private: Path | None = None
        self._path: Path | None = None

    async def open(self) -> None:
        """Replaces whatever a dead supervisor left. Raises OSError."""
        self._path = self._free_path()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LONGEST_LINE)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            serving = [task for task in self._clients.values() if task is not None]
            for writer in self._clients:
                writer.close()
            if serving:
                _, busy = await asyncio.wait(serving, timeout=0.2)
                for task in busy:
                    task.cancel()
            self._server = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            (self._data_dir / PATH_NAME).unlink(missing_ok=True)

    def _free_path(self) -> Path:
        direct = self._data_dir.absolute() / SOCKET_NAME
        direct.unlink(missing_ok=True)
        record = self._data_dir / PATH_NAME
        with contextlib.suppress(OSError, ValueError):
            left = Path(record.read_text(encoding="utf-8").strip())
            if left.name == SOCKET_NAME and left.parent.name.startswith("gridbot-"):
                left.unlink(missing_ok=True)
                left.parent.rmdir()
        record.unlink(missing_ok=True)
        if len(os.fsencode(direct)) <= _LONGEST_PATH:
            return direct
        self._private = Path(tempfile.mkdtemp(prefix="gridbot-"))
        path = self._private / SOCKET_NAME
        record.write_text(f"{path}\n", encoding="utf-8")
        return path

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[writer] = asyncio.current_task()
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer, separators=(",", ":"), default=str).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):  # gone, a line beyond the limit, or the end
            pass
        finally:
            self._clients.pop(writer, None)
            writer.close()

    async def _answer(self, line: bytes) -> Json:
        try:
            request = json.loads(line)
        except ValueError as error:
            return {"ok": False, "error": f"expected one JSON object a line, got something else: {error}"}
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            return {"ok": False, "error": 'expected an object with a text "op", such as {"op": "ping"}'}
        try:
            return await self._handler(request)
        except Exception as error:  # the shell of a request: whatever is wrong with it must not reach the loop
            log.exception("request %r failed", request["op"])
            return {"ok": False, "error": f"unexpected {type(error).__name__}: {error}; the supervisor's log has it"}


class ControlClient:
    """A blocking connection to the supervisor of `data_dir`; opened at the first request, usable in `with`."""

    def __init__(self, data_dir: Path | str, *, timeout: float = 5.0) -> None:
        self._data_dir = Path(data_dir)
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = bytearray()

    def request(self, op: str, *, timeout: float | None = None, **fields: Any) -> Json:
        """Send and wait for the answer, `timeout` seconds if not the client's own timeout.

        Raises NotRunning, Unanswered or Refused (with the supervisor's words).
        """
        connection = self._connect()
        connection.settimeout(self._timeout if timeout is None else timeout)
        try:
            connection.sendall(json.dumps({"op": op, **fields}).encode() + b"\n")
            answer = json.loads(self._line(connection))
        except TimeoutError:
            self.close()
            raise Unanswered(f"the supervisor in {self._data_dir} did not answer {op!r} in time") from None
        except OSError as error:
            self.close()
            raise NotRunning(f"the supervisor in {self._data_dir} went away: {error}") from None
        if not answer.get("ok"):
            raise Refused(str(answer.get("error", "refused without a reason")))
        return dict(answer)

    def ping(self) -> Json:
        return self.request("ping")

    def status(self) -> Json:
        """The status model of `supervisor.health`."""
        return dict(self.request("status")["status"])

    def stop(self, *, mode: str | None = None, force: bool = False) -> Json:
        """Ask for the end; returns at once. `wait_closed` waits for it."""
        return self.request("stop", mode=mode, force=force)

    def worker(self, account: str, name: str, args: Json | None = None, *, wait_s: float = 5.0) -> Json:
        """A command for the worker of one account, such as pause; the worker gets `wait_s` seconds to answer."""
        fields = {"account": account, "name": name, "args": args or {}, "wait_s": wait_s}
        return self.request("worker", timeout=wait_s + self._timeout, **fields)

    def wait_closed(self, timeout: float) -> bool:
        """Whether the supervisor closed this connection within `timeout` seconds: its children are gone by then."""
        if self._socket is None:
            return True
        self._socket.settimeout(timeout)
        try:
            while self._socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
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
                connection.connect(str(socket_path(self._data_dir)))
            except TimeoutError:
                connection.close()
                raise Unanswered(f"the supervisor in {self._data_dir} does not answer") from None
            except OSError as error:
                connection.close()
                raise NotRunning(f"no supervisor runs in {self._data_dir}") from error
            self._socket = connection
        return self._socket

    def _line(self, connection: socket.socket) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            data = connection.recv(1 << 16)
            if not data:
                raise ConnectionResetError("connection closed")
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
