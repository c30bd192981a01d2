"""Backtest and real worker on trades and klines of real markets, where ../shared/data is there; not each time."""

from __future__ import annotations

import csv
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.core.instrument import Instrument
from gridbot.market.day import Day, ticks_of
from tests.backtest.both_ways import backtested, differing, played
from tests.case_table import case_table
from tests.examples import examples
from tests.simulation.session_examples import BTC, ETH, configured

DATA = Path(__file__).parents[3] / "shared" / "data"
TRADES = 4000
HOURS = (2, 24)
"""Of the composed crash: where it falls most, and all of it."""
pytestmark = pytest.mark.skipif(
    not DATA.is_dir() or examples(1) == 1, reason="GRIDBOT_EXAMPLES=400, and market data in ../shared/data"
)


def real_trades(symbol: str, instrument: Instrument) -> Day:
    """The first trades of a file in the layout of Bybit's dumps."""
    [path] = (DATA / "trades").glob(f"{symbol}*.csv.gz")
    rows: list[tuple[int, int, int, int]] = []
    with gzip.open(path, "rt") as file:
        for row, _ in zip(csv.DictReader(file), range(TRADES), strict=False):
            steps = max(1, int(Decimal(row["size"]) / instrument.qty_step))
            at_ms, ticks = int(Decimal(row["timestamp"]) * 1000), instrument.ticks(Decimal(row["price"]))
            rows.append((at_ms, ticks, steps, 1 if row["side"].lower() == "buy" else -1))
    return ticks_of(instrument, *zip(*sorted(rows, key=lambda row: row[0]), strict=True))


def composed_crash(symbol: str, instrument: Instrument, hours: int) -> Day:
    """Composed: the widest day of the klines, turned upside down if it rose, and of it the hours that fall most."""
    table = pytest.importorskip("pyarrow.feather").read_table(DATA / "klines-1m" / f"{symbol}-1m-futures.feather")
    days: dict[Any, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        days.setdefault(row["date"].date(), []).append(row)
    whole = [rows for rows in days.values() if len(rows) == 1440]
    rows = max(whole, key=lambda rows: max(r["high"] for r in rows) / min(r["low"] for r in rows))
    first = float(rows[0]["open"])
    rose = rows[-1]["close"] >= first

    def turned(price: float) -> int:
        return instrument.ticks(Decimal(repr(round(first * first / price if rose else price, 6))))

    length = hours * 60
    begin = min(
        range(1440 - length + 1), key=lambda at: turned(rows[at + length - 1]["close"]) / turned(rows[at]["open"])
    )
    ticks = []
    for row in rows[begin : begin + length]:
        low, high = sorted((turned(row["high"]), turned(row["low"])))
        at_ms = int(row["date"].timestamp() * 1000)
        for number, price in enumerate((turned(row["open"]), high, low, turned(row["close"]))):
            ticks.append((at_ms + number * 15_000, price))
    return ticks_of(instrument, *zip(*ticks, strict=True), kind="candles", sources=("a composed crash",))


@pytest.mark.parametrize("matching", ["queue", "touch", "through"])
def test_real_trades(matching: str) -> None:
    days = [real_trades("BTCUSDT", BTC), real_trades("ETHUSDT", ETH)]
    config = configured(
        {"grid_count": 30, "grid_step": 0.01, "amount": "x0.01"},
        {"symbol": "ETHUSDT", "grid_count": 30, "grid_step": 0.015, "amount": "x0.01"},
        paper={"matching": matching},
    )
    asked = config, days, int(days[0].times_ms[0]), min(int(day.times_ms[-1]) for day in days)
    worker = played(*asked)
    assert len(worker["executions"]) > 20
    assert differing(backtested(*asked), worker) == []


@case_table("balance", [20_000, 300])
@case_table("hours", HOURS)
def test_a_composed_crash(hours: int, balance: int) -> None:
    day = composed_crash("ETHUSDT", ETH, hours)
    strategy = {"symbol": "ETHUSDT", "grid_count": 50, "grid_step": 0.2, "amount": "q0.2", "max_margin": 1000}
    config = configured(
        strategy | {"caps": {"max_notional": None}},
        account={"balance": balance, "caps": {"session_loss_limit": None}},
        paper={"default_leverage": 50},
    )
    asked = config, [day], int(day.times_ms[0]), int(day.times_ms[-1]) + 1000
    worker = played(*asked)
    assert len(worker["executions"]) > 20
    assert differing(backtested(*asked), worker) == []
