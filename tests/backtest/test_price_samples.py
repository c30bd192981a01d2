"""Prices of a run, of all its symbols in one statement."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial

import duckdb
import pytest

from gridbot.backtest import price_samples
from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.backtest.price_samples import PriceRows
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.market.day import DAY_MS, Day, day_start_ms, ticks_of
from gridbot.paper.market.instruments import LISTINGS
from gridbot.store.schema import create_table_sql

D = Decimal
START = day_start_ms(date(2026, 1, 5))
BTC, SOL = (LISTINGS[symbol].instrument for symbol in ("BTCUSDT", "SOLUSDT"))
COLUMNS = "seq, symbol, epoch_ms(exchange_ts) - $start, last_price, mark_price, bid1_price, ask1_price"


def feed_of(*days: Day) -> SymbolFeed:
    return SymbolFeed(days[0].symbol, [partial(lambda day: day, day) for day in days], START, START + 10**9)


def table() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(create_table_sql("tickers"))
    return con


def put(con: duckdb.DuckDBPyConnection, *feeds: SymbolFeed, until_ms: int = 10**9) -> int:
    rows = PriceRows(feeds, seq=7, sample_ms=60_000, from_ms=START, to_ms=START + until_ms)
    while not rows.is_empty:
        rows.put(con, account="alice", run_id="backtest", late_us=5000)
    return rows.seq


@pytest.mark.parametrize("together", [1, 3, 1000])
def test_each_symbol_has_its_own_tick_and_marks_and_numbers_go_on(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_samples, "TOGETHER", together)
    times = [START, START + 30_000, START + 61_000, START + 130_000]
    marks = [(START + 60_000, 1_500_110)]
    btc = ticks_of(BTC, times, [600_000, 1, 600_100, 600_300], [1] * 4, [1, 1, -1, 1])
    sol = ticks_of(SOL, times[:3], [15_000, 15_001, 15_002], [1] * 3, [-1] * 3, marks=marks, mark_unit=D("0.0001"))
    con = table()
    assert put(con, feed_of(btc), feed_of(sol), until_ms=130_000) == 11
    assert con.execute(f"SELECT {COLUMNS} FROM tickers_stored ORDER BY seq", {"start": START}).fetchall() == [
        (8, "BTCUSDT", 0, D(60_000), D(60_000), D("59999.9"), D(60_000)),
        (9, "BTCUSDT", 61_000, D(60_010), D(60_010), D(60_010), D("60010.1")),
        (10, "SOLUSDT", 0, D(150), D(150), D(150), D("150.01")),
        (11, "SOLUSDT", 61_000, D("150.02"), D("150.011"), D("150.02"), D("150.03")),
    ]
    [(late_us,)] = con.execute(
        "SELECT DISTINCT epoch_us(local_ts) - epoch_us(exchange_ts) FROM tickers_stored"
    ).fetchall()
    assert late_us == 5000


def test_a_day_that_cannot_be_used_is_refused_in_its_own_words() -> None:
    """They were lost in DuckDB's, as it reads the days itself."""
    other = replace(BTC, tick_size=D(1))
    days = (ticks_of(rules, [START + number * DAY_MS], [60_000], [1], [1]) for number, rules in enumerate((BTC, other)))
    feed = feed_of(*days)
    with pytest.raises(DayRefusedHere, match="its tick or quantity step changes on 2026-01-06"):
        put(table(), feed)
