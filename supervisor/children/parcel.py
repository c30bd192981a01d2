"""What a child is started with, as bytes and descriptors: values with sockets and ends of pipes in them.

`multiprocessing` passes a socket only to a process that it starts itself. Here each socket and each pipe end in a value
is left out of the bytes; its number stands there instead, and its descriptor travels beside them.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["pack", "unpack"]


def _taken(number: int, readable: bool, writable: bool) -> Any:
    """Stands in the bytes for a socket (neither readable nor writable) or a pipe end; `_Unpacker` puts its own here."""
    raise pickle.UnpicklingError("expected to be unpacked beside its descriptors")


class _Packer(pickle.Pickler):
    """By a table of types and no `persistent_id`, which is asked of each value: a configuration has thousands."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.descriptors: list[int] = []
        self.dispatch_table = copyreg.dispatch_table | {socket.socket: self._socket, Connection: self._end}

    def _socket(self, value: socket.socket) -> tuple[Any, ...]:
        return _taken, (self._number(value.fileno()), False, False)

    def _end(self, value: Connection[Any, Any]) -> tuple[Any, ...]:
        return _taken, (self._number(value.fileno()), value.readable, value.writable)

    def _number(self, descriptor: int) -> int:
        self.descriptors.append(descriptor)
        return len(self.descriptors) - 1


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, descriptors: Sequence[int]) -> None:
        super().__init__(file)
        self._descriptors = descriptors

    def find_class(self, module: str, name: str) -> Any:
        return self._take if (module, name) == (__name__, _taken.__name__) else super().find_class(module, name)

    def _take(self, number: int, readable: bool, writable: bool) -> Any:
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
