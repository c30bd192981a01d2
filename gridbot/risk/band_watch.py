"""Whether the exchange would move an order's price: the price band as our own tickers tell it. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Instrument, Side, TickerEvent
from gridbot.core.price_limits import PREMIUM_WINDOW_MS, SECOND_MS, RollingMean, price_limits

__all__ = ["BandWatch"]

_BUY = Side.BUY


class BandWatch:
    """One per symbol. Without the rule's ratios, or a mark price, nothing is beyond it: the exchange's answer tells."""

    def __init__(self, instrument: Instrument) -> None:
        self._tick = instrument.tick_size
        self._x, self._y = instrument.price_limit_x, instrument.price_limit_y
        self._premium = RollingMean(PREMIUM_WINDOW_MS)
        self._ticker: TickerEvent | None = None
        self._second = -1

    def note(self, ticker: TickerEvent) -> None:
        """A price has come. The premium is sampled with the first of each second of the exchange's time, since this is
        called for each."""
        self._ticker = ticker
        second = ticker.exchange_ts // SECOND_MS
        if second == self._second:
            return
        bid, ask, mark = ticker.bid1_price, ticker.ask1_price, ticker.mark_price
        if bid is not None and ask is not None and mark is not None:
            self._second = second
            self._premium.add((bid + ask) / 2 - mark, ticker.exchange_ts)

    def is_beyond(self, side: Side, price: Decimal) -> bool:
        """Whether a limit price (USDT) lies outside the band."""
        ticker, x, y = self._ticker, self._x, self._y
        if ticker is None or ticker.mark_price is None or x is None or y is None:
            return False
        mark = ticker.mark_price
        if price <= mark if side is _BUY else price >= mark:
            return False  # the usual case
        index, premium = ticker.index_price or mark, self._premium_at(ticker)
        highest, lowest = price_limits(mark, index, premium, x=x, y=y, tick=self._tick)
        return price > highest if side is _BUY else price < lowest

    def _premium_at(self, ticker: TickerEvent) -> Decimal:
        """The premium (USDT) with the newest price."""
        return self._premium.value
