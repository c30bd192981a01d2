"""The supervisor's end of the pipes to one child: messages in and out without ever blocking its loop.

The child uses plain `multiprocessing` connections, a worker its `SupervisorPipe`. On this side the same wire format
(`gridbot/pipe_frames.py`) is read and written by hand on non-blocking descriptors: `Connection.recv` blocks on a child
that stopped half-way through a message, and `Connection.send` on one that does not read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from gridbot.pipe_frames import FrameReader, frame

__all__ = ["ChildPipe"]

Message = dict[str, Any]

_CHUNK = 1 << 16
_MAX_UNSENT = 1 << 20
_MOST_CHUNKS = 64


class ChildPipe:
    """Reads from `incoming`, writes to `outgoing` (the same object for a duplex pipe). Owns and closes both.

    `on_message` is called on the loop for each message; `on_closed` once: with "" when the child closed its end or
    died, otherwise with the reason why nothing that it sends can be read any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        incoming: Connection[Any, Any],
        outgoing: Connection[Any, Any],
        on_message: Callable[[Message], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._incoming = incoming
        self._outgoing = outgoing
        self._on_message = on_message
        self._on_closed = on_closed
        self._reader = FrameReader()
        self._unsent = bytearray()
        self._reading = True
        self._writing = False
        self._closed = False
        os.set_blocking(incoming.fileno(), False)
        os.set_blocking(outgoing.fileno(), False)
        loop.add_reader(incoming.fileno(), self._readable)

    def send(self, message: Message) -> bool:
        """Send now or as soon as the child reads. False when the child is gone or has not read for too long."""
        if self._closed or len(self._unsent) > _MAX_UNSENT:
            return False
        self._unsent += frame(message)
        return self._flush()

    def drain(self) -> None:
        """Read everything that is in the pipe now."""
        for _ in range(_MOST_CHUNKS):  # no child can keep us here by talking
            if not (self._reading and self._readable()):
                return

    def wait(self, seconds: float) -> None:
        """Until there is something to read, without the loop; not for longer than this."""
        wait([self._incoming], seconds)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._stop_reading()
        self._stop_writing()
        self._incoming.close()
        if self._outgoing is not self._incoming:
            self._outgoing.close()

    def _readable(self) -> bool:
        try:
            data = os.read(self._incoming.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it died before it read all of ours; what it had sent has come first
            self._end("")
            return False
        except OSError as error:
            self._end(str(error))
            return False
        if not data:
            self._end("")
            return False
        messages = self._reader.feed(data)
        while True:
            try:
                message = next(messages, None)
            except Exception as error:  # noqa: BLE001 - unpickling garbage may raise anything
                self._end(f"unreadable message: {error}")
                return False
            if message is None:
                return not self._closed
            self._on_message(message)

    def _end(self, text: str) -> None:
        if self._reading:
            self._stop_reading()
            self._on_closed(text)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._incoming.fileno())

    def _flush(self) -> bool:
        try:
            while self._unsent:
                sent = os.write(self._outgoing.fileno(), self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._outgoing.fileno(), self._flush)
            return True
        except OSError:
            self._unsent.clear()
            self._stop_writing()
            return False
        self._stop_writing()
        return True

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._outgoing.fileno())
