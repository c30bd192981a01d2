"""A small configuration, ticks of composed prices, and runs without a file, for the tests of backtests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from gridbot.backtest.account_job import AccountJob
from gridbot.backtest.record_columns import KeptRecords
from gridbot.backtest.run_options import Options
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.config.models import GridbotConfig
from gridbot.market.day import Day, day_start_ms, ticks_of
from gridbot.paper.market.instruments import LISTINGS

DAY = date(2026, 1, 5)
START_MS = day_start_ms(DAY)
BTC = LISTINGS["BTCUSDT"].instrument
STRATEGY = {
    "strat_id": "btc",
    "account": "alice",
    "symbol": "BTCUSDT",
    "grid_count": 4,
    "grid_step": 1.0,
    "amount": "q0.01",
}


def config_of(*strategies: Mapping[str, Any], balance: float = 10_000, **others: Any) -> GridbotConfig:
    """One paper account `alice`, with each strategy as `STRATEGY` but for what is given."""
    account = {"name": "alice", "balance": balance, "caps": others.pop("caps", {})}
    sections = [{**STRATEGY, **each} for each in strategies or ({},)]
    return GridbotConfig.model_validate(
        {"environment": "paper", "accounts": [account], "strategies": sections, **others}
    )


def day_of(prices: Sequence[float], *, every_ms: int = 1000, symbol: str = "BTCUSDT", **others: Any) -> Day:
    """A day that begins with these prices (USDT), a large trade at each."""
    instrument = LISTINGS[symbol].instrument
    ticks = [instrument.ticks(Decimal(str(price))) for price in prices]
    times = [START_MS + every_ms * number for number in range(len(ticks))]
    others.setdefault("sizes", [10_000_000] * len(ticks))
    return ticks_of(instrument, times, ticks, **others)


def same(day: Day) -> Day:
    """What opens a day that is in memory, with `partial`."""
    return day


class Ran:
    """What a run recorded, by table, with everything that an operator would have been told."""

    def __init__(
        self, config: GridbotConfig, days: Sequence[Day], options: Options | None = None, minutes: float = 10
    ) -> None:
        begin, end = START_MS, START_MS + round(minutes * 60_000)
        feeds = {day.symbol: SymbolFeed(day.symbol, [partial(same, day)], begin, end) for day in days}
        options = options or Options()
        paper = (
            config.paper if options.matching is None else config.paper.model_copy(update={"matching": options.matching})
        )
        job = AccountJob(
            config, "alice", config.strategies_of("alice"), feeds, paper, options, begin * 1000, end * 1000
        )
        self.bodies: dict[str, list[bytes]] = {}
        self.told: list[tuple[int, str, str]] = []
        self.counts: Any = None
        job.run(self._put, lambda *told: self.told.append(told), self._progress)

    def _put(self, rows: KeptRecords) -> None:
        for table, bodies in rows.bodies().items():
            self.bodies.setdefault(table, []).extend(bodies)

    def _progress(self, counts: Any) -> None:
        self.counts = counts

    def rows(self, table: str, **wanted: Any) -> list[dict[str, Any]]:
        """The data of its records that have these values, with `seq` and `local_ts`."""
        documents = (orjson.loads(body) for body in self.bodies.get(table, ()))
        rows = [{**each["data"], "seq": each["seq"], "local_ts": each["local_ts"]} for each in documents]
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]
