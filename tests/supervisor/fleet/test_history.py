"""The history of a fleet as Parquet: every record once, in files or live, whoever is killed and whatever is away."""

from __future__ import annotations

import json
import os
from decimal import Decimal

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

import gridbot
from gridbot.records.record_types import PositionRecord, WalletRecord
from gridbot.store.history_place import PlaceAway
from supervisor.cli.main import cli
from supervisor.fleet import history_writer
from supervisor.fleet.history_writer import HistoryWriter
from supervisor.web.hosts_records import FleetRecords
from supervisor.web.record_desk import RecordDesk
from tests.fleet_database import new_database
from tests.store.kit import execution, make_recorder, record_executions, rows
from tests.supervisor.fleet.history_kit import (
    ALL_IN_FILES,
    PASSES,
    expected,
    files_of,
    history_of,
    ids,
    killed_at,
    more_rows,
    numbers_shown,
    shown,
    write_all,
    yesterday,
)
from tests.supervisor.fleet.test_record_shipper import asked, fleet_at, order, ship_all, shipping

IS_LONG = int(os.environ.get("GRIDBOT_TEST_KILLS", "0")) > 0
"""At each step, and each kill is one of a real process."""
EVERY = 1 if IS_LONG else 3
REAL = 19
"""The step at which a real process is killed in the suite, in the middle of changing files."""


HOSTS = "INSERT INTO gridbot.host (name, instance, until) VALUES ('h1', 'r', now()), ('h2', 'r', now())"


def test_files_and_live_rows_are_one_database(tmp_path, fleet_dsn, place, monkeypatch):
    """Two hosts, two days, the same account: what is asked has the answers of before the files."""
    for host, numbers in (("h1", range(1, 7)), ("h2", range(4, 10))):
        data_dir = tmp_path / host
        data_dir.mkdir()
        recorder = make_recorder(data_dir)
        record_executions(recorder, numbers)
        recorder.record(PositionRecord(strategy="btc", symbol="BTCUSDT", direction="long", size=Decimal(len(numbers))))
        recorder.record(WalletRecord(coin="USDT", equity=Decimal("100.25"), wallet_balance=None))
        recorder.record(order("new", f"g-{host}"))
        recorder.flush()
        with shipping(data_dir, fleet_at(fleet_dsn, host)) as (writer, shipper):
            ship_all(writer, shipper)
            if host == "h1":
                yesterday(fleet_dsn, "seq <= 3")
                monkeypatch.setattr(history_writer, "PART_ROWS", 3)
                files = history_of(fleet_dsn, place)
                before = _answers(fleet_dsn)
                write_all(files)
                assert _answers(fleet_dsn) == before
                record_executions(recorder, (10, 11))  # live rows above the files, of a host that has some
                ship_all(writer, shipper)
                files.drop()
    assert ids(fleet_dsn) == expected(11)
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(11,)]
    downloads = tmp_path / "page" / "web" / "downloads"
    downloads.mkdir(parents=True)
    page = RecordDesk(tmp_path / "page", FleetRecords(lambda: fleet_dsn, downloads))
    told = json.loads(page.answer({"ask": "rows", "name": "fills"}).body)
    assert (len(told["rows"]), told["problem"], told["missing"]) == (11, "", ""), (
        "the page's rows, too, are those of the files"
    )
    names = sorted(str(path.relative_to(place)).rpartition("/")[0] for path in files_of(place))
    assert {name.partition("/")[0] for name in names} == {"executions", "position_events", "wallets", "orders"}
    assert sum(name.startswith("executions/account=alice/day=") for name in names) == 2
    # Any other tool reads them as they are.
    own = f"SELECT exec_id, fee, account FROM read_parquet('{place}/executions/**/*.parquet') ORDER BY qty"
    assert duckdb.execute(own).fetchall() == rows(
        tmp_path / "h1", "SELECT exec_id, fee, account FROM executions ORDER BY qty LIMIT 6"
    )
    types = "SELECT column_name, column_type FROM (DESCRIBE FROM {})"
    of_fleet = shown(fleet_dsn, types.format("executions"))
    assert of_fleet == rows(tmp_path / "h1", types.format("executions"))
    write_all(history_of(fleet_dsn, place, "h2"))
    write_all(history_of(fleet_dsn, place))
    assert ids(fleet_dsn) == expected(11)
    asked(fleet_dsn, f"{HOSTS} RETURNING name")
    [(h1, _, h1_to), (h2, _, _)] = shown(fleet_dsn, "SELECT host, behind_s, history_to FROM fleet_hosts")
    assert (h1, h2) == ("h1", "h2")
    assert h1_to is not None

    # `sql --fleet` reads them too, and what is asked cannot write there.
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(fleet_dsn)
    dsn_file.chmod(0o600)
    conf = tmp_path / "h1.yaml"
    conf.write_text(
        f"fleet: {{name: tests, host: h1, dsn_file: {dsn_file}, history: {place}}}\n"
        f"storage: {{data_dir: {tmp_path / 'h1'}}}\n"
    )
    said = CliRunner().invoke(
        cli, ["sql", "--fleet", "-c", str(conf), "--format", "json", "SELECT count(*) AS n FROM fills"]
    )
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout) == [{"n": 11}]
    with gridbot.connect(fleet=fleet_dsn, locked=True) as con:
        for attempt in ("COPY (SELECT 1) TO 'history://executions/x.csv'", "FROM read_text('/etc/hostname')"):
            with pytest.raises(duckdb.Error):
                con.execute(attempt)
        assert con.execute("FROM glob('history://../dsn')").fetchall() == []


def _answers(dsn):
    with gridbot.connect(fleet=dsn) as con:
        return [
        con.execute(statement).fetchall()
        for statement in (
            "FROM executions ORDER BY ALL", "FROM orders ORDER BY ALL", "FROM wallets ORDER BY ALL",
            "FROM positions ORDER BY ALL", "FROM open_orders ORDER BY ALL", "FROM pnl_daily ORDER BY ALL",
            "SELECT count(*) FROM executions WHERE local_ts < current_date", "FROM ingest_offsets ORDER BY ALL",
        )
    ]  # fmt: skip


def test_parts_of_a_day_that_is_over_become_one_file(tmp_path, fleet_dsn, place, monkeypatch):
    monkeypatch.setattr(history_writer, "PART_ROWS", 5)
    monkeypatch.setattr(history_writer, "SUMS_DAYS", 100_000)
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 31))
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    yesterday(fleet_dsn, "seq <= 20")
    files = history_of(fleet_dsn, place)
    write_all(files)
    assert len(files_of(place)) == 6
    with gridbot.connect(fleet=fleet_dsn) as reader:
        while files.care():
            pass
        days = asked(fleet_dsn, "SELECT rows, state FROM gridbot.history_file ORDER BY state, first")
        assert days == [(5, "gone")] * 4 + [(20, "there"), (5, "there"), (5, "there")]
        assert len(files_of(place)) == 7, "whoever has begun to read has them for some hours"
        assert reader.execute("SELECT count(*) FROM executions").fetchone() == (30,)
    assert ids(fleet_dsn) == expected(30)
    monkeypatch.setattr(history_writer, "GONE_S", -1.0)
    files.care()
    assert len(files_of(place)) == 3
    assert ids(fleet_dsn) == expected(30)
    # A row that comes for that day later is put into it in time.
    record_executions(recorder, (31,))
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    yesterday(fleet_dsn, "seq = 31")
    write_all(files)
    files.care()
    files.care()
    assert ids(fleet_dsn) == expected(31)
    assert len(files_of(place)) == 3


def test_kill_9_at_every_step(tmp_path, fleet_dsn, place, monkeypatch):
    """Between two statements or changes of files, of parts, of putting together and of removing: in the suite, every
    third of them."""
    record_executions(make_recorder(tmp_path), (1, 2))
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    step, last = 1, 2
    with psycopg.connect(fleet_dsn, autocommit=True) as connection, duckdb.connect() as con:
        while True:
            was_killed = killed_at(step, fleet_dsn, place, real=IS_LONG or step == REAL)
            assert numbers_shown(connection, con, place) == list(range(1, last + 1)), step
            if not was_killed:
                break
            step += EVERY
            connection.execute(PASSES)
            if connection.execute(ALL_IN_FILES).fetchone() == (True,):
                last = more_rows(connection, last)
    assert step > 40, "there are as many steps"
    assert last > (6 if IS_LONG else 2)
    monkeypatch.setattr(history_writer, "WRITING_S", -1.0)
    monkeypatch.setattr(history_writer, "GONE_S", -1.0)
    files = history_of(fleet_dsn, place)
    write_all(files)
    while files.care():
        pass
    counting = {path for (path,) in asked(fleet_dsn, "SELECT path FROM gridbot.history_file WHERE state = 'there'")}
    assert {str(path.relative_to(place)) for path in files_of(place)} == counting, "nothing is left over"
    assert ids(fleet_dsn) == expected(last)
    assert asked(fleet_dsn, "SELECT sum(rows) FROM gridbot.history_file WHERE kind = 'executions'") == [(last,)]


def test_sums_of_days_long_past_go_into_files(tmp_path, fleet_dsn, place):
    recorder = make_recorder(tmp_path)
    for number in range(1, 7):
        recorder.record(execution(number, exchange_ts=1_500_000_000_000 + 86_400_000 * number))
    recorder.flush()
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
        files = history_of(fleet_dsn, place)
        write_all(files)
        before = shown(fleet_dsn, "FROM pnl_daily ORDER BY ALL")
        files.care()
        assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.daily_sums") == [(0,)]
        assert shown(fleet_dsn, "FROM pnl_daily ORDER BY ALL") == before
        recorder.record(execution(7, exchange_ts=1_500_000_000_000 + 86_400_000 * 6))
        recorder.flush()
        ship_all(writer, shipper)
    assert shown(fleet_dsn, "SELECT sum(fills)::INT, max(fills)::INT FROM pnl_daily") == [(7, 2)]


def test_a_file_that_names_another_database_is_followed(tmp_path, postgres, place):
    """Else the records of the one that it names now waited for their files for good."""
    dsn_file = tmp_path / "dsn"
    writer = HistoryWriter(fleet_at("", history=str(place), dsn_file=dsn_file))
    try:
        for number in range(2):
            dsn_file.write_text(new_database(postgres))
            dsn_file.chmod(0o600)
            if number:
                with pytest.raises(PlaceAway, match="the mark of another, or of a former database"):
                    writer.once()
            else:
                assert not writer.once()
    finally:
        writer.drop()
