"""Fills the holes of a process's memory before it is forked, so that children put what they make on pages of their own.

Importing leaves free places between objects that stay. A child would put its first objects there, and each page with
one is copied as a whole: a worker's first 0.2 MB of small objects took 1.6 MB. What fills the holes is never read
again, so it is shared by all (some 2 MB), and new objects come close together.

Beside that, what a socket is read into stays in the heap (`keep_reads_in_heap`).
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["fill_holes", "keep_reads_in_heap"]

_POOL: Final = 16 * 1024
"""Bytes that CPython takes for objects of one size, at an address that is a multiple of it (`Objects/obmalloc.c`)."""
_HEAD: Final = 48
"""Bytes before the first object in it."""
_LARGEST_OF_POOLS: Final = 512
_LARGEST: Final = 64 * 1024
_MOST: Final = 50_000
"""Objects of one size; a memory that is laid out in another way than we know costs no more than that."""
_HEAD_OF_BYTES: Final = bytes.__basicsize__
_READ: Final = 256 * 1024
"""What asyncio asks a socket for at once, whatever there is."""


def keep_reads_in_heap() -> None:
    """Have glibc take the memory for each read of a socket from the heap, also in children: 1.3 µs and not 13.

    At first it maps pages for all that is larger than 128 kB and gives them back, with a fault for each read. It learns
    from the first such block that is freed at its full size, and those of asyncio are cut to what was read. A process
    that has imported much has learnt it from some file; this makes it certain.
    """
    bytes(_READ + 1024)


def fill_holes() -> list[object]:
    """Take all free places. Whoever calls keeps what is returned, for ever."""
    gc.collect()
    kept: list[object] = []
    for size in range(_HEAD_OF_BYTES // 16 * 16 + 16, _LARGEST_OF_POOLS + 1, 16):
        if not _fill_pools(size, kept):
            return []  # it would take 400 MB to find that out for each size
    _fill_heap(kept)
    return kept


def _fill_pools(size: int, kept: list[object]) -> bool:
    """Objects of one size, until some follow each other from the beginning of a pool: that one was empty.

    False where none is at the beginning of a pool: this is no such memory (PYTHONDEVMODE and PYTHONMALLOC have others).
    """
    row, last, has_pools = 0, 0, False
    for _ in range(_MOST):
        each = bytes(size - _HEAD_OF_BYTES)
        kept.append(each)
        if row and id(each) == last + size:
            row += 1
        else:
            row = id(each) % _POOL == _HEAD
        has_pools = has_pools or row > 0
        last = id(each)
        if row == 4:
            break
    return has_pools


def _fill_heap(kept: list[object]) -> None:
    """Larger ones, which the C library keeps: of each size until one comes after all that there was."""
    last = bytes(_LARGEST)
    kept.append(last)
    size = _LARGEST
    while size > _LARGEST_OF_POOLS:
        for _ in range(_MOST):
            each = bytes(size - _HEAD_OF_BYTES)
            kept.append(each)
            if id(each) > id(last):
                break
        size = min(size - 16, size * 9 // 10 // 16 * 16)
