"""A real worker on recorded days: when things happen, whose market it is, and that it happens the same again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from gridbot.config.models import GridbotConfig
from gridbot.simulation.market_session import SessionFailed, play, play_account
from gridbot.simulation.session_records import records_of
from gridbot.store.reading import connect
from tests.simulation.session_examples import BTC, ETH, START_MS, WAYS, DaysInMemory, Ticks, configured, wandering

D = Decimal
HOUR_MS = 3_600_000
HEARD_US = WAYS.private_us + 3000
"""With the exchange's own delay."""


def played(config: GridbotConfig, days: DaysInMemory, directory: Path, length_ms: int) -> duckdb.DuckDBPyConnection:
    return connect(play(config, days, START_MS, START_MS + length_ms, WAYS, directory))


def at(**after: float) -> datetime:
    return datetime.fromtimestamp(START_MS / 1000, UTC).replace(tzinfo=None) + timedelta(**after)


def test_each_way_takes_its_time(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0, 0, 0, 0])
    con = played(configured(), DaysInMemory(ticks.day()), tmp_path, 3000)
    rows = con.execute("SELECT DISTINCT state, local_ts, exchange_ts FROM orders ORDER BY local_ts").fetchall()
    decided = timedelta(milliseconds=500, microseconds=WAYS.ticker_us)  # the first trade is half a second in
    there = decided + timedelta(microseconds=WAYS.request_us)
    heard = there + timedelta(microseconds=HEARD_US)
    ms = timedelta(milliseconds=1)
    assert rows[:2] == [("pending", at() + decided, None), ("open", at() + heard, at() + (there // ms) * ms)]


def test_a_trade_fills_at_its_time_and_a_moment_is_one_look(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0, 0])
    ticks.trade(1000, -3000)  # below the grid, which a look would have built anew
    ticks.trade(0, 3000)
    ticks.trade(500, 0)
    con = played(configured(), DaysInMemory(ticks.day()), tmp_path, 3000)
    fills = con.execute("SELECT price, exchange_ts, local_ts FROM executions ORDER BY seq").fetchall()
    when, heard = at(seconds=2), at(seconds=2) + timedelta(microseconds=HEARD_US)
    prices = [D("49950.0"), D("49900.0"), D("49850.1"), D("49800.2"), D("49750.4")]
    assert fills == [(price, when, heard) for price in prices]
    assert con.execute("SELECT DISTINCT anchor FROM grid_snapshots").fetchall() == [(D(50000),)]


def test_fundings_come_at_their_time_at_the_mark_and_rate_of_the_day(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0, 0, -600, 0])
    ticks.marks = [(START_MS, 500_100), (START_MS + 20_000, 500_200), (START_MS + 30_000, 500_300)]
    ticks.trade(60_000, 0)
    fundings = [(START_MS + 30_000, D("0.001")), (START_MS + 40_000, D("-0.002"))]
    con = played(configured(), DaysInMemory(ticks.day(fundings)), tmp_path, 70_000)
    rows = con.execute(
        "SELECT exchange_ts, price, fee, qty FROM executions WHERE exec_type = 'Funding' ORDER BY seq"
    ).fetchall()
    assert rows == [
        (at(seconds=30), D("50030"), D("0.5003"), D("0.01")),
        (at(seconds=40), D("50030"), D("-1.0006"), D("0.01")),
    ]


def test_the_clock_ticks_with_the_beginning(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] * 20, after_ms=1000)
    config = configured(position_check_interval=7, wallet_cache_interval=3)
    con = played(config, DaysInMemory(ticks.day()), tmp_path, 20_000)
    there_and_back = timedelta(microseconds=WAYS.request_us + WAYS.answer_us)
    read = con.execute("SELECT DISTINCT local_ts FROM reconciles WHERE reason = 'periodic'").fetchall()
    assert read[0][0] > at(seconds=2)
    rest = con.execute("SELECT DISTINCT local_ts FROM wallets WHERE source = 'rest' ORDER BY 1").fetchall()
    # The pass of second 2 has read the wallet: it is read again at the first second that is three seconds later.
    assert at(seconds=6) + there_and_back in {row[0] for row in rest}


def test_accounts_and_symbols_share_one_database_and_nothing_else(tmp_path: Path) -> None:
    btc, eth = wandering(BTC, 500_000, 40, 1), wandering(ETH, 250_000, 40, 2, step=30)
    config = configured(
        {"strat_id": "btc"},
        {"strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"},
        {"strat_id": "btc", "account": "bob"},
    )
    con = played(config, DaysInMemory(btc.day(), eth.day()), tmp_path, 10_000)
    rows = con.execute("SELECT DISTINCT account, strategy FROM orders ORDER BY ALL").fetchall()
    assert rows == [("alice", "btc"), ("alice", "eth"), ("bob", "btc")]
    assert con.execute("SELECT count(*) FROM alerts").fetchone() == (0,)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    config, ticks = configured(), wandering(BTC, 500_000, 100, 3, step=200)
    found = []
    for name in ("one", "another directory"):
        days = DaysInMemory(ticks.day())
        play_account(config, "alice", days, START_MS, START_MS + 50_000, WAYS, tmp_path / name)
        found.append(records_of(tmp_path / name, "alice"))
    assert found[0] == found[1]
    assert found[0]["executions"]


def test_a_market_without_a_trade_in_the_time_is_refused(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0])
    days = DaysInMemory(ticks.day())
    with pytest.raises(ValueError, match=r"BTCUSDT: expected a trade from .* got none"):
        play(configured(), days, START_MS, START_MS + 500, WAYS, tmp_path)
    with pytest.raises(ValueError, match="ETHUSDT: expected a trade"):
        play(configured({"symbol": "ETHUSDT"}), days, START_MS, START_MS + HOUR_MS, WAYS, tmp_path)


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0])
    config = configured({"grid_step": 0.1}, rest_fetch_timeout=0.01)
    with pytest.raises(SessionFailed, match=r"the worker of alice did not start: .*no answer"):
        play(config, DaysInMemory(ticks.day()), START_MS, START_MS + 1000, WAYS, tmp_path)
