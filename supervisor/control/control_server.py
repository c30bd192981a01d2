"""The server of the control socket (see `socket_protocol`): lines in, a handler's answers out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridbot import background
from supervisor.control.operator_name import peer_name
from supervisor.control.socket_protocol import (
    LONGEST_LINE,
    Json,
    encode,
    kernel_path,
    read_request,
    refused,
    socket_path,
    unanswered,
)

__all__ = ["CLIENTS", "ControlServer"]

Handler = Callable[[Json, str], Awaitable[Json]]
"""Takes a request and who sent it."""

CLIENTS: Final = 256
"""Connections at a time; each may hold two of the longest lines."""
IDLE_S: Final = 300.0
"""How long a connection may say nothing, or take for one line."""
READING_S: Final = 30.0
"""How long a client may take to read its answer."""


@dataclass(slots=True)
class _Client:
    task: asyncio.Task[Any] | None
    idle_since: float | None
    """None while its request is answered, or while it waits for the end."""


class ControlServer:
    """Listens from `open` to `close`; `handler` answers one request, and whoever has asked for the end is told
    `farewell` at the end. `left` hears of a guest whose connection has ended.

    Only the holder of the data directory's lock may open it.
    """

    def __init__(
        self,
        data_dir: Path,
        handler: Handler,
        farewell: Callable[[], Json] = dict,
        left: Callable[[str], object] = lambda guest: None,
    ) -> None:
        self._handler = handler
        self._left = left
        self._guests: dict[asyncio.StreamWriter, str] = {}
        self._farewell = farewell
        self._awaiting_end: dict[asyncio.StreamWriter, None] = {}
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, _Client] = {}
        self._path = socket_path(data_dir)
        self._inode: int | None = None
        self._named = contextlib.ExitStack()  # the name it listens at stays valid while it does

    async def open(self) -> None:
        """Listen, in place of a socket that a dead supervisor left, or of our own that has lost its name.

        Whoever is connected already stays so. Raises OSError.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        self._named.close()
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(self._named.enter_context(kernel_path(self._path)))
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LONGEST_LINE)
        self._inode = self._path.stat().st_ino

    def is_there(self) -> bool:
        """Whether a client still finds our socket: nobody has removed or replaced it."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            serving = [client.task for client in self._clients.values() if client.task is not None]
            for writer in self._awaiting_end:
                writer.write(encode(self._farewell()))
            for writer in self._clients:
                writer.close()
            if serving:
                _, busy = await asyncio.wait(serving, timeout=0.2)
                for task in busy:
                    task.cancel()
            self._server = None
        if self.is_there():
            self._path.unlink(missing_ok=True)
        self._named.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CLIENTS and not self._made_room():
            text = f"the supervisor is busy: {CLIENTS} requests are being answered; again in a moment"
            writer.write(encode(unanswered(text)))
            writer.close()
            return
        client = self._clients[writer] = _Client(asyncio.current_task(), time.monotonic())
        try:
            while line := await self._line(reader, writer):
                client.idle_since = None
                writer.write(await self._answer(line, writer))
                async with asyncio.timeout(READING_S):
                    await writer.drain()
                client.idle_since = None if writer in self._awaiting_end else time.monotonic()
        except TimeoutError:  # it stands still; closing would wait until it has read its answer
            writer.transport.abort()
        except (ConnectionError, ValueError, asyncio.CancelledError):  # gone, a line beyond the limit, or the end
            pass
        finally:
            self._clients.pop(writer, None)
            self._awaiting_end.pop(writer, None)
            guest = self._guests.pop(writer, None)
            writer.close()
            if guest is not None:
                self._left(guest)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        async with asyncio.timeout(None if writer in self._awaiting_end else IDLE_S):
            return await reader.readline()

    def _made_room(self) -> bool:
        """Close the connection that has been idle longest. False when none is."""
        idle = {writer: client.idle_since for writer, client in self._clients.items() if client.idle_since is not None}
        if not idle:
            return False
        longest = min(idle, key=idle.__getitem__)
        del self._clients[longest]
        longest.transport.abort()
        return True

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> bytes:
        """One line. A fault of ours is reported and refuses this request; the next one is answered again."""
        try:
            request = read_request(line)
            if isinstance(request, str):
                return encode(refused(request))
            answer = await self._handler(request, peer_name(writer.get_extra_info("socket")))
            if request["op"] == "stop" and answer.get("ok"):
                self._awaiting_end[writer] = None
            if request["op"] == "permits" and answer.get("ok"):
                self._guests[writer] = str(answer["guest"])
            return encode(answer)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            background.report("a request on the control socket", error)
            text = f"unexpected {type(error).__name__}: {error}; the supervisor's log has it"
            return encode({**refused(text), "fault": True})
