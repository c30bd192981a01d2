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
from typing import Any

from supervisor.control.control_client import (
    LONGEST_PATH,
    PATH_NAME,
    SOCKET_NAME,
    ControlClient,
    ControlError,
    NotRunning,
    Refused,
    Unanswered,
    socket_path,
)

__all__ = ["ControlClient", "ControlError", "ControlServer", "NotRunning", "Refused", "Unanswered", "socket_path"]

log = logging.getLogger(__name__)

Json = dict[str, Any]
Handler = Callable[[Json], Awaitable[Json]]

_LONGEST_LINE = 4 << 20


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
        if len(os.fsencode(direct)) <= LONGEST_PATH:
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
