"""How many WebSockets a process may still open: its part of what an address may (500 in five minutes). Pure.

Each account has up to three (private, public, trade), and a fleet that reconnects in a loop would exceed the limit for
all of them. So every process has an equal part of it, and who reconnects waits until there is room. The last ones of a
part are kept for what matters more: without the private stream an account is blind, without the public one it has no
prices, and without the trade socket its orders go by HTTP. Times are monotonic seconds.

What a process has opened outlives it (`worker/line_file.py`): its successor has what is left of the part. When that is
too little for a start, there are `SPARE_STARTS` more in five minutes for all accounts, which the supervisor grants.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gridbot.budget.line_starts import ALL_LINES, LINES_OF_START
from gridbot.rolling_limit import RollingLimit

__all__ = ["ALL_LINES", "LEAST", "WINDOW_S", "LineRoom", "part_of"]

WINDOW_S: Final = 301.0
"""The exchange's five minutes, and what two clocks may differ over them."""
LEAST: Final = LINES_OF_START
KEPT: Final = {"private": 0, "public": 1, "trade": 2}
LOOK_AGAIN_S: Final = 1.0


def part_of(accounts: int) -> int:
    """Of one of so many accounts on the address."""
    return max(LEAST, ALL_LINES // max(1, accounts))


class LineRoom:
    """One per process; `most` in five minutes."""

    def __init__(self, most: int = ALL_LINES) -> None:
        self._limit = RollingLimit(most, WINDOW_S)
        self._opened: deque[float] = deque()
        self._keep: Callable[[Sequence[float]], object] = lambda times_s: None

    def keep_with(self, keep: Callable[[Sequence[float]], object]) -> None:
        """Have a function called with the times of all that count, at each new one."""
        self._keep = keep

    def earlier(self, times_s: Iterable[float]) -> None:
        """What earlier processes of this account have opened counts. Call it before anything is opened."""
        for each_s in sorted(times_s):
            self._take(each_s)

    def opened(self, now_s: float) -> None:
        """One is being opened. What a start needs does not wait here, and counts as far as there is room."""
        if self._take(now_s):
            self._keep(tuple(self._opened))

    def start_wait_s(self, now_s: float) -> float:
        """Seconds until a start may open what it needs."""
        if self._limit.left(now_s) >= min(LEAST, self._limit.rate):
            return 0.0
        return max(LOOK_AGAIN_S, self._opened[0] + WINDOW_S - now_s)

    def _take(self, at_s: float) -> bool:
        while self._opened and at_s - self._opened[0] >= WINDOW_S:
            self._opened.popleft()
        if not self._limit.take(1, at_s):
            return False
        self._opened.append(at_s)
        return True

    def wait_s(self, kind: str, now_s: float) -> float:
        """Seconds until one of this kind may be opened; above zero it is to be asked again then."""
        kept = min(KEPT[kind], self._limit.rate - 1)
        if self._limit.left(now_s) > kept:
            return 0.0
        return max(LOOK_AGAIN_S, self._limit.wait_s(now_s))
