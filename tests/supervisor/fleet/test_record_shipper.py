"""Records shipped to a real PostgreSQL, each once, whoever dies: the writer, its connection, the database."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from gridbot.config.fleet_models import FleetConfig
from gridbot.records.record_types import OrderRecord, PositionRecord, WalletRecord
from supervisor.fleet import record_shipper
from supervisor.fleet.record_shipper import RecordShipper
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import (
    execution,
    flush_all,
    make_recorder,
    record_executions,
    rows,
    start_writer,
    ticker,
    until,
    writing,
)

SUMS = (
    "SELECT day, account, strategy, symbol, direction, shadow, exec_type, is_maker, executions, volume, realised_pnl,"
    " fee, last_seq FROM {}daily_sums ORDER BY ALL"
)


def fleet_at(dsn: str, host: str = "h1", **changes: Any) -> FleetConfig:
    return FleetConfig(name="tests", host=host, dsn=SecretStr(dsn), **changes)


def asked(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement.encode()).fetchall()


@contextlib.contextmanager
def shipping(data_dir: Path, fleet: FleetConfig, **spec: Any):
    """A writer, and its shipper by hand: `once` is a turn of the thread."""
    writer = Writer(WriterSpec(data_dir, ("alice",), **spec), {})
    writer._shipper = shipper = RecordShipper(writer.database, fleet, lambda: writer.state.committed)
    try:
        yield writer, shipper
    finally:
        writer.close()


def ship_all(writer: Writer, shipper: RecordShipper) -> None:
    flush_all(writer)
    while shipper.once():
        pass


def numbers(dsn: str, account: str = "alice") -> list[int]:
    return [seq for (seq,) in asked(dsn, f"SELECT seq FROM gridbot.record WHERE account = '{account}' ORDER BY seq")]


def order(state: str, link_id: str) -> OrderRecord:
    return OrderRecord(
        strategy="btc", symbol="BTCUSDT", order_link_id=link_id, order_id="", direction="long", side="Buy",
        price=Decimal("1.5"), qty=Decimal(2), cum_exec_qty=Decimal(0), reduce_only=False, state=state,
    )  # fmt: skip


def test_rows_rollups_and_position_go_together_and_once(tmp_path, fleet_dsn, monkeypatch):
    monkeypatch.setattr(record_shipper, "CHUNK", 7)
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 41))
    recorder.record(ticker(41))  # of no interest to other hosts
    for number, equity in ((42, "100.5"), (43, "99.25")):
        recorder.record(WalletRecord(coin="USDT", equity=Decimal(equity), wallet_balance=Decimal(90 + number)))
    for size in (1, 2):
        recorder.record(PositionRecord(strategy="btc", symbol="BTCUSDT", direction="long", size=Decimal(size)))
    for each in ("new", "filled"):
        recorder.record(order(each, "g-1"))
    recorder.record(execution(48, strategy="odd \x00 name", fee=Decimal("0.00000012")))
    recorder.flush()
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        flush_all(writer)
        writer.compact()  # stored rows; what comes next lands only
        record_executions(recorder, range(49, 60))
        ship_all(writer, shipper)
        recorder.record(ticker(60))  # nothing to ship: PostgreSQL is not asked each second for tickers
        recorder.flush()
        ship_all(writer, shipper)
        assert shipper._skipped == {"alice": 60}
        assert shipper.once() is False, "nothing is left"
        assert shipper.health()["error"] is None
    expected = [seq for seq in range(1, 60) if seq != 41]
    assert numbers(fleet_dsn) == expected
    assert asked(fleet_dsn, "SELECT host, account, seq FROM gridbot.shipped") == [("h1", "alice", 59)]
    ours, theirs = rows(tmp_path, SUMS.format("")), asked(fleet_dsn, SUMS.format("gridbot.").replace("ALL", "3"))
    assert [[*row[:2], *row[3:]] for row in theirs] == [[*row[:2], *row[3:]] for row in ours]
    assert theirs[1][2] == "odd \ufffd name"
    newest = asked(fleet_dsn, "SELECT kind, key, seq, body->'data' FROM gridbot.newest ORDER BY kind, key")
    assert [row[:3] for row in newest] == [
        ("orders", "g-1", 47), ("position_events", "BTCUSDT|long|false", 45), ("wallets", "USDT", 43)
    ]  # fmt: skip
    assert newest[0][3]["state"] == "filled"
    hourly = asked(fleet_dsn, "SELECT coin, seq, equity, wallet_balance FROM gridbot.equity_hour")
    assert hourly[-1] == ("USDT", 43, Decimal("99.25"), Decimal(133))
    [(lag,)] = asked(fleet_dsn, "SELECT extract(epoch FROM clock_timestamp() - complete_to) FROM gridbot.shipping")
    assert 0 <= lag < 600


def test_an_answer_that_got_lost_and_another_process_of_the_host_ship_nothing_twice(tmp_path, fleet_dsn):
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 11))
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
        shipper._positions = {"alice": 4}  # as it was before the commit whose answer got lost
        record_executions(recorder, range(11, 13))
        flush_all(writer)
        with pytest.raises(record_shipper._Moved):
            shipper.once()
        shipper._positions = {}
        ship_all(writer, shipper)
    assert numbers(fleet_dsn) == list(range(1, 13))
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(12,)]


def test_an_execution_that_two_hosts_have_recorded_is_there_once(tmp_path, fleet_dsn):
    """The first died before it could say how far it was; the second had it from the exchange."""
    for host, numbers_of in (("h1", range(1, 7)), ("h2", range(4, 10))):
        data_dir = tmp_path / host
        data_dir.mkdir()
        recorder = make_recorder(data_dir)
        record_executions(recorder, numbers_of)
        with shipping(data_dir, fleet_at(fleet_dsn, host)) as (writer, shipper):
            ship_all(writer, shipper)
    ids = [each for (each,) in asked(fleet_dsn, "SELECT exec_id FROM gridbot.record ORDER BY at, seq")]
    assert sorted(ids) == [f"e-{number}" for number in range(1, 10)]
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(9,)]
    # Numbers of no lease are each host's own.
    assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.record WHERE seq <= 3") == [(3,)]


def test_a_record_that_postgresql_cannot_hold_stops_nothing(tmp_path, fleet_dsn, monkeypatch):
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 9))
    with psycopg.connect(fleet_dsn) as connection:
        connection.execute("ALTER TABLE gridbot.record ADD CHECK (seq <> 5)")
    monkeypatch.setattr(psycopg, "DataError", psycopg.errors.CheckViolation)
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    assert numbers(fleet_dsn) == [1, 2, 3, 4, 6, 7, 8]
    assert asked(fleet_dsn, "SELECT seq FROM gridbot.shipped") == [(8,)]


def test_rows_that_came_long_ago_go_and_their_sums_stay(tmp_path, fleet_dsn, monkeypatch):
    """Whatever the clock of the host that recorded them says: one that is months behind loses nothing."""
    monkeypatch.setattr(record_shipper, "FORGOTTEN", 2)
    recorder = make_recorder(tmp_path, clock_us=lambda: 1_500_000_000_000_000)
    record_executions(recorder, range(1, 6))
    recorder.record(order("filled", "g-1"))
    recorder.flush()
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
        assert asked(fleet_dsn, "SELECT max(at) < '2018-01-01' FROM gridbot.record") == [(True,)]
        _forgets(shipper)
        assert numbers(fleet_dsn) == [1, 2, 3, 4, 5, 6]
        assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.execution_id") == [(5,)]
        assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.newest WHERE kind = 'orders'") == [(1,)]
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute("UPDATE gridbot.record SET arrived = arrived - interval '31 days' WHERE seq <> 3")
            connection.execute("UPDATE gridbot.newest SET arrived = arrived - interval '61 days'")
        _forgets(shipper)
    assert numbers(fleet_dsn) == [3]
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(5,)]
    assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.newest WHERE kind = 'orders'") == [(0,)]


def _forgets(shipper: RecordShipper) -> None:
    shipper._next_forget = shipper._next_forget_rest = 0.0
    shipper.once()


def test_kill_9_of_writer_and_connection_while_the_database_comes_and_goes(tmp_path, fleet_dsn):
    """The writer goes on without the database, and catches up; a killed one leaves nothing out and nothing twice."""
    place = tmp_path / "dsn"
    place.write_text("postgresql://nobody@127.0.0.1:1/none")  # where no database is
    place.chmod(0o600)
    fleet = FleetConfig(name="tests", host="h1", dsn_file=place)
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 301))
    with writing(tmp_path, fleet=fleet) as writer:
        writer.wait_committed("alice", 300)
        told = writer.wait_health(lambda m: (m.get("shipping") or {}).get("error"), "shipping says what is wrong")
        assert "Connection refused" in told["shipping"]["error"] or "connect" in told["shipping"]["error"]
        place.write_text(fleet_dsn)
        until(lambda: numbers(fleet_dsn), "the first rows are there")
        writer.kill()
    following = start_writer(tmp_path, fleet=fleet)
    try:
        record_executions(recorder, range(301, 451))
        until(lambda: numbers(fleet_dsn)[-1] > 300, "rows of the next writer")
        asked(
            fleet_dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'gridbot h1 records'",
        )
        record_executions(recorder, range(451, 601))
        until(lambda: numbers(fleet_dsn)[-1] > 450, "rows over another connection")
    finally:
        following.kill()
    last = 600
    with writing(tmp_path, fleet=fleet):
        until(lambda: numbers(fleet_dsn) == list(range(1, last + 1)), "every record once")
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(last,)]
