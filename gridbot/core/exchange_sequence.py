"""Which of two things that concern one symbol the exchange made first. Pure.

An exchange numbers what happens to a symbol (`seq`), and writes down its time. The number only grows: it tells the
order even when the exchange's clock was set back in between. A leg that never traded has the number -1, which is before
every other: its first fill may have an earlier time than its opening. The time tells the order where there is no number
(0), and where the two are far apart: no clock is set back by so much, so the exchange counts anew.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["CLOCK_STEP_MS", "Placed", "is_before"]

CLOCK_STEP_MS = 30_000
"""By how much (ms) an exchange's clock may be set back without changing the order of anything."""


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
