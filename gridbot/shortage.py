"""Which failures mean that the machine has no room just now: on the disk, in memory, or for another open file.

Such a failure passes when somebody makes room, and says nothing about the program. So a process that ends for it is
started again for as long as it takes. At the top of the package because worker and supervisor both ask. Pure.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

__all__ = ["is_shortage"]

_NUMBERS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE})


def is_shortage(error: BaseException) -> bool:
    """Whether this error, or the one it was raised from, is one of want of room."""
    return any(isinstance(one, OSError) and one.errno in _NUMBERS for one in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and all(found is not one for one in seen):
        seen.append(found)
        yield found
        found = found.__cause__
