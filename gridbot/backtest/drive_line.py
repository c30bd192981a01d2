"""What a drive knows of one symbol."""

from __future__ import annotations

from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.quiet_stops import Margins, Steady
from gridbot.backtest.symbol_feed import Cursor, Place, SymbolFeed

__all__ = ["Line", "earlier", "is_ahead"]


class Line:
    """One symbol: how far the exchange and the worker are, and where each has to look next."""

    __slots__ = (
        "feed",
        "fresh_us",
        "has_marks",
        "looked",
        "margins",
        "mark_due_us",
        "nearest",
        "number",
        "sees_next",
        "symbol",
        "tick_due_us",
        "tick_range",
        "tick_stop",
        "tickers",
        "trade_due_us",
        "trade_range",
        "trade_stop",
        "trades",
    )

    def __init__(self, number: int, symbol: str, feed: SymbolFeed) -> None:
        self.number = number
        self.symbol = symbol
        self.feed = feed
        self.trade_range = (-1, -1)
        self.tick_range = (-1, -1, 0)
        """For which the next stop is known; none yet."""
        self.sees_next = False
        """Whether the worker's next stop is the very next tick."""
        self.looked: Steady | None = None
        """What the worker's range follows from, while nothing but this can make it another."""
        self.has_marks = bool(feed.marks)
        self.margins: Margins | None = None
        self.nearest: tuple[int | None, int | None] = (None, None)
        """When its trades were looked at last."""
        self.mark_due_us = FAR
        self.fresh_us = -1
        """Up to when (µs UTC) it is known that its newest price is not old."""
        self.trades = Cursor(feed)
        self.tickers = Cursor(feed)
        self.trade_stop: Place | None = None
        self.trade_due_us = FAR
        self.tick_stop: Place | None = None
        self.tick_due_us = FAR

    def next_seen(self, low: int, high: int) -> Place | None:
        """The next tick outside of two prices (ticks) that is the last of its millisecond."""
        cursor = self.tickers
        place = cursor.next_outside(low, high)
        while place is not None:
            last = cursor.last_of_moment(place)
            price = self.feed.open(last.day).prices[last.at]
            if not low <= price <= high:
                return last
            place = cursor.next_outside(low, high, after=last)
        return None


def is_ahead(stop: Place | None, cursor: Cursor) -> bool:
    """Whether a cursor has not passed a stop."""
    return stop is None or stop >= (cursor.day, cursor.index)


def earlier(one: Place | None, other: Place | None) -> Place | None:
    """The first of two places; None is the end."""
    if one is None or other is None:
        return one or other
    return min(one, other)
