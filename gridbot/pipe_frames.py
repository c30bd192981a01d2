"""Messages as `multiprocessing.Connection` writes them (a 4-byte big-endian length, or -1 and an 8-byte length, then a
pickle), for descriptors that do not block: at the top of the package because both ends of a pipe need it. Pure.

A connection cannot be used on such a descriptor. uvloop makes each one so that it watches, and then a message that does
not fit into the pipe, or has come by half, looks like the end of the other side.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from typing import Any

__all__ = ["FrameReader", "frame"]

Message = dict[str, Any]

_MAX_MESSAGE = 64 << 20


def frame(message: Message) -> bytes:
    """One message as `multiprocessing.Connection.send` would write it."""
    payload = pickle.dumps(message)
    if len(payload) > 0x7FFFFFFF:
        raise ValueError(f"a message of {len(payload)} bytes is too long for a pipe")
    return struct.pack("!i", len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into messages. Pure. Raises ValueError for a frame that nobody of ours sends."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that `data` completes."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        head, (size,) = 4, struct.unpack_from("!i", buffer)
        if size == -1:
            if len(buffer) < 12:
                return None
            head, (size,) = 12, struct.unpack_from("!Q", buffer, 4)
        if not 0 <= size <= _MAX_MESSAGE:
            raise ValueError(f"expected a message below {_MAX_MESSAGE} bytes, got the length {size}")
        if len(buffer) < head + size:
            return None
        message = pickle.loads(bytes(buffer[head : head + size]))  # noqa: S301 - our own process wrote it
        del buffer[: head + size]
        if not isinstance(message, dict):
            raise ValueError(f"expected a dict, got {type(message).__name__}")
        return message
