"""Prices on their way to the worker of a backtest: those that matter in their turn, all others when it next looks."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gridbot.backtest.drive_line import Line, earlier, is_ahead
from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.quiet_stops import QuietStops
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_loop import RunLoop, Symbols
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import Place

__all__ = ["WorkerPrices"]


class WorkerPrices:
    """One per account. A price reaches the worker `ticker_us` after its trade; of one moment that of the first line."""

    def __init__(
        self,
        lines: Mapping[str, Line],
        loop: RunLoop,
        venue: RunVenue,
        worker: RunAccount,
        stops: QuietStops,
        *,
        ticker_us: int,
    ) -> None:
        self._by_symbol, self._lines = lines, list(lines.values())
        self._loop, self._venue, self._worker, self._stops = loop, venue, worker, stops
        self._ticker_us = ticker_us
        self._was_ready = False
        self._sees_all = worker.looks_across
        self._unsteady: dict[str, Line] = {}
        """Those at which more than what happens to themselves may make another price the next to wait for."""
        self._mind_money: dict[str, Line] = {}
        """Of the others, those at which another balance of the wallet may."""
        self.over = self._all_heard = (-1, -1)
        """The newest moment (µs UTC) at which prices reached the worker, and up to which line; at which it had all."""
        self._heard: tuple[int, Symbols] = -1, None
        """The moment (µs UTC) of the newest call of the worker in the present turn, and what it was about."""
        self._told_ms = -1
        """Up to here (ms UTC) nobody of all lines has a price that the worker has not."""
        self.due: Line | None = None
        """The line with the next price to look at, while it is the same."""
        self.owes = False
        """Whether something has happened since somebody looked where that is (`look`)."""

    def next_due(self) -> Line:
        """Look for `due`."""
        tick = self._lines[0]
        for line in self._lines:
            if line.tick_due_us < tick.tick_due_us:
                tick = line
        self.due = tick
        return tick

    # ------------------------------------------------------------------ what the worker gets

    def tick(self, line: Line) -> None:
        """A price is due that the worker has to see."""
        self.over = self._loop.now_us, line.number
        place = line.tick_stop
        assert place is not None
        ms = line.feed.open(place.day).times[place.at]
        if self._sees_all:
            self.hear_all()
        self._hear(line, ms)
        line.tickers.go_behind(place)
        line.looked, line.tick_due_us, self.due = None, FAR, None  # its answer may be another
        self._worker.on_ticker(self._venue.markets[line.symbol].ticker(place, self._loop.now_us))
        self.happened()

    def before_worker(self, about: Symbols) -> None:
        """Give the worker the newest prices of before now, of the symbols that it looks at next; None: of all."""
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

    def hear(self, symbol: str) -> None:
        """Give the worker the newest price of before now, of one symbol."""
        line = self._by_symbol[symbol]
        self._hear(line, self._behind_ms(line))

    def hear_all(self) -> None:
        """Give the worker the newest prices of before now."""
        if self.over[0] == self._loop.now_us:
            if self.over != self._all_heard:
                self._all_heard = self.over
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

    def _behind_ms(self, line: Line) -> int:
        """The prices before this time (ms UTC) have reached the worker. Of the present moment these are those of lines
        that have had their turn: with no latency, what follows from a price or a trade comes at the same moment."""
        since_us = self._loop.now_us - self._ticker_us
        over_us, number = self.over
        if over_us == self._loop.now_us and line.number < number:
            return since_us // 1000 + 1
        return -(-since_us // 1000)

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

    # ------------------------------------------------------------------ how old prices are

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

    # ------------------------------------------------------------------ where to look next

    def happened(self) -> None:
        """Something has happened to the worker: where it has to look next may be elsewhere."""
        self._heard = -1, None
        worker = self._worker
        if worker.is_ready and not self._was_ready:
            self._begin()
        if self._was_ready:
            worker.plan()
            self.owes = True

    def may_wait(self, until_us: int) -> bool:
        """Whether no price of a line that has to be looked at again comes before something else happens, at a time
        (µs UTC): then it is looked at after that, once for both."""
        worker, by_symbol, before_ms = self._worker, self._by_symbol, (until_us - self._ticker_us) // 1000
        touched = worker.touched.symbols
        if touched is None or self._sees_all:
            symbols: Collection[str] = by_symbol
        else:
            symbols = (*touched, *self._unsteady, *(self._mind_money if worker.has_other_balance else ()))
        return min([by_symbol[symbol].tickers.next_ms for symbol in symbols], default=FAR) > before_ms

    def look(self) -> None:
        """Look where the worker has to look next, if something has happened. Each line is brought up to date before."""
        if self.owes:
            self.owes = False
            waits = self._worker.something_waits
            for line in self._to_look_at(waits=waits):
                if not self._sees_as_looked(line, waits=waits):
                    self.hear(line.symbol)
                    self._look_at(line, waits=waits)

    def _begin(self) -> None:
        """The worker is ready: it has the newest prices."""
        self._was_ready = True
        for line in self._lines:
            if (seen := line.tickers.seen) is not None:
                self._worker.on_ticker(self._venue.markets[line.symbol].ticker(seen, self._loop.now_us))

    def _to_look_at(self, *, waits: bool) -> Collection[Line]:
        """The lines at which the next tick that the worker has to see may be another than it was."""
        touched, has_other_balance = self._worker.touched.take(), self._worker.take_other_balance()
        if touched is None or waits or self._sees_all or len(self._lines) == 1:
            return self._lines
        others = {**self._unsteady, **self._mind_money} if has_other_balance else self._unsteady
        return {**others, **{symbol: self._by_symbol[symbol] for symbol in touched}}.values()

    @staticmethod
    def _sees_as_looked(line: Line, *, waits: bool) -> bool:
        """Whether the next tick that the worker has to see is the one that was found last."""
        if not is_ahead(line.tick_stop, line.tickers):
            return False
        if line.sees_next:
            return True  # whatever has happened, no tick before it can be one
        return not waits and line.looked is not None and line.looked.holds()

    def _look_at(self, line: Line, *, waits: bool) -> None:
        cursor = line.tickers
        low, high = self._stops.of_worker(line.symbol, waits=waits)
        symbol = line.symbol
        line.looked = looked = None if waits else self._stops.steady(symbol)
        self._unsteady.pop(symbol, None)
        self._mind_money.pop(symbol, None)
        if looked is None:
            self._unsteady[symbol] = line
        elif looked.minds_money:
            self._mind_money[symbol] = line
        moment_ms = FAR
        if line.symbol in self._stops.shadows:
            seen = cursor.seen
            seen_ms = 0 if seen is None else line.feed.open(seen.day).times[seen.at]
            moment_ms = self._stops.moment_of_worker(line.symbol, seen_ms)
        wanted = low, high, moment_ms
        line.sees_next = low > high
        if wanted == line.tick_range and is_ahead(line.tick_stop, cursor):
            return
        line.tick_range = wanted
        self.due = None
        place = None if moment_ms == FAR else cursor.at_or_after(moment_ms)
        place = earlier(line.next_seen(low, high), None if place is None else cursor.last_of_moment(place))
        line.tick_stop, line.tick_due_us = place, FAR
        if place is not None:
            line.tick_due_us = line.feed.open(place.day).times[place.at] * 1000 + self._ticker_us
