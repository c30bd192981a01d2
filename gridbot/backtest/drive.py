"""The order of events of one account's backtest: what is under way, prices that reach the worker, trades of the market.

At one moment: first all that is due in the loop (requests and answers that arrive, pushes, timers, fundings), in the
order in which it was asked for; then the prices that reach the worker; then mark prices, then trades. A price reaches
the worker `ticker_ms` after its trade; of several trades of a symbol in one millisecond it sees the last one.

Whenever something is due, exchange and worker have the newest price from before. So nothing depends on how many prices
in between were looked at, and those at which nothing can happen are jumped over (`quiet_stops`). What exchange and
worker get is in `exchange_prices` and `worker_prices`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from gridbot.backtest.drive_line import Line
from gridbot.backtest.exchange_prices import ExchangePrices
from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.quiet_stops import QuietStops
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.backtest.worker_prices import WorkerPrices

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
        self._loop, self._venue = loop, venue
        self._by_symbol = {symbol: Line(number, symbol, feed) for number, (symbol, feed) in enumerate(feeds.items())}
        self._lines = list(self._by_symbol.values())
        ticker_us, stops = round(options.ticker_ms * 1000), QuietStops(venue, worker, every_tick=options.every_tick)
        self._at_exchange = ExchangePrices(self._by_symbol, loop, venue, stops)
        self._at_worker = WorkerPrices(self._by_symbol, loop, venue, worker, stops, ticker_us=ticker_us)
        self._on_progress = on_progress
        loop.before_exchange, loop.before_worker = self._at_exchange.move, self._at_worker.before_worker
        worker.ahead = self
        self._until_us = FAR
        self._let_go_at = 0
        self.looks = 0
        """Prices that somebody looked at, and moments at which something was due."""

    @property
    def ticks(self) -> int:
        """Trades that have happened."""
        return sum(line.trades.passed for line in self._lines)

    def run(self, until_us: int) -> None:
        """Go on to a time (µs UTC)."""
        loop, exchange, worker = self._loop, self._at_exchange, self._at_worker
        self._until_us = until_us
        exchange.look(None)
        while True:
            due_us = loop.next_us()
            heap_us = FAR if due_us is None else due_us
            mark, trade = exchange.dues or exchange.next_dues()
            next_us = min(heap_us, mark.mark_due_us, trade.trade_due_us)
            if worker.owes and not worker.may_wait(next_us):
                worker.look()
            tick = worker.due or worker.next_due()
            now_us = min(next_us, tick.tick_due_us)
            if now_us >= until_us:
                break
            self.looks += 1
            if self.looks % LOOKS_BETWEEN == 0:
                self._on_progress(now_us)
                self._let_go()
            if heap_us == now_us:
                exchange_did, worker_did = loop.turn(now_us)
                if worker_did:
                    worker.happened()
                if exchange_did:
                    exchange.look(loop.exchange_touched.take())
            elif tick.tick_due_us == now_us:
                loop.now_us, loop.about = now_us, (tick.symbol,)
                worker.tick(tick)
            else:
                loop.now_us, worker.over = now_us, (now_us, len(self._lines))
                if mark.mark_due_us == now_us:
                    exchange.mark(mark)
                else:
                    exchange.trade(trade)
        loop.now_us = until_us
        exchange.move()
        worker.before_worker(None)

    def _let_go(self) -> None:
        """Of the columns no more is in memory than of so many ticks."""
        ticks = self.ticks
        if ticks - self._let_go_at >= KEPT_TICKS:
            self._let_go_at = ticks
            for line in self._lines:
                line.feed.let_go()

    # ------------------------------------------------------------------ what is ahead, for the worker's parts (`Ahead`)

    @property
    def quiet_until_us(self) -> int:
        """When (µs UTC) somebody next has to see a price, or the run ends, while nothing happens but that."""
        self._at_worker.look()
        tick = self._at_worker.due or self._at_worker.next_due()
        mark, trade = self._at_exchange.dues or self._at_exchange.next_dues()
        return min(self._until_us, tick.tick_due_us, mark.mark_due_us, trade.trade_due_us)

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

    def move(self) -> None:
        """Give the exchange the newest prices of before now."""
        self._at_exchange.move()

    def hear(self, symbol: str) -> None:
        """Give the worker the newest price of before now, of one symbol."""
        self._at_worker.hear(symbol)

    def hear_all(self) -> None:
        """Give the worker the newest prices of before now."""
        self._at_worker.hear_all()

    def are_fresh(self, most_s: float) -> bool:
        """Whether no symbol's newest price of before now, told or not, is older than so many seconds."""
        return self._at_worker.are_fresh(most_s)

    def age_s(self, symbol: str) -> float:
        """How long (seconds) the newest price of before now has been with the worker, told or not."""
        return self._at_worker.age_s(symbol)
