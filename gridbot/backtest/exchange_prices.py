"""Trades and mark prices of the market, as the exchange of a backtest gets them: those that matter in their turn, all
others when somebody next looks.
"""

from __future__ import annotations

from collections.abc import Mapping

from gridbot.backtest.drive_line import Line, is_ahead
from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.quiet_stops import Margins, QuietStops
from gridbot.backtest.run_loop import RunLoop, Symbols
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import Place

__all__ = ["ExchangePrices"]


class ExchangePrices:
    """One per account. Of one moment the first line goes first."""

    def __init__(self, lines: Mapping[str, Line], loop: RunLoop, venue: RunVenue, stops: QuietStops) -> None:
        self._by_symbol, self._lines = lines, list(lines.values())
        self._loop, self._venue, self._stops = loop, venue, stops
        self._moved_ms = -1
        """Up to here (ms UTC) nobody of all lines has a price that the exchange has not."""
        self._margins: Margins | None = None
        """With which all lines were looked at last."""
        self.dues: tuple[Line, Line] | None = None
        """The lines with the next mark price and the next trade to look at, while they are the same."""

    def next_dues(self) -> tuple[Line, Line]:
        """Look for `dues`."""
        mark = trade = self._lines[0]
        for line in self._lines:
            if line.mark_due_us < mark.mark_due_us:
                mark = line
            if line.trade_due_us < trade.trade_due_us:
                trade = line
        self.dues = mark, trade
        return self.dues

    # ------------------------------------------------------------------ what the exchange gets

    def mark(self, line: Line) -> None:
        """A mark price is due that may liquidate the account."""
        ms = self._loop.now_us // 1000
        for other in self._lines:
            if ms > other.trades.next_ms or other.has_marks:
                self._move(other, ms, ms - (other.number > line.number))
        self._look_after(line, something_came=self._venue.mark(line.symbol))

    def trade(self, line: Line) -> None:
        """A trade is due that may fill an order or liquidate the account."""
        place = line.trade_stop
        assert place is not None
        ms = self._loop.now_us // 1000
        for other in self._lines:
            until_ms = ms + (other.number < line.number)
            if other is not line and (until_ms > other.trades.next_ms or other.has_marks):
                self._move(other, until_ms, ms)
        self._jump(line, place)
        line.trades.go_behind(place)
        self._look_after(line, something_came=self._venue.trade(line.symbol, line.feed, place))

    def move(self) -> None:
        """Give the exchange the newest prices of before now. None of them can change anything."""
        ms = -(-self._loop.now_us // 1000)
        if ms <= self._moved_ms:
            return
        next_ms = FAR
        for line in self._lines:
            if ms > line.trades.next_ms or line.has_marks:
                self._move(line, ms, ms - 1)
            line_ms = ms if line.has_marks else line.trades.next_ms
            if line_ms < next_ms:
                next_ms = line_ms
        self._moved_ms = next_ms

    def _move(self, line: Line, ms: int, marks_ms: int) -> None:
        """The trades before `ms` (UTC) met nobody, and the mark prices up to `marks_ms` liquidated nobody."""
        cursor, market = line.trades, self._venue.markets[line.symbol]
        count = cursor.go_before(ms)
        if count and cursor.seen is not None:
            opened = cursor.at
            if opened is None or cursor.seen.day != cursor.day:
                opened = line.feed.open(cursor.seen.day)
            market.jump(cursor.seen, count, opened)
        if market.has_marks:
            market.revalue(marks_ms)

    def _jump(self, line: Line, place: Place) -> None:
        """The trades before `place` met nobody; the exchange has the last of them."""
        cursor = line.trades
        if (cursor.day, cursor.index) != place:
            ms = line.feed.open(place.day).times[place.at]
            count = cursor.go_before(ms)
            if cursor.day == place.day and cursor.index < place.at:  # more of the same millisecond
                count += cursor.go_behind(Place(place.day, place.at - 1))
            if count and cursor.seen is not None:
                opened = line.feed.open(cursor.seen.day)
                self._venue.markets[line.symbol].jump(cursor.seen, count, opened)

    # ------------------------------------------------------------------ where to look next

    def look(self, symbols: Symbols) -> None:
        """Something has changed of these; of all, where others are the marks at which nobody is liquidated."""
        margins, lines = self._stops.margins(), self._lines
        if symbols is not None and margins is self._margins:
            lines = [self._by_symbol[symbol] for symbol in symbols]
        self._margins = margins
        for line in lines:
            if not (line.margins is margins and self._is_as_looked(line)):
                self._look_at(line, margins)

    def _look_after(self, line: Line, *, something_came: bool) -> None:
        """After a price of a line that was looked at."""
        if something_came:
            self.look((line.symbol,))
        else:
            self._look_at(line, self._stops.margins())

    def _is_as_looked(self, line: Line) -> bool:
        """Whether orders, and the next place that matters, are where they were when it was looked at last."""
        if line.nearest != self._venue.exchange.resting.nearest(line.symbol):
            return False
        if line.has_marks and line.mark_due_us <= self._venue.markets[line.symbol].marked_ms * 1000:
            return False
        return is_ahead(line.trade_stop, line.trades)

    def _look_at(self, line: Line, margins: Margins) -> None:
        line.margins, line.nearest = margins, self._venue.exchange.resting.nearest(line.symbol)
        wanted, cursor = self._stops.of_exchange(line.symbol, margins, line.nearest), line.trades
        mark_ms = self._stops.next_mark(line.symbol, margins)
        line.mark_due_us = FAR if mark_ms == FAR else mark_ms * 1000
        self.dues = None
        if wanted == line.trade_range and is_ahead(line.trade_stop, cursor):
            return
        line.trade_range = wanted
        line.trade_stop = place = cursor.next_outside(*wanted)
        line.trade_due_us = FAR if place is None else line.feed.open(place.day).times[place.at] * 1000
