"""Memory that a run does not need until its next transaction is the system's again.

glibc keeps tens of MB of what an engine had, until something needs them. And of the code of libraries, which is mapped
from their files, all stays that was ever called: 65 MB after the first transaction, though trading calls little of it.
What is called again comes from the system's cache of files, some thousand pages in a few ms.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["give_back"]

_MAPS: Final = Path("/proc/self/smaps")
_CODE: Final = "r-xp"
_WRITTEN: Final = "Anonymous:"
"""How much of a mapping is not as in its file: a debugger's breakpoints, say, or code that was made while running."""


def give_back() -> None:
    """Return freed memory, and pages of code, to the system. Nothing where system or C library have no such call."""
    libc = ctypes.PyDLL(None)  # which keeps the lock of the interpreter: nobody unloads a library meanwhile
    trim, advise = getattr(libc, "malloc_trim", None), getattr(libc, "madvise", None)
    if trim is not None:
        trim(0)
    if advise is not None:
        for begin, end in _code():
            advise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)


def _code() -> Iterator[tuple[int, int]]:
    """Where code lies that is as it is in its file, all of it: addresses, the second one behind it."""
    text = ""
    with contextlib.suppress(OSError):
        text = _MAPS.read_text()
    span = ""
    for line in text.splitlines():
        first, *others = line.split(maxsplit=5)
        if not first.endswith(":"):
            span = first if others[0] == _CODE and others[-1].startswith("/") else ""
        elif span and first == _WRITTEN and others[0] == "0":
            begin, _, end = span.partition("-")
            yield int(begin, 16), int(end, 16)
