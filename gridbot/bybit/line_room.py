"""How many WebSockets a process may still open: its part of what an address may (500 in five minutes). Pure.

Each account has up to three (private, public, trade), and a fleet that reconnects in a loop would exceed the limit for
all of them. So every process has an equal part of it, and who reconnects waits until there is room. The last ones of a
part are kept for what matters more: without the private stream an account is blind, without the public one it has no
prices, and without the trade socket its orders go by HTTP. Times are monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from gridbot.rolling_limit import RollingLimit

__all__ = ["ALL_LINES", "WINDOW_S", "LineRoom", "part_of"]

WINDOW_S: Final = 301.0
"""The exchange's five minutes, and what two clocks may differ over them."""
ALL_LINES: Final = 450
"""What all processes may open in that time: the exchange's 500 without a part for processes that start anew."""
LEAST: Final = 2
"""A worker cannot start with fewer: with more than 225 accounts an address is too small."""
KEPT: Final = {"private": 0, "public": 1, "trade": 2}
LOOK_AGAIN_S: Final = 1.0


def part_of(accounts: int) -> int:
    """Of one of so many accounts on the address."""
    return max(LEAST, ALL_LINES // max(1, accounts))


class LineRoom:
    """One per process; `most` in five minutes."""

    def __init__(self, most: int = ALL_LINES) -> None:
        self._limit = RollingLimit(most, WINDOW_S)

    def opened(self, now_s: float) -> None:
        """One is being opened. What a start needs does not wait, and counts."""
        self._limit.take(1, now_s)

    def wait_s(self, kind: str, now_s: float) -> float:
        """Seconds until one of this kind may be opened; above zero it is to be asked again then."""
        kept = min(KEPT[kind], self._limit.rate - 1)
        if self._limit.left(now_s) > kept:
            return 0.0
        return max(LOOK_AGAIN_S, self._limit.wait_s(now_s))
