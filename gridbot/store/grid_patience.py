"""Legs for which the memory was not enough: how small a step of theirs is, and how long each waits. Pure.

Such a leg comes behind all others, alone, with a step of a fourth, down to the smallest. Where that is not enough
either it waits: a minute, then twice as long each time, ten minutes at most. It is known until all of it is matched.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["FIRST_WAIT_S", "LEAST", "LONGEST_WAIT_S", "MORE", "Patience"]

LEAST: Final = 256
"""Executions of the smallest step."""
MORE: Final = 4
"""A step is so many times as large as the next smaller one."""
FIRST_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 600.0


@dataclass(slots=True)
class _Short:
    at_once: int
    wait_s: float = 0.0
    until: float = 0.0


class Patience:
    """Times are seconds of one clock. Legs are what tells them apart."""

    def __init__(self) -> None:
        self._short: dict[Hashable, _Short] = {}

    def waits(self, leg: Hashable, now: float) -> bool:
        return (short := self._short.get(leg)) is not None and now < short.until

    def at_once(self, leg: Hashable) -> int | None:
        """Executions of a step of this leg alone; None: as many as of any."""
        return None if (short := self._short.get(leg)) is None else short.at_once

    def failed(self, legs: Iterable[Hashable], at_once: int, now: float) -> list[Hashable]:
        """A step of these legs had no memory. Those that wait now for the first time."""
        first = []
        for leg in legs:
            if at_once > LEAST:
                self._short[leg] = _Short(max(LEAST, at_once // MORE))
                continue
            short = self._short.setdefault(leg, _Short(LEAST))
            if not short.wait_s:
                first.append(leg)
            short.wait_s = min(LONGEST_WAIT_S, 2 * short.wait_s or FIRST_WAIT_S)
            short.until = now + short.wait_s
        return first

    def keep(self, legs: Collection[Hashable]) -> None:
        """Others have nothing left to be matched."""
        self._short = {leg: short for leg, short in self._short.items() if leg in legs}
