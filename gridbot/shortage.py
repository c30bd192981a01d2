"""Which failures mean that the machine has no room just now: on the disk, in memory, for a thread or an open file.

Such a failure passes when somebody makes room, and says nothing about the program. So a process that ends for it is
started again for as long as it takes. At the top of the package because worker and supervisor both ask. Pure.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

__all__ = ["is_of_system", "is_shortage"]

_NUMBERS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_NO_THREAD: Final = "can't start new thread"
"""All that Python says of it."""

_NO_SPACE: Final = ("No space left on device", "Disk quota exceeded")
"""DuckDB has no number for it, and a failed commit, which puts rows into the file, is no error of files to it."""


def is_shortage(error: BaseException) -> bool:
    """Whether this error, or the one it was raised from, is one of want of room."""
    return any(_is_one(one) for one in _causes(error))


def is_of_system(error: BaseException) -> bool:
    """Whether the system refused something at the bottom of it: a file, a lock, a port, the network. It may pass."""
    return any(isinstance(one, OSError) for one in _causes(error))


def _is_one(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NUMBERS
    if type(error).__module__.lstrip("_").startswith("duckdb"):  # of any kind: the module need not be imported here
        return any(words in str(error) for words in _NO_SPACE)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and str(error) == _NO_THREAD)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and all(found is not one for one in seen):
        seen.append(found)
        yield found
        found = found.__cause__
