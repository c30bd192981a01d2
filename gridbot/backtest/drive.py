"""The order of events of one account's backtest: what is under way, prices that reach the worker, trades of the market.

At one moment: first all that is due in the loop (requests and answers that arrive, pushes, timers, fundings), in the
order in which it was asked for; then the prices that reach the worker; then mark prices, then trades. A price reaches
the worker `ticker_ms` after its trade; of several trades of a symbol in one millisecond it sees the last one.

Whenever something is due, exchange and worker have the newest price from before. So nothing depends on how many prices
in between were looked at, and those at which nothing can happen are jumped over (`quiet_stops`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Final

from gridbot.backtest.drive_line import Line, earlier, is_ahead
from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.quiet_stops import Margins, QuietStops
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_loop import RunLoop, Symbols
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import Place, SymbolFeed

__all__ = ["Drive"]

LOOKS_BETWEEN: Final = 512
"""Looks between two calls of `on_progress`."""
KEPT_TICKS: Final = 100_000  # of 25 bytes each


class Drive:
    """`run` goes on to the end; `on_progress` gets the time (µs UTC) now and then, and ends the run by an exception."""

    def __init__(
        self,
        loop: RunLoop,
        venue: RunVenue,
        worker: RunAccount,
        feeds: Mapping[str, SymbolFeed],
        options: Options,
        on_progress: Callable[[int], None],
    ) -> None:
        self._loop, self._venue, self._worker = loop, venue, worker
        self._lines = [Line(number, *each) for number, each in enumerate(feeds.items())]
        self._by_symbol = {line.symbol: line for line in self._lines}
        self._ticker_us = round(options.ticker_ms * 1000)
        self._stops = QuietStops(venue, worker, every_tick=options.every_tick)
        self._on_progress = on_progress
        loop.before_exchange, loop.before_worker = self.move, self._before_worker
        worker.ahead = self
        self._until_us = FAR
        self._was_ready = False
        self._sees_all = worker.looks_across
        self._let_go_at = 0
        self._unsteady: dict[str, Line] = {}
        """Those at which more than what happens to themselves may make another price the next to wait for."""
        self._over = self._all_heard = (-1, -1)
        """The newest moment (µs UTC) at which prices reached the worker, and up to which line; at which it had all."""
        self._heard: tuple[int, Symbols] = -1, None
        """The moment (µs UTC) of the newest call of the worker in the present turn, and what it was about."""
        self._told_ms = self._moved_ms = -1
        """Up to here (ms UTC) nobody of all lines has a price that the worker, or the exchange, has not."""
        self._margins: Margins | None = None
        """With which all lines were looked at last."""
        self._dues: tuple[Line, Line, Line] | None = None
        """The lines with the next tick, mark and trade to look at, while they are the same."""
        self.looks = 0
        """Prices that somebody looked at, and moments at which something was due."""

    @property
    def ticks(self) -> int:
        """Trades that have happened."""
        return sum(line.trades.passed for line in self._lines)

    def run(self, until_us: int) -> None:
        """Go on to a time (µs UTC)."""
        loop = self._loop
        self._until_us = until_us
        self._look_at_trades_of(None)
        while True:
            due_us = loop.next_us()
            heap_us = FAR if due_us is None else due_us
            tick, mark, trade = self._dues or self._next_dues()
            now_us = min(heap_us, tick.tick_due_us, mark.mark_due_us, trade.due_us)
            if now_us >= until_us:
                break
            self.looks += 1
            if self.looks % LOOKS_BETWEEN == 0:
                self._on_progress(now_us)
                self._let_go()
            if heap_us == now_us:
                self._after(*loop.turn(now_us))
            elif tick.tick_due_us == now_us:
                loop.now_us, loop.about = now_us, (tick.symbol,)
                self._over = now_us, tick.number
                self._after(False, True, self._tick(tick))
            elif mark.mark_due_us == now_us:
                loop.now_us, self._over = now_us, (now_us, len(self._lines))
                if self._mark(mark):
                    self._look_at_trades_of((mark.symbol,))
                else:
                    self._look_at_trades(mark, self._stops.margins())
            else:
                loop.now_us, self._over = now_us, (now_us, len(self._lines))
                if self._trade(trade):
                    self._look_at_trades_of((trade.symbol,))
                else:
                    self._look_at_trades(trade, self._stops.margins())
        loop.now_us = until_us
        self.move()
        self._before_worker(None)

    def _next_dues(self) -> tuple[Line, Line, Line]:
        """Of one moment the first line goes first."""
        lines = self._lines
        tick = mark = trade = lines[0]
        for line in lines:
            if line.mark_due_us < mark.mark_due_us:
                mark = line
            if line.tick_due_us < tick.tick_due_us:
                tick = line
            if line.due_us < trade.due_us:
                trade = line
        self._dues = tick, mark, trade
        return self._dues

    @property
    def quiet_until_us(self) -> int:
        """When (µs UTC) somebody next has to see a price, or the run ends, while nothing happens but that."""
        tick, mark, trade = self._dues or self._next_dues()
        return min(self._until_us, tick.tick_due_us, mark.mark_due_us, trade.due_us)

    def leaves_us(self, symbol: str, ticks: tuple[int, int], marks: tuple[Decimal, Decimal]) -> int:
        """When (µs UTC) a trade that exchange or worker have not seen is first outside of two prices (ticks), or the
        mark price of two others (USDT); far away where none is."""
        line, market, found = self._by_symbol[symbol], self._venue.markets[symbol], FAR
        for cursor in (line.trades, line.tickers):
            place = cursor.next_outside(*ticks)
            if place is not None:
                found = min(found, line.feed.open(place.day).times[place.at] * 1000)
        ms = market.marks_leave(*marks) if market.has_marks else FAR
        return found if ms == FAR else min(found, ms * 1000)

    def _let_go(self) -> None:
        """Of the columns no more is in memory than of so many ticks."""
        ticks = self.ticks
        if ticks - self._let_go_at >= KEPT_TICKS:
            self._let_go_at = ticks
            for line in self._lines:
                line.feed.let_go()

    # ------------------------------------------------------------------ one step

    def _mark(self, line: Line) -> bool:
        ms = self._loop.now_us // 1000
        for other in self._lines:  # of one moment the first line goes first
            if ms > other.trades.next_ms or other.has_marks:
                self._move(other, ms, ms - (other.number > line.number))
        return self._venue.mark(line.symbol)

    def _trade(self, line: Line) -> bool:
        place = line.trade_stop
        assert place is not None
        ms = self._loop.now_us // 1000
        for other in self._lines:
            until_ms = ms + (other.number < line.number)
            if other is not line and (until_ms > other.trades.next_ms or other.has_marks):
                self._move(other, until_ms, ms)
        self._jump(line, place)
        line.trades.go_behind(place)
        return self._venue.trade(line.symbol, line.feed, place)

    def _jump(self, line: Line, place: Place) -> None:
        """The trades before `place` met nobody; the exchange has the last of them."""
        cursor = line.trades
        if (cursor.day, cursor.index) != place:
            ms = line.feed.open(place.day).times[place.at]
            count = cursor.go_before(ms)
            if cursor.day == place.day and cursor.index < place.at:  # more of the same millisecond
                count += cursor.go_behind(Place(place.day, place.at - 1))
            if count and cursor.seen is not None:
                self._venue.markets[line.symbol].jump(cursor.seen, count)

    def _tick(self, line: Line) -> tuple[int, int]:
        """Returns what was seen then: time (ms UTC) and number of the line."""
        place = line.tick_stop
        assert place is not None
        ms = line.feed.open(place.day).times[place.at]
        if self._sees_all:
            self.hear_all()
        self._hear(line, ms)
        line.tickers.go_behind(place)
        line.looked = None  # its answer may be another
        self._worker.on_ticker(self._venue.markets[line.symbol].ticker(place, self._loop.now_us))
        return ms, line.number

    def move(self) -> None:
        """Give the exchange the newest prices of before now. None of them can change anything."""
        ms = -(-self._loop.now_us // 1000)
        if ms <= self._moved_ms:
            return
        next_ms = FAR
        for line in self._lines:
            if ms > line.trades.next_ms or line.has_marks:
                self._move(line, ms, ms - 1)
            next_ms = min(next_ms, ms if line.has_marks else line.trades.next_ms)
        self._moved_ms = next_ms

    def _before_worker(self, about: Symbols) -> None:
        """Likewise the worker, those of the symbols that it looks at next."""
        worker = self._worker
        if not worker.is_ready:
            self.hear_all()
        elif about is None or self._sees_all or worker.something_waits:
            worker.touch(None)
            self.hear_all()
        elif about is not self._heard[1] or self._loop.now_us != self._heard[0]:
            self._heard = self._loop.now_us, about
            worker.touch(about)
            for symbol in about:
                line = self._by_symbol[symbol]
                ms = self._behind_ms(line)
                if ms > line.tickers.next_ms:
                    self._hear(line, ms)

    def _behind_ms(self, line: Line) -> int:
        """The prices before this time (ms UTC) have reached the worker. Of the present moment these are those of lines
        that have had their turn: with no latency, what follows from a price or a trade comes at the same moment."""
        since_us = self._loop.now_us - self._ticker_us
        over_us, number = self._over
        if over_us == self._loop.now_us and line.number < number:
            return since_us // 1000 + 1
        return -(-since_us // 1000)

    def hear_all(self) -> None:
        """Give the worker the newest prices of before now."""
        if self._over[0] == self._loop.now_us:
            if self._over != self._all_heard:
                self._all_heard = self._over
                for line in self._lines:
                    self._hear(line, self._behind_ms(line))
            return
        ms = -(-(self._loop.now_us - self._ticker_us) // 1000)
        if ms <= self._told_ms:
            return
        next_ms = FAR
        for line in self._lines:
            if ms > line.tickers.next_ms:
                self._hear(line, ms)
            next_ms = min(next_ms, line.tickers.next_ms)
        self._told_ms = next_ms

    def are_fresh(self, most_s: float) -> bool:
        """Whether no symbol's newest price of before now, told or not, is older than so many seconds."""
        now_us = self._loop.now_us
        for line in self._lines:
            if line.fresh_us < now_us:
                ms = -(-(now_us - self._ticker_us) // 1000)
                line.fresh_us = (line.tickers.fresh_until(ms, round(most_s * 1000)) * 1000) + self._ticker_us - 1
                if line.fresh_us < now_us:
                    return False
        return True

    def age_s(self, symbol: str) -> float:
        """How long (seconds) the newest price of before now has been with the worker, told or not."""
        now_us = self._loop.now_us
        newest_ms = self._by_symbol[symbol].tickers.newest_before(-(-(now_us - self._ticker_us) // 1000))
        return FAR if newest_ms is None else (now_us - newest_ms * 1000 - self._ticker_us) / 1e6

    def hear(self, symbol: str) -> None:
        """Give the worker the newest price of before now, of one symbol."""
        line = self._by_symbol[symbol]
        self._hear(line, self._behind_ms(line))

    def _move(self, line: Line, ms: int, marks_ms: int) -> None:
        """The trades before `ms` (UTC) met nobody, and the mark prices up to `marks_ms` liquidated nobody."""
        cursor, market = line.trades, self._venue.markets[line.symbol]
        count = cursor.go_before(ms)
        if count and cursor.seen is not None:
            market.jump(cursor.seen, count)
        if market.has_marks:
            market.revalue(marks_ms)

    def _hear(self, line: Line, ms: int) -> None:
        """The ticks before `ms` (UTC) change nothing but the price."""
        cursor = line.tickers
        if cursor.go_before(ms) and cursor.seen is not None and self._worker.is_ready:
            self._tell(line, cursor.seen)

    def _tell(self, line: Line, place: Place) -> None:
        """A price that the worker has had for a while."""
        arrived_us = line.feed.open(place.day).times[place.at] * 1000 + self._ticker_us
        now_us, self._loop.now_us = self._loop.now_us, arrived_us
        self._worker.on_quiet_ticker(self._venue.markets[line.symbol].ticker(place, arrived_us))
        self._loop.now_us = now_us

    def _after(self, exchange: bool, worker: bool, seen: tuple[int, int] | None = None) -> None:
        """Something has happened to one of them, or both: where it has to look next may be elsewhere.

        `seen` is what `_tick` returned; without it each line is brought up to date before it is looked at.
        """
        self._heard = -1, None
        if worker:
            account = self._worker
            if account.is_ready and not self._was_ready:
                self._begin()
            if self._was_ready:
                account.plan()
                waits = account.something_waits
                for line in self._to_look_at(waits=waits):
                    if not self._sees_as_looked(line, waits=waits):
                        if seen is None:
                            self.hear(line.symbol)
                        self._look_at_tickers(line, seen, waits=waits)
        if exchange:
            self._look_at_trades_of(self._loop.exchange_touched.take())

    def _to_look_at(self, *, waits: bool) -> Collection[Line]:
        """The lines at which the next tick that the worker has to see may be another than it was."""
        touched = self._worker.touched.take()
        if touched is None or waits or self._sees_all or len(self._lines) == 1:
            return self._lines
        return {**self._unsteady, **{symbol: self._by_symbol[symbol] for symbol in touched}}.values()

    def _begin(self) -> None:
        """The worker is ready: it has the newest prices."""
        self._was_ready = True
        for line in self._lines:
            if (seen := line.tickers.seen) is not None:
                self._worker.on_ticker(self._venue.markets[line.symbol].ticker(seen, self._loop.now_us))

    # ------------------------------------------------------------------ where to look next

    def _look_at_trades_of(self, symbols: Symbols) -> None:
        """Something has changed of these; of all, where others are the marks at which nobody is liquidated."""
        margins, lines = self._stops.margins(), self._lines
        if symbols is not None and margins is self._margins:
            lines = [self._by_symbol[symbol] for symbol in symbols]
        self._margins = margins
        for line in lines:
            if not (line.margins is margins and self._is_as_looked(line)):
                self._look_at_trades(line, margins)

    def _is_as_looked(self, line: Line) -> bool:
        """Whether orders, and the next place that matters, are where they were when it was looked at last."""
        if line.nearest != self._venue.exchange.resting.nearest(line.symbol):
            return False
        if line.has_marks and line.mark_due_us <= self._venue.markets[line.symbol].marked_ms * 1000:
            return False
        return is_ahead(line.trade_stop, line.trades)

    def _look_at_trades(self, line: Line, margins: Margins) -> None:
        line.margins, line.nearest = margins, self._venue.exchange.resting.nearest(line.symbol)
        wanted, cursor = self._stops.of_exchange(line.symbol, margins, line.nearest), line.trades
        mark_ms = self._stops.next_mark(line.symbol, margins)
        line.mark_due_us = FAR if mark_ms == FAR else mark_ms * 1000
        self._dues = None
        if wanted == line.trade_range and is_ahead(line.trade_stop, cursor):
            return
        line.trade_range = wanted
        line.trade_stop = place = cursor.next_outside(*wanted)
        line.due_us = FAR if place is None else line.feed.open(place.day).times[place.at] * 1000

    @staticmethod
    def _sees_as_looked(line: Line, *, waits: bool) -> bool:
        """Whether the next tick that the worker has to see is the one that was found last."""
        if not is_ahead(line.tick_stop, line.tickers):
            return False
        if line.sees_next:
            return True  # whatever has happened, no tick before it can be one
        return not waits and line.looked is not None and line.looked.holds()

    def _look_at_tickers(self, line: Line, now: tuple[int, int] | None, *, waits: bool) -> None:
        cursor = line.tickers
        low, high = self._stops.of_worker(line.symbol, waits=waits)
        line.looked = None if waits else self._stops.steady(line.symbol)
        if line.looked is None:
            self._unsteady[line.symbol] = line
        else:
            self._unsteady.pop(line.symbol, None)
        moment_ms = FAR
        if line.symbol in self._stops.shadows:
            seen = cursor.seen
            seen_ms = 0 if seen is None else line.feed.open(seen.day).times[seen.at]
            moment_ms = self._stops.moment_of_worker(line.symbol, seen_ms)
        wanted = low, high, moment_ms
        line.sees_next = low > high
        if wanted == line.tick_range and is_ahead(line.tick_stop, cursor):
            return
        if now is not None:  # until now it was quiet there
            self._hear(line, now[0] + (line.number < now[1]))
        line.tick_range = wanted
        self._dues = None
        place = None if moment_ms == FAR else cursor.at_or_after(moment_ms)
        place = earlier(line.next_seen(low, high), None if place is None else cursor.last_of_moment(place))
        line.tick_stop, line.tick_due_us = place, FAR
        if place is not None:
            line.tick_due_us = line.feed.open(place.day).times[place.at] * 1000 + self._ticker_us
