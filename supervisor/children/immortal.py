"""Makes all that a process has imported immortal, so that its forks share the pages that this is on.

CPython counts the references to an object in the object, so a fork that only uses an object writes to its page, and the
kernel copies it: most of what a worker had of its own were such copies. From Python 3.12 on an object can be immortal
(PEP 683): where the lower half of its count is all ones, nobody counts, and nobody frees it. The interpreter makes None
and its own types so; here everything becomes so that can be reached before the first fork. It lives until the end of
the process in any case. What a child makes is counted and freed as ever.

The count is written by its place in memory, which only versions that were looked at are trusted with (`is_known`); in
others, such as 3.11, nothing is done. An extension that was compiled for an older Python may move such a count all the
same; that is far from freeing anything: it has two thousand million before it.
"""

from __future__ import annotations

import ctypes
import gc
import socket
import sys
import sysconfig
from _io import _IOBase
from collections.abc import Iterable
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, FunctionType, GeneratorType
from typing import Any, Final

__all__ = ["is_known", "make_immortal"]

KNOWN: Final = ((3, 12), (3, 13))
"""Versions whose `Include/object.h` was read: a count of 64 bits is first in each object, and immortal is what has its
lower 32 bits negative. 3.14 has another layout."""
_COUNT_OF_IMMORTALS: Final = 0xFFFF_FFFF
_ALL_ONES: Final = -1
_PLACES: Final = 1 << 45
"""Of 32 bits each, in the memory that a process of 64 bits can have."""
_IN_USE: Final = frozenset((FrameType, GeneratorType, CoroutineType, AsyncGeneratorType, _IOBase, socket.socket))
"""Kinds of what belongs to something under way, or is closed when nobody has it any more."""


def is_known() -> bool:
    """Whether this interpreter keeps its counts where `make_immortal` would write."""
    return (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] in KNOWN
        and sys.byteorder == "little"
        and object.__basicsize__ == 16  # count and type: 64 bits, and no build for debugging
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and sys.getrefcount(None) == _COUNT_OF_IMMORTALS
    )


def make_immortal() -> int:
    """Make all objects immortal that are known now; how many. 0 where the interpreter's layout is not known.

    What a fork would write into them at its first use is written on the way: the hash of a text, the version of a type.
    """
    if not is_known():
        return 0
    counts = (ctypes.c_int32 * _PLACES).from_address(0)
    if not _can_be_made_so(counts):
        return 0
    done, found = 0, gc.get_objects()
    while found:
        fresh, beside = _marked(found, counts)
        done += len(fresh)
        found = gc.get_referents(*fresh)
        found += beside
    return done


def _can_be_made_so(counts: Any) -> bool:
    """Try it with one object, by what Python itself says of its count."""
    probe = object()
    place = id(probe) >> 2
    if counts[place] != sys.getrefcount(probe) - 1:
        return False
    counts[place] = _ALL_ONES
    others = [probe] * 100
    del others
    return sys.getrefcount(probe) == _COUNT_OF_IMMORTALS


def _marked(found: Iterable[object], counts: Any) -> tuple[list[object], list[object]]:
    """Those of `found` that were not immortal and are now; and what they refer to without telling the collector."""
    fresh: list[object] = []
    beside: list[object] = []
    in_use: dict[type, bool] = {}
    for each in found:
        place = id(each) >> 2
        if counts[place] < 0:
            continue
        kind = type(each)
        if kind not in in_use:
            in_use[kind] = not _IN_USE.isdisjoint(kind.__mro__)
        if in_use[kind]:
            continue
        counts[place] = _ALL_ONES
        fresh.append(each)
        if kind is str or kind is bytes:
            hash(each)
        elif kind is CodeType:
            beside += _parts_of_code(each)  # type: ignore[arg-type]  # by its kind
        elif kind is FunctionType:
            beside += (each.__name__, each.__qualname__)  # type: ignore[attr-defined]  # by its kind
        elif issubclass(kind, type):
            beside += (each.__name__, each.__qualname__)  # type: ignore[attr-defined]  # by its kind
            type.__getattribute__(each, "__init__")  # a look-up gives it its version
    return fresh, beside


def _parts_of_code(code: CodeType) -> tuple[object, ...]:
    return (
        code.co_consts,
        code.co_names,
        code.co_filename,
        code.co_name,
        code.co_qualname,
        code.co_linetable,
        code.co_exceptiontable,
    )
