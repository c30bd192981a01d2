"""Days composed by code, and configurations to play on them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.core.instrument import Instrument
from gridbot.market.day import Day, ticks_of
from gridbot.paper.market.instruments import LISTINGS
from gridbot.simulation.even_ways import Latencies

BTC: Instrument = LISTINGS["BTCUSDT"].instrument
ETH: Instrument = LISTINGS["ETHUSDT"].instrument
START_MS = 1_767_225_600_000
"""The first midnight of 2026."""
WAYS = Latencies(request_us=20_125, answer_us=15_250, private_us=11_375, ticker_us=8_062)
"""None a whole millisecond, so that trades, requests and answers never meet at one moment. With the exchange's own
delay a push takes less than an answer: no reading is sooner to tell what the stream tells."""


class DaysInMemory:
    """Days by symbol and date, as `gridbot.market.market_root.Market` has them."""

    def __init__(self, *days: Day) -> None:
        self._days: dict[str, dict[date, Day]] = {}
        for day in days:
            self._days.setdefault(day.symbol, {})[day.date] = day

    def days(self, symbol: str) -> list[date]:
        return sorted(self._days.get(symbol, {}))

    def day(self, symbol: str, day: date) -> Day:
        return self._days[symbol][day]


@dataclass
class Ticks:
    """A day that is being written: `at` goes on by `after_ms` and trades."""

    instrument: Instrument
    price: int
    at_ms: int = START_MS
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)

    def trade(self, after_ms: int, move: int, size: int = 1000, side: int = 0) -> None:
        """A trade `move` ticks away from the last one; the taker goes with the move unless `side` says otherwise."""
        self.at_ms += after_ms
        self.price += move
        self.rows.append((self.at_ms, self.price, size, side or (1 if move >= 0 else -1)))

    def go(self, moves: Sequence[int], after_ms: int = 500, size: int = 1000) -> None:
        """Trades one after the other, evenly."""
        for move in moves:
            self.trade(after_ms, move, size)

    def day(self, fundings: Sequence[tuple[int, Decimal]] = ()) -> Day:
        """What was written."""
        columns = zip(*self.rows, strict=True)
        return ticks_of(self.instrument, *columns, marks=self.marks, fundings=fundings)


def wandering(
    instrument: Instrument, price: int, count: int, seed: int, *, step: int = 60, gap_ms: int = 1500
) -> Ticks:
    """A random walk with bursts of several trades in one millisecond."""
    draw, ticks = random.Random(seed), Ticks(instrument, price)
    ticks.trade(0, 0)
    for _ in range(count - 1):
        after_ms = draw.choice((0, 0, draw.randint(1, gap_ms), draw.randint(1, gap_ms)))
        ticks.trade(after_ms, draw.randint(-step, step), draw.randint(1, 4000), draw.choice((1, -1)))
    return ticks


def configured(*strategies: dict[str, Any], account: dict[str, Any] | None = None, **others: Any) -> GridbotConfig:
    """One account, alice, unless the strategies name others; orders go over HTTP."""
    strategies = strategies or ({},)
    rows = [
        {"strat_id": f"s{number}", "account": "alice", "symbol": "BTCUSDT", "grid_count": 10, "grid_step": 0.1}
        | {"amount": "q0.01"}
        | each
        for number, each in enumerate(strategies)
    ]
    names = dict.fromkeys(row["account"] for row in rows)
    accounts = [{"name": name, "order_entry": "http", **(account or {})} for name in names]
    return GridbotConfig.model_validate({"environment": "paper", "accounts": accounts, "strategies": rows, **others})
