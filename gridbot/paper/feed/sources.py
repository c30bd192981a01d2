"""Feeds the market from a source, at the pace of the wall clock times the speed factor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gridbot.paper.feed.market_feed import MarketFeed
from gridbot.paper.feed.replay import read_files
from gridbot.paper.market.synthetic import STEP_S, SyntheticMarket
from gridbot.paper.settings import AtEnd, MarketConfig, SourceKind

__all__ = ["run_source"]

MAX_BATCH = 200
MAX_SLEEP_S = 0.05
MAX_LAG_S = 0.5
SLOW_READER_S = 0.001


async def run_source(
    config: MarketConfig, market: MarketFeed, model: SyntheticMarket | None, consumed: Callable[[], bool]
) -> None:
    """Feed the market until cancelled; returns only at the end of a replay with `at_end: stop`.

    At speed 0 the next trade comes when `consumed` says that the listeners have what there was.
    """
    if config.source is SourceKind.SYNTHETIC and model is not None:
        await _run_synthetic(model, market, float(config.speed), consumed)
    elif config.source is SourceKind.REPLAY:
        await _run_replay(config, market, consumed)
    await asyncio.Event().wait() if config.at_end is not AtEnd.STOP else None


def _not_too_late(due: float, now: float) -> float:
    """When the next trade is due. After a long pause (the machine slept, the process stood still, it cannot keep up)
    the source goes on from now: trades of the past are not made up for at once, at a time when they did not happen."""
    return now if now - due > MAX_LAG_S else due


async def _turn(consumed: Callable[[], bool]) -> None:
    """Let the others work, and wait for slow listeners."""
    await asyncio.sleep(0)
    while not consumed():
        await asyncio.sleep(SLOW_READER_S)


def _step(model: SyntheticMarket, market: MarketFeed) -> None:
    symbols = set()
    for trade in model.step():
        market.feed(trade)
        symbols.add(trade.symbol)
    for symbol in symbols:
        market.flush_trades(symbol)


async def _run_synthetic(
    model: SyntheticMarket, market: MarketFeed, speed: float, consumed: Callable[[], bool]
) -> None:
    while not speed:
        _step(model, market)
        await _turn(consumed)
    loop = asyncio.get_running_loop()
    period = STEP_S / speed
    due = loop.time() + period
    while True:
        due = _not_too_late(due, loop.time())
        for _ in range(MAX_BATCH):
            if due > loop.time():
                break
            _step(model, market)
            due += period
        await asyncio.sleep(max(0.0, min(due - loop.time(), MAX_SLEEP_S)))


async def _run_replay(config: MarketConfig, market: MarketFeed, consumed: Callable[[], bool]) -> None:
    speed = float(config.speed)
    while True:
        await _replay_once(config, market, speed, consumed)
        if config.at_end is not AtEnd.LOOP:
            return


async def _replay_once(config: MarketConfig, market: MarketFeed, speed: float, consumed: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    first: float | None = None
    for fed, (at, trade) in enumerate(read_files(config.files), start=1):
        first = at if first is None else first
        due = started + (at - first) / speed if speed else started
        while (wait := due - loop.time()) > 0:
            await asyncio.sleep(min(wait, MAX_SLEEP_S))
        if speed:
            started += _not_too_late(due, loop.time()) - due
        market.feed(trade)
        market.flush_trades(trade.symbol)
        if not speed:
            await _turn(consumed)
        elif fed % MAX_BATCH == 0:
            await asyncio.sleep(0)
