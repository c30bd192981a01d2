"""Puts the code that children run side by side, once it has learnt, so that what it goes on counting is on few pages.

From Python 3.12 on nobody counts references to what was there before a fork (`immortal`), and code that has run before
it need not be written anew (`gridbot.rehearsal`). What is left are the counters of instructions that found nothing to
learn: they count on for as long as they run, each in its own function's code, and these lie as they were imported,
three thousand among twenty thousand. A worker copied 1,000 pages for them, 300 when they are side by side.

A code object that nobody frees and that refers to nothing by its own place can be copied as it is, with all that it has
learnt. Afterwards functions, and code that makes functions, lead to the copy; the old one stays for whoever has it.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any, Final

from supervisor.children.immortal import is_known

__all__ = ["gather", "learn"]

_SIZE: Final = 16
"""Where an object of variable size says how many items it has; a tuple's follow after that."""
_ITEMS: Final = 24
_LINE: Final = 64
"""Each copy begins with a line of the processor's cache."""
_PAGE: Final = 4096

_learnt: list[CodeType] = []
_regions: list[Any] = []
"""The memory of the copies. It lives until the end of the process."""


def learn(work: Callable[[], object]) -> None:
    """Do `work`, and remember whose code was written to meanwhile. Raises what it raises."""
    before = {id(code): (code, hash(_body(code))) for code in _all_code()}
    work()
    _learnt.extend(code for code, seen in before.values() if hash(_body(code)) != seen)


def gather() -> int:
    """Copy what was learnt side by side; how many code objects. Call it when all of them are immortal.

    0 where the interpreter's layout is not known, or somebody watches what runs: that is noted in the code.
    """
    learnt = [code for code in _learnt if sys.getrefcount(code) == sys.getrefcount(None)]
    _learnt.clear()
    place = _place_of_code()
    if not learnt or not place or _is_watched():
        return 0
    copies = _copied(sorted(learnt, key=lambda code: (code.co_filename, code.co_firstlineno)))
    for holder in _holders(place):
        copy = copies.get(holder.value)
        if copy is not None:
            holder.value = copy
    return len(learnt)


def _place_of_code() -> int:
    """Where in a function its code stands; 0 where that is not known."""
    constants = _all_code.__code__.co_consts
    if not is_known() or _word(id(constants) + _ITEMS) != id(constants[0]):
        return 0
    places = range(_SIZE, FunctionType.__basicsize__, 8)
    found = [each for each in places if _word(id(gather) + each) == id(gather.__code__)]
    return found[0] if len(found) == 1 else 0


def _is_watched() -> bool:
    watchers = [sys.gettrace(), sys.getprofile()]
    if sys.version_info >= (3, 12):
        watchers += [sys.monitoring.get_tool(number) for number in range(6)]
    return any(watchers)


def _copied(learnt: list[CodeType]) -> dict[int, int]:
    """Where each of them has its copy, by where it is."""
    sizes = [_size(code) for code in learnt]
    region = ctypes.create_string_buffer(sum(size + _LINE for size in sizes) + _PAGE)
    _regions.append(region)
    place, copies = -(-ctypes.addressof(region) // _PAGE) * _PAGE, {}
    for code, size in zip(learnt, sizes, strict=True):
        ctypes.memmove(place, id(code), size)
        copies[id(code)] = place
        place += -(-size // _LINE) * _LINE
    return copies


def _holders(place_of_code: int) -> Iterator[ctypes.c_uint64]:
    """Every word that leads to a code object: of functions, and of the constants of other code."""
    functions = [each for each in gc.get_objects() if type(each) is FunctionType]
    for code in _all_code():
        for number, each in enumerate(code.co_consts):
            if type(each) is CodeType:
                yield ctypes.c_uint64.from_address(id(code.co_consts) + _ITEMS + 8 * number)
    for function in functions:
        yield ctypes.c_uint64.from_address(id(function) + place_of_code)


def _all_code() -> Iterator[CodeType]:
    """The code of all functions, and of those that they make."""
    seen: set[int] = set()
    found = [each.__code__ for each in gc.get_objects() if type(each) is FunctionType]
    while found:
        code = found.pop()
        if id(code) not in seen:
            seen.add(id(code))
            yield code
            found += [each for each in code.co_consts if type(each) is CodeType]


def _body(code: CodeType) -> bytes:
    """What the interpreter runs, with its counters."""
    body: bytes = code._co_code_adaptive  # type: ignore[attr-defined]  # CPython's own, from 3.11 on
    return body


def _size(code: CodeType) -> int:
    """In bytes."""
    return CodeType.__basicsize__ + CodeType.__itemsize__ * _word(id(code) + _SIZE)


def _word(place: int) -> int:
    return ctypes.c_uint64.from_address(place).value
