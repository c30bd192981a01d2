"""What a child is started with, as bytes and descriptors: values with sockets and ends of pipes in them.

`multiprocessing` passes a socket only to a process that it starts itself. Here each socket and each pipe end in a value
is left out of the bytes; its number stands there instead, and its descriptor travels beside them.
"""

from __future__ import annotations

import io
import pickle
import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["pack", "unpack"]


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.descriptors: list[int] = []

    def persistent_id(self, value: Any) -> tuple[int, bool, bool] | None:
        if isinstance(value, socket.socket):
            rights = None
        elif isinstance(value, Connection):
            rights = value.readable, value.writable
        else:
            return None
        self.descriptors.append(value.fileno())
        return (len(self.descriptors) - 1, *(rights or (False, False)))


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, descriptors: Sequence[int]) -> None:
        super().__init__(file)
        self._descriptors = descriptors

    def persistent_load(self, stood_for: tuple[int, bool, bool]) -> Any:
        number, readable, writable = stood_for
        descriptor = self._descriptors[number]
        if not (readable or writable):
            return socket.socket(fileno=descriptor)
        return Connection(descriptor, readable=readable, writable=writable)


def pack(value: Any) -> tuple[bytes, list[int]]:
    """The bytes, and the descriptors in the order in which they stand in `value`; these stay the caller's."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(value)
    return file.getvalue(), packer.descriptors


def unpack(data: bytes, descriptors: Sequence[int]) -> Any:
    """The value. Its sockets and pipe ends own the descriptors from now on."""
    return _Unpacker(io.BytesIO(data), descriptors).load()
