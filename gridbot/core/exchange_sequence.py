"""Which of two things that concern one symbol the exchange made first. Pure.

An exchange numbers what happens to a symbol (`seq`), and writes down its time. The number only grows: it tells the
order even when the exchange's clock was set back in between. A leg that never traded has the number -1, which is before
every other: its first fill may have an earlier time than its opening. The time tells the order where there is no number
(0), and where the two are far apart: no clock is set back by so much, so the exchange counts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

__all__ = ["CLOCK_STEP_MS", "Placed", "has_later_number", "in_order", "is_before", "is_outdated"]

CLOCK_STEP_MS = 30_000
"""By how much (ms) an exchange's clock may be set back without changing the order of anything."""

T = TypeVar("T", bound="Placed")


class Placed(Protocol):
    """Something with an exchange time (ms) and a sequence number of its symbol: -1 before any trade, 0 for unknown."""

    @property
    def exchange_ts(self) -> int: ...

    @property
    def seq(self) -> int: ...


def is_before(one: Placed, other: Placed) -> bool:
    """Whether the exchange made `one` before `other`. False for what it made at once."""
    apart_ms = one.exchange_ts - other.exchange_ts
    if one.seq and other.seq and one.seq != other.seq and abs(apart_ms) <= CLOCK_STEP_MS:
        return one.seq < other.seq
    return apart_ms < 0


def is_outdated(one: Placed, known: Placed) -> bool:
    """Whether `one`, which came after `known`, was made before it all the same. A later number never was, by how much
    the exchange's clock may have been set back in between.
    """
    return not has_later_number(one, known) and is_before(one, known)


def has_later_number(one: Placed, other: Placed) -> bool:
    """Whether both have numbers, and that of `one` is the later."""
    return one.seq > other.seq != 0 != one.seq


def in_order(made: Iterable[T], symbol_of: Callable[[T], str]) -> list[T]:
    """The oldest first: those of a symbol as the exchange made them, and symbols among each other by their times."""
    rows = sorted(made, key=lambda each: each.exchange_ts)
    symbols: dict[str, list[T]] = {}
    for row in rows:
        own = symbols.setdefault(symbol_of(row), [])
        at = len(own)
        while at and is_before(row, own[at - 1]):
            at -= 1
        own.insert(at, row)
    following = {symbol: iter(own) for symbol, own in symbols.items()}
    return [next(following[symbol_of(row)]) for row in rows]
