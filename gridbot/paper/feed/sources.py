"""Drives the market: takes trades from a source at the pace of the wall clock times the speed factor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.feed.replay import read_files
from gridbot.paper.market.synthetic import STEP_S, MarketTrade, SyntheticMarket
from gridbot.paper.settings import AtEnd, MarketConfig, SourceKind
from gridbot.paper.streams.publisher import Publisher

__all__ = ["Market", "run_source"]

MAX_BATCH = 200
MAX_SLEEP_S = 0.05
MAX_LAG_S = 2.0
SLOW_READER_S = 0.001


class Market:
    """The door through which prices move: sources use it, and tests that push trades themselves."""

    def __init__(
        self, exchange: Exchange, publisher: Publisher, now_ms: Callable[[], int], deliver: Callable[[], None]
    ) -> None:
        self._exchange = exchange
        self._publisher = publisher
        self._now_ms = now_ms
        self._deliver = deliver
        self.trade_count = 0
        self.publish_each = False

    def trade(self, symbol: str, price: Decimal | str, size: Decimal | str, side: Side | str) -> None:
        """Push one public trade now: orders fill, tickers and trades are published at once."""
        self.feed(MarketTrade(symbol, Side(side), Decimal(price), Decimal(size)))
        self._settle()

    def set_mark(self, symbol: str, price: Decimal | str | None) -> None:
        """Pin the mark price apart from the last price; None lets it go again."""
        market = self._exchange.markets[symbol]
        market.pinned_mark = None if price is None else Decimal(price)
        market.revalue(self._now_ms())
        self._publisher.changed(symbol, None)
        self._settle()

    def settle_funding(self, symbol: str, rate: Decimal | str) -> None:
        """Settle a funding of this rate now, out of turn."""
        self._exchange.settle_funding(symbol, Decimal(rate), self._now_ms())
        self._settle()

    def _settle(self) -> None:
        """Do at once what otherwise waits for the next turn of the clock."""
        self._exchange.on_time(self._now_ms())
        self._deliver()
        self._publisher.flush()

    def set_price(self, symbol: str, price: Decimal | str) -> None:
        """Move the price without volume: orders that it passes fill, the ticker is published at once."""
        last = self._exchange.markets[symbol].last
        self.trade(symbol, price, Decimal(0), Side.BUY if Decimal(price) >= last else Side.SELL)

    def reopen(self, symbol: str, price: Decimal) -> None:
        """Begin a symbol's market again at this price; for sources that learn it late."""
        self._exchange.markets[symbol].reopen(price, self._now_ms())
        self._publisher.changed(symbol, None)

    def follow(self, symbol: str, ticker: Mapping[str, str]) -> None:
        """Take mark and index price, funding rate and funding time from a ticker, as far as it has them."""
        market = self._exchange.markets[symbol]
        if "markPrice" in ticker:
            market.pinned_mark = Decimal(ticker["markPrice"])
        if "indexPrice" in ticker:
            market.pinned_index = Decimal(ticker["indexPrice"])
        if "fundingRate" in ticker:
            market.funding_rate = Decimal(ticker["fundingRate"])
        if int(ticker.get("nextFundingTime", 0)) > self._now_ms():
            market.next_funding_ms = int(ticker["nextFundingTime"])
        market.revalue(self._now_ms())
        self._publisher.changed(symbol, None)

    def feed(self, trade: MarketTrade) -> None:
        """Apply a trade of a source; publishing waits for the ticker interval unless it is zero."""
        market = self._exchange.markets[trade.symbol]
        ticks = max(1, market.instrument.ticks(trade.price))
        size, step = trade.size, market.instrument.qty_step
        if size % step:
            size = max(size // step, Decimal(1)) * step  # klines taken apart have any size
        shown = self._exchange.trade(trade.symbol, trade.side, ticks, size, self._now_ms())
        self.trade_count += 1
        self._publisher.changed(trade.symbol, shown)
        self._deliver()
        if self.publish_each:
            self._publisher.flush()

    def flush_trades(self, symbol: str) -> None:
        self._publisher.flush_trades(symbol)


async def run_source(
    config: MarketConfig, market: Market, model: SyntheticMarket | None, consumed: Callable[[], bool]
) -> None:
    """Feed the market until cancelled; returns only at the end of a replay with `at_end: stop`.

    At speed 0 the next trade comes when `consumed` says that the listeners have what there was.
    """
    if config.source is SourceKind.SYNTHETIC and model is not None:
        await _run_synthetic(model, market, float(config.speed), consumed)
    elif config.source is SourceKind.REPLAY:
        await _run_replay(config, market, consumed)
    await asyncio.Event().wait() if config.at_end is not AtEnd.STOP else None


async def _turn(consumed: Callable[[], bool]) -> None:
    """Let the others work, and wait for slow listeners."""
    await asyncio.sleep(0)
    while not consumed():
        await asyncio.sleep(SLOW_READER_S)


def _step(model: SyntheticMarket, market: Market) -> None:
    symbols = set()
    for trade in model.step():
        market.feed(trade)
        symbols.add(trade.symbol)
    for symbol in symbols:
        market.flush_trades(symbol)


async def _run_synthetic(model: SyntheticMarket, market: Market, speed: float, consumed: Callable[[], bool]) -> None:
    while not speed:
        _step(model, market)
        await _turn(consumed)
    loop = asyncio.get_running_loop()
    period = STEP_S / speed
    due = loop.time() + period
    while True:
        for _ in range(MAX_BATCH):
            if due > loop.time():
                break
            _step(model, market)
            due += period
        late = loop.time() - due
        if late > MAX_LAG_S:
            due += late  # the machine slept or cannot keep up: go on from here instead of rushing
        await asyncio.sleep(max(0.0, min(due - loop.time(), MAX_SLEEP_S)))


async def _run_replay(config: MarketConfig, market: Market, consumed: Callable[[], bool]) -> None:
    speed = float(config.speed)
    while True:
        await _replay_once(config, market, speed, consumed)
        if config.at_end is not AtEnd.LOOP:
            return


async def _replay_once(config: MarketConfig, market: Market, speed: float, consumed: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    first: float | None = None
    for fed, (at, trade) in enumerate(read_files(config.files), start=1):
        first = at if first is None else first
        due = started + (at - first) / speed if speed else started
        while (wait := due - loop.time()) > 0:
            await asyncio.sleep(min(wait, MAX_SLEEP_S))
        market.feed(trade)
        market.flush_trades(trade.symbol)
        if not speed:
            await _turn(consumed)
        elif fed % MAX_BATCH == 0:
            await asyncio.sleep(0)
