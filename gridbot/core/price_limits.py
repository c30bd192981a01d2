"""The band that limit prices have to lie in (docs/bybit.md 3.13). Pure.

The exchange moves a price outside of it to the nearest allowed one, without a word.
"""

from __future__ import annotations

from collections import deque
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

__all__ = ["PREMIUM_WINDOW_MS", "SECOND_MS", "RollingMean", "first_counted_ms", "price_limits"]

ZERO = Decimal(0)
SECOND_MS = 1000
PREMIUM_WINDOW_MS = 30_000


class RollingMean:
    """Mean of what was added in the last seconds, forgotten second by second. Exact.

    Forgotten is only with the first of a new second, so that what counts follows from that one (`first_counted_ms`).
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._seconds: deque[tuple[int, Decimal, int]] = deque()  # second, sum, count
        self._sum = ZERO
        self._count = 0
        self.changes = 0

    def add(self, value: Decimal, now_ms: int) -> None:
        second, total, count = now_ms // SECOND_MS, ZERO, 0
        seconds = self._seconds
        if seconds and seconds[-1][0] == second:
            _, total, count = seconds.pop()
        else:
            since_ms = first_counted_ms(now_ms, self._window_ms)
            while seconds and seconds[0][0] * SECOND_MS < since_ms:
                _, old, gone = seconds.popleft()
                self._sum -= old
                self._count -= gone
        seconds.append((second, total + value, count + 1))
        self._sum += value
        self._count += 1
        self.changes += 1

    @property
    def value(self) -> Decimal:
        """The mean, 0 when nothing was added."""
        return self._sum / self._count if self._count else ZERO


def first_counted_ms(first_of_second_ms: int, window_ms: int = PREMIUM_WINDOW_MS) -> int:
    """From when on (ms) what was added counts for a `RollingMean`, in the second whose first came at that time."""
    return ((first_of_second_ms - window_ms) // SECOND_MS + 1) * SECOND_MS


def price_limits(
    mark: Decimal, index: Decimal, premium: Decimal, *, x: Decimal, y: Decimal, tick: Decimal
) -> tuple[Decimal, Decimal]:
    """(highest buy, lowest sell) on the tick. USDT; `x` and `y` are the instrument's ratios.

    `premium` is the mean of the book's middle less the mark over `PREMIUM_WINDOW_MS`.
    """
    highest = min(mark * (1 + y), max(index, mark * (1 + x) + max(ZERO, premium)))
    lowest = max(mark * (1 - y), min(index, mark * (1 - x) + min(ZERO, premium)))
    return (
        (highest / tick).to_integral_value(ROUND_FLOOR) * tick,
        (lowest / tick).to_integral_value(ROUND_CEILING) * tick,
    )
