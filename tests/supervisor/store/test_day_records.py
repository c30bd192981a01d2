"""How an account stood at the beginning of a day, and what held it back, by its records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.compare.causes import Hold
from gridbot.records.record_types import (
    ExecutionRecord,
    GridRecord,
    IntentRecord,
    Json,
    LatchRecord,
    OrderRecord,
    PositionRecord,
    PublicTradeRecord,
    RunRecord,
    StreamGapRecord,
    TickerRecord,
    UtcMs,
    UtcUs,
    WalletRecord,
)
from supervisor.store.day_market import RecordedDay, funding_rates, write_market, write_marks
from supervisor.store.day_records import Ladder, day_records, settings_of_day
from supervisor.store.query import Limits, Query
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import flush_all, make_recorder

DAY = datetime(2026, 11, 2)  # noqa: DTZ001 - as the records have times


def us(clock: str, *, day: datetime = DAY) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    moment = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return int(moment.replace(tzinfo=UTC).timestamp()) * 1_000_000


def ladder(version: int, strategy: str = "btc") -> GridRecord:
    levels, anchor = Json('[["60000", "Wait"]]'), Decimal(60000)
    return GridRecord(
        strategy=strategy, symbol="BTCUSDT", version=version, anchor=anchor, last_fill=None, levels=levels
    )


def trade(trade_id: str) -> PublicTradeRecord:
    return PublicTradeRecord(symbol="ETHUSDT", trade_id=trade_id, side="Sell", price=Decimal("2500.01"),
                             qty=Decimal("0.3"), exchange_ts=UtcMs(us("8:0:0") // 1000))  # fmt: skip


def price(last: str, clock: str) -> TickerRecord:
    return TickerRecord(symbol="ETHUSDT", last_price=Decimal(last), exchange_ts=UtcMs(us(clock) // 1000))


def funding(direction: str, fee: str, qty: str) -> ExecutionRecord:
    return ExecutionRecord(
        strategy="btc", symbol="ETHUSDT", exec_id=f"f{direction}", order_id="", order_link_id="", direction=direction,
        side="Buy", price=Decimal(2500), qty=Decimal(qty), leaves_qty=Decimal(0), closed_size=Decimal(0),
        fee=Decimal(fee), realised_pnl=Decimal(0), exec_type="Funding", is_maker=False,
        exchange_ts=UtcMs(us("8:0:0") // 1000 + 12),
    )  # fmt: skip


def sent(number: int, took_ms: int) -> list[tuple[int, Any]]:
    at, link_id = us("1:0:0"), f"grid-{number}"
    intent = IntentRecord(strategy="btc", symbol="BTCUSDT", action="place", direction="long", side="Buy",
                          price=Decimal(59_000), verdict="sent", order_link_id=link_id)  # fmt: skip
    return [(at, intent), (at + took_ms * 1000, order(link_id, "open"))]


def leg(size: str, **others: Any) -> PositionRecord:
    return PositionRecord(
        strategy="btc", symbol="BTCUSDT", direction="long", size=Decimal(size), entry_price=Decimal(60000), **others
    )


def run(event: str, about: str, settings: str, environment: str = "paper") -> RunRecord:
    return RunRecord(
        event=event,
        about_run_id=about,
        environment=environment,
        version="1",
        config_hash=settings,
        config=Json(f'{{"is":"{settings}"}}'),
        pid=1,
    )


def latch(kind: str, *, is_set: bool, strategy: str = "", until: int | None = None, level: str = "") -> LatchRecord:
    ends = None if until is None else UtcUs(until)
    return LatchRecord(strategy=strategy, kind=kind, level=level, is_set=is_set, reason="why", until=ends)


def order(link_id: str, state: str, filled: str = "0", **others: Any) -> OrderRecord:
    return OrderRecord(
        strategy="btc", symbol="BTCUSDT", order_link_id=link_id, order_id="", direction="long", side="Buy",
        price=Decimal(59_000), qty=Decimal("0.3"), cum_exec_qty=Decimal(filled), reduce_only=False, state=state,
        **others,
    )  # fmt: skip


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Query:
    data_dir = tmp_path_factory.mktemp("data")
    now = [0]
    recorder = make_recorder(data_dir, clock_us=lambda: now[0])
    before = DAY - timedelta(days=1)
    for moment, record in (
        (us("20:0:0", day=before), run("start", "one", "old")),
        (us("20:0:1", day=before), WalletRecord(coin="USDT", wallet_balance=Decimal(1000))),
        (us("20:0:2", day=before), ladder(1)),
        (us("21:0:0", day=before), leg("0.5")),
        (us("22:0:0", day=before), order("rests", "open")),
        (us("22:0:0", day=before), order("part", "open")),
        (us("22:0:0", day=before), order("gone", "open")),
        (us("22:0:0", day=before), order("full", "open")),
        (us("22:0:0", day=before), order("hypothetical", "open", shadow=True)),
        (us("22:0:0", day=before), order("", "open")),
        (us("22:0:1", day=before), order("part", "partially_filled", "0.1")),
        (us("22:0:1", day=before), order("gone", "cancelled")),
        (us("22:0:1", day=before), order("full", "filled", "0.3")),
        (us("23:0:0", day=before), latch("paused", is_set=True, strategy="btc")),
        (us("1:0:0"), latch("paused", is_set=False, strategy="btc")),
        (us("2:0:0"), ladder(2)),
        (us("2:0:0"), leg("0.7")),
        (us("2:0:0"), leg("9", shadow=True)),
        (us("2:0:1"), WalletRecord(coin="USDT", wallet_balance=Decimal(900))),
        (us("3:0:0"), latch("auth_cooldown", is_set=True, until=us("3:30:0"))),
        (us("3:0:1"), latch("breaker", is_set=True, level="long Buy 1")),
        (us("5:0:0"), run("end", "one", "old")),
        (us("6:0:0"), run("start", "two", "new")),
        (us("7:0:9"), StreamGapRecord(stream="public", started_at=UtcUs(us("7:0:0")), ended_at=UtcUs(us("7:0:9")))),
        (us("8:0:0"), TickerRecord(symbol="BTCUSDT", last_price=Decimal("60000.1"), mark_price=Decimal("60000.055"),
                                   exchange_ts=UtcMs(us("8:0:0") // 1000))),
        (us("8:0:0"), trade("a")),
        (us("8:0:0"), trade("a")),
        (us("8:0:0"), funding("long", "-0.12", "0.9")),
        (us("8:0:0"), funding("short", "0.308625", "1")),
        (us("8:0:0"), price("2500.01", "8:0:0")),
        (us("8:0:0"), price("2500.01", "8:59:59")),
        (us("8:0:0"), price("2490", "9:0:0")),
        (us("8:0:0"), price("2500.01", "9:0:1")),
        (us("8:0:0"), price("2500.01", "9:0:2")),
    ):  # fmt: skip
        now[0] = moment
        recorder.record(record)
    recorder.close()
    elsewhere = make_recorder(data_dir, account="bob", clock_us=lambda: now[0])
    elsewhere.record(run("start", "three", "old", "mainnet"))
    elsewhere.record(trade("b"))
    elsewhere.close()
    busy = make_recorder(data_dir, account="carol", clock_us=lambda: now[0])
    for moment, record in (
        (us("20:0:0", day=before), ladder(7, "grid")),
        (us("0:0:0") + 400_000, ladder(8, "grid")),
        (us("0:0:1"), ladder(9, "grid")),
        *(each for number, took_ms in enumerate((30, 900, 1900)) for each in sent(number, took_ms)),
    ):
        now[0] = moment
        busy.record(record)
    busy.close()
    writer = Writer(WriterSpec(data_dir, ("alice", "bob", "carol")), {})
    flush_all(writer)
    writer.close()
    return Query(data_dir, Limits())


def hold(since: str, until: str, why: str, *, day: datetime = DAY) -> Hold:
    return Hold(us(since, day=day) // 1000, us(until) // 1000, why)


def test_a_day_begins_as_the_account_stood_at_midnight(query: Query) -> None:
    found = day_records(query, "alice", ["btc"], DAY)
    assert found is not None
    assert (found.since, found.until) == (DAY, DAY + timedelta(hours=8))
    assert found.ladders == {"btc": Ladder('[["60000", "Wait"]]', Decimal(60000), None, 1)}
    assert (found.wallet, found.legs) == (1000, {("BTCUSDT", "long"): (Decimal("0.5"), Decimal(60000))})
    assert found.hashes == {"old", "new"}
    assert found.round_trip_ms is None
    assert sorted((each["link_id"], each["qty"]) for each in found.resting) == [
        ("part", Decimal("0.2")), ("rests", Decimal("0.3"))
    ]  # fmt: skip
    level = {"symbol": "BTCUSDT", "direction": "long", "side": "Buy", "price": Decimal(59_000), "closes": False}
    assert all(level.items() <= each.items() for each in found.resting)


def test_its_settings_are_those_of_the_run_that_traded_at_midnight_or_of_the_first_that_day(query: Query) -> None:
    config = [settings_of_day(query, "alice", DAY + timedelta(days=days)) for days in (-2, -1, 0, 1)]
    assert config == [None, '{"is":"old"}', '{"is":"old"}', '{"is":"new"}']


def test_what_held_it_back_has_its_times(query: Query) -> None:
    found = day_records(query, "alice", ["btc"], DAY)
    assert found is not None
    assert found.holds["btc"] == [hold("23:0:0", "1:0:0", "paused: why", day=DAY - timedelta(days=1))]
    assert found.holds[""] == [
        hold("3:0:0", "3:30:0", "auth_cooldown: why"),
        hold("5:0:0", "6:0:0", "no worker ran"),
        hold("7:0:0", "7:0:9", "the public stream was not connected"),
    ]


def test_a_new_account_begins_with_its_first_ladder_and_one_that_did_nothing_does_not(query: Query) -> None:
    first = day_records(query, "alice", ["btc"], DAY - timedelta(days=1))
    assert first is not None
    assert first.since == DAY - timedelta(hours=3, minutes=59, seconds=58)
    assert first.ladders["btc"].version == 1
    assert day_records(query, "alice", ["btc"], DAY - timedelta(days=2)) is None
    assert day_records(query, "alice", ["btc"], DAY + timedelta(days=1)) is None
    assert day_records(query, "alice", [], DAY) is None


def rows(file: Path, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"SELECT {columns} FROM read_parquet(?)", [str(file)]).fetchall()


def test_the_market_is_trades_or_else_prices_in_whole_ticks(query: Query, tmp_path: Path) -> None:
    prices, marks, trades = (tmp_path / f"{name}.parquet" for name in ("prices", "marks", "trades"))
    tick, step, at_ms = Decimal("0.01"), Decimal("0.1"), us("8:0:0") // 1000
    bitcoin = RecordedDay(query, "alice", "BTCUSDT", DAY)
    assert write_market(bitcoin, Decimal("0.1"), step, prices) == "tickers"
    assert rows(prices, "times_ms, prices, sizes") == [(at_ms, 600_001, 0)]
    write_marks(bitcoin, Decimal("0.1"), marks)
    assert rows(marks, "times_ms, marks") == [(at_ms, 60_000_055)]
    ether = RecordedDay(query, "alice", "ETHUSDT", DAY)
    assert write_market(ether, tick, step, trades) == "trades"
    late = us("9:0:0") // 1000
    assert rows(trades, "times_ms, prices, sizes, sides") == [
        (at_ms, 250_001, 3, -1), (late, 249_000, 0, -1), (late + 1000, 250_001, 0, 1)
    ], "each trade once, none of an account elsewhere, and prices that changed while none was recorded"  # fmt: skip


def test_fundings_are_those_that_were_booked_by_the_largest_position(query: Query) -> None:
    assert funding_rates(RecordedDay(query, "alice", "ETHUSDT", DAY)) == [(us("8:0:0") // 1000, Decimal("-0.00012345"))]


def test_a_ladder_that_has_just_changed_is_the_beginning_and_waiting_for_the_request_limit_is_no_latency(
    query: Query,
) -> None:
    found = day_records(query, "carol", ["grid"], DAY)
    assert found is not None
    assert (found.since, found.ladders["grid"].version) == (DAY + timedelta(milliseconds=400), 8)
    assert found.round_trip_ms == 30
