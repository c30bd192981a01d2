"""Price history of a market: minute candles. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

__all__ = ["MINUTE_MS", "Candle", "CandleSeries"]

ZERO = Decimal(0)
MINUTE_MS = 60_000
KEEP_CANDLES = 3000


@dataclass(slots=True)
class Candle:
    """Prices of a period that begins at `start_ms`; volume (base coin) and turnover (USDT) if they were traded."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    turnover: Decimal = ZERO


class CandleSeries:
    """Minute candles of one price. Each opens where the one before closed, so a quiet minute has a candle, too."""

    def __init__(self) -> None:
        self.candles: deque[Candle] = deque(maxlen=KEEP_CANDLES)
        self._end_ms = 0

    def add(self, price: Decimal, now_ms: int, size: Decimal = ZERO, value: Decimal = ZERO) -> None:
        """Note the present price; `size` and `value` are given when it was traded."""
        candles = self.candles
        if not candles:
            self._open(price, now_ms)
        else:
            self.roll(now_ms)
        candle = candles[-1]
        if price > candle.high:
            candle.high = price
        elif price < candle.low:
            candle.low = price
        candle.close = price
        if size:
            candle.volume += size
            candle.turnover += value

    def roll(self, now_ms: int) -> None:
        """Begin the candle of this minute, if there was one before, and those of minutes that nobody looked at."""
        if self.candles and now_ms >= self._end_ms:
            for start_ms in range(max(self._end_ms, now_ms - KEEP_CANDLES * MINUTE_MS), now_ms + 1, MINUTE_MS):
                self._open(self.candles[-1].close, start_ms)

    def clear(self) -> None:
        self.candles.clear()

    def _open(self, price: Decimal, now_ms: int) -> None:
        start = now_ms // MINUTE_MS * MINUTE_MS
        self._end_ms = start + MINUTE_MS
        self.candles.append(Candle(start, price, price, price, price))
