"""A ticker's figures of the last 24 hours and of the last hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.paper.market.market_history import MINUTE_MS, Candle

__all__ = ["DayFigures"]

ZERO = Decimal(0)
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class DayFigures:
    """Prices and `turnover` in USDT, `volume` in base coin. Until a day has passed they go back to the start."""

    def __init__(self, price: Decimal) -> None:
        self.volume = ZERO
        self.turnover = ZERO
        self.reopen(price)

    def reopen(self, price: Decimal) -> None:
        """Begin again at a price; what was traded stays."""
        self.prev_24h = self.prev_1h = self.high = self.low = price

    def moved(self, price: Decimal) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)

    def traded(self, size: Decimal, value: Decimal) -> None:
        self.volume += size
        self.turnover += value

    def forget(self, candles: Sequence[Candle], now_ms: int) -> None:
        """Leave out what is older than an hour or a day; call it once a minute with the minutes traded."""
        if not candles or candles[0].start_ms > now_ms - HOUR_MS:
            return
        self.prev_1h = next(c.open for c in candles if c.start_ms > now_ms - HOUR_MS)
        if candles[0].start_ms > now_ms - DAY_MS:
            return
        day = [candle for candle in candles if candle.start_ms > now_ms - DAY_MS]
        self.prev_24h = day[0].open
        self.high, self.low = max(c.high for c in day), min(c.low for c in day)
        self.volume = sum((c.volume for c in day), ZERO)
        self.turnover = sum((c.turnover for c in day), ZERO)
