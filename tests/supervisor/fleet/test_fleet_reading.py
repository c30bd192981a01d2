"""The records of all hosts as one DuckDB: the same names and figures as each host's own, each execution once."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

import gridbot
from gridbot.lease.record_floor import first_number
from gridbot.records.record_types import Json, PositionRecord, RunRecord
from gridbot.store import fleet_reading, live_ranges
from gridbot.store.reading import ReadingError
from gridbot.store.wanted_rows import Wanted
from supervisor.cli.main import cli
from supervisor.utc_time import utc_now
from supervisor.web.hosts_records import FleetRecords
from supervisor.web.record_desk import RecordDesk
from tests.store.kit import execution, make_recorder, rows
from tests.supervisor.fleet.test_record_shipper import fleet_at, order, ship_all, shipping

START = RunRecord(
    event="start", about_run_id="r", environment="testnet", version="1", config_hash="", config=Json("{}"), pid=1
)


def test_two_hosts_are_one_database(root, tmp_path, fleet_dsn):
    for host, account, numbers in (("h1", "alice", range(1, 7)), ("h2", "alice", range(4, 10)), ("h2", "bob", (1, 2))):
        data_dir = tmp_path / host
        data_dir.mkdir(exist_ok=True)
        recorder = make_recorder(data_dir, account)
        if account == "bob":
            recorder.record(START)
        for number in numbers:
            recorder.record(execution(number, exchange_ts=1_700_000_000_000 + 86_400_000 * number))
        recorder.record(PositionRecord(strategy="btc", symbol="BTCUSDT", direction="long", size=Decimal(len(numbers))))
        for state in ("new", "filled"):
            recorder.record(order(state, f"g-{state}-{host}"))
        recorder.close()
    for host in ("h1", "h2"):
        with shipping(tmp_path / host, fleet_at(fleet_dsn, host)) as (writer, shipper):
            ship_all(writer, shipper)
    with psycopg.connect(fleet_dsn) as connection:  # of what is too old for rows the sums and the newest rows stay
        connection.execute("DELETE FROM gridbot.record WHERE account = 'bob'")
        connection.execute(
            "INSERT INTO gridbot.host (name, instance, until) VALUES ('h1', 'r', now()), ('h2', 'r', now())"
        )
        connection.execute(
            "UPDATE gridbot.shipping SET complete_to = complete_to - interval '1 hour' WHERE host = 'h1'"
        )
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(fleet_dsn)
    dsn_file.chmod(0o600)
    with gridbot.connect(fleet=dsn_file, locked=True) as con:
        fills = con.execute("SELECT account, exec_id, price, qty, exchange_ts FROM fills ORDER BY qty").fetchall()
        sums = con.execute("SELECT account, sum(fills) FROM pnl_daily GROUP BY ALL ORDER BY ALL").fetchall()
        names = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        every = _rows_of(con)
        sizes = con.execute("SELECT account, size FROM positions ORDER BY ALL").fetchall()
        open_orders = con.execute("SELECT account, order_link_id FROM open_orders ORDER BY ALL").fetchall()
    assert [row[1] for row in fills] == [f"e-{number}" for number in range(1, 10)]
    first = "SELECT account, exec_id, price, qty, exchange_ts FROM fills ORDER BY qty LIMIT 6"
    assert fills[:6] == rows(tmp_path / "h1", first)
    assert sums == [("alice", 9), ("bob", 2)]
    assert sizes == [("alice", 6), ("bob", 2)]
    assert open_orders == [("alice", "g-new-h1"), ("alice", "g-new-h2"), ("bob", "g-new-h2")]
    ours = {name for (name,) in rows(tmp_path / "h1", VIEWS)}
    assert names == ours - {"executions_stored"}, "which is a table there"

    _less_is_asked_where_less_is_wanted(dsn_file, every)
    downloads = tmp_path / "page" / "web" / "downloads"
    downloads.mkdir(parents=True)
    desk = RecordDesk(tmp_path / "page", FleetRecords(lambda: fleet_dsn, downloads))
    document = json.loads(desk.answer({"ask": "fleet"}).body)
    shown = [(row["account"], row["total"]["fills"]) for row in document["strategies"]]
    assert shown == [("alice", 9), ("bob", 2)], "of bob its start is left, which says what kind of money it was"
    assert document["strategies"][1]["money"] == "testnet"
    assert document["problems"] == {}
    rows_of = json.loads(desk.answer({"ask": "rows", "name": "fills", "account": "alice"}).body)
    assert len(rows_of["rows"]) == 9
    assert rows_of["as_of"] <= utc_now()
    pairs = json.loads(desk.answer({"ask": "rows", "name": "pairs", "account": "alice"}).body)
    assert pairs["problem"] == ""
    made = desk.answer({"ask": "rows", "name": "fills", "account": "alice", "format": "csv"})
    assert made.status == 200, made.body
    assert Path(made.file).read_text().count("\n") == 10
    _each_reading_is_a_new_one(fleet_dsn, downloads)
    away = RecordDesk(tmp_path / "page", FleetRecords(lambda: "postgresql://a:secret@127.0.0.1:9/x", downloads))
    told = json.loads(away.answer({"ask": "rows", "name": "fills"}).body)["problem"]
    assert "the fleet's database" in told
    assert "secret" not in told

    file = tmp_path / "conf" / "h1.yaml"
    file.parent.mkdir()
    file.write_text(
        f"fleet: {{name: tests, host: h1, dsn_file: {dsn_file}}}\nstorage: {{data_dir: {tmp_path / 'h1'}}}\n"
    )
    page = (root / "docs" / "fleet-records.md").read_text()
    [line] = re.findall(r"^bin/gridbot-supervisor (sql --fleet .*)$", page, re.MULTILINE)
    words = [str(file) if word == "fleet-demo/h1.yaml" else word for word in shlex.split(line)]
    said = CliRunner().invoke(cli, [*words, "--format", "json"])
    assert said.exit_code == 0, said.output
    shown = sorted((row["account"], row["fills"]) for row in json.loads(said.stdout))
    assert shown == [("alice", 9), ("bob", 2)]
    assert "note: host h1: 36" in said.stderr
    assert "h2" not in said.stderr


def _each_reading_is_a_new_one(dsn: str, downloads: Path) -> None:
    """With empty tables that the first has kept, or, where they cannot be, with its own."""
    for place in (downloads, downloads / "is-not-there"):
        now_s = 0.0
        page = FleetRecords(lambda: dsn, place, clock=lambda: now_s, work=lambda: 0.0)  # noqa: B023 - called before it changes
        made = []
        for _ in range(2):
            with page.reading() as con:
                assert con.execute("SELECT count(*) FROM fills").fetchone() == (9,)
                assert con.execute("SELECT sum(fills) FROM pnl_daily").fetchone() == (11,)
                con.execute("DELETE FROM executions_stored")
            made += [file.stat().st_mtime_ns for file in place.glob("tables.duckdb*")]
            now_s += 3600.0
        assert len(made) == 2 * place.is_dir()
        assert len(set(made)) <= 1


def _less_is_asked_where_less_is_wanted(dsn_file: Path, every: dict[str, list[str]]) -> None:
    """The same rows by Arrow and without it, and of what is wanted; of other kinds there is no table."""
    with fleet_reading.connect_fleet(dsn_file, wanted=Wanted(small=True)) as con:
        assert _rows_of(con) == every
    with gridbot.connect(fleet=dsn_file, tables=["pnl_daily", "fills"]) as con:
        assert _rows_of(con, "pnl_daily", "fills") == {name: every[name] for name in ("pnl_daily", "fills")}
        with pytest.raises(duckdb.CatalogException, match="orders_stored does not exist"):
            con.execute("FROM orders")
    for wanted, told in (
        ({"tables": "filz"}, r"tables: expected one of .*\bfills\b.*, got 'filz'"),
        ({"tables": ["fills", "order"]}, r"tables: expected one of .*\borders\b.*, got 'order'"),
        ({"accounts": ["bob", "alcie"]}, "accounts: expected one of alice, bob, got 'alcie'"),
    ):
        with pytest.raises(ReadingError, match=told):
            gridbot.connect(fleet=dsn_file, **wanted)
    soon = datetime.now(UTC) + timedelta(hours=1)
    with gridbot.connect(fleet=dsn_file, accounts="alice", since=soon) as con:
        rest = {name: [row for row in every[name] if row.startswith("('alice'")] for name in OF_NOW}
        assert _rows_of(con, "fills", *OF_NOW) == {"fills": [], **rest}


def _rows_of(con: duckdb.DuckDBPyConnection, *views: str) -> dict[str, list[str]]:
    """By view its rows."""
    names = views or ("fills", "pnl_daily", "orders", *OF_NOW)
    return {name: sorted(map(repr, con.execute(f"SELECT * FROM {name}").fetchall())) for name in names}


OF_NOW = ("positions", "open_orders", "runs")
VIEWS = "SELECT view_name FROM duckdb_views() WHERE NOT internal"


def test_rows_come_by_ranges_of_one_moment(fleet_dsn, monkeypatch):
    """Accounts of several holders, of which files have some: each row that is in none comes once, few at a time."""
    monkeypatch.setattr(live_ranges, "SPANS_AT_ONCE", 3)
    with psycopg.connect(fleet_dsn, autocommit=True) as connection:
        for account, host, first, last, in_files in (
            ("a", "h1", 1, 9, 4), ("a", "h2", first_number(2) + 1, first_number(2) + 8, None), ("b", "h1", 1, 1, 1),
            ("c", "h2", 5, 9, 0), ("d", "h1", 1, 2, 1), ("a", "h1", first_number(3) + 1, first_number(3) + 5, 6),
        ):  # fmt: skip
            values = {"account": account, "host": host, "first": first, "last": last, "in_files": in_files}
            connection.execute(ROWS_OF, values)
            connection.execute(TO, values)
            if in_files is not None:
                connection.execute(IN_FILES, values)
        for live, where in ((False, "true"), (True, "r.seq > coalesce(h.seq, 0)")):
            every = "SELECT account, r.seq FROM gridbot.record AS r LEFT JOIN gridbot.history_at AS h"
            wanted = connection.execute(f"{every} USING (host, account) WHERE {where}".encode()).fetchall()
            spans = live_ranges.spans_of(connection, live=live)
            for most in (1, 3, 7, 100):
                found = [
                    connection.execute(live_ranges.COPIED, values).fetchall()
                    for values in live_ranges.statements(connection, spans, rows=most)
                ]
                assert sorted(row[:2] for rows in found for row in rows) == sorted(wanted), (live, most)
                assert max(map(len, found)) <= max(most, 3)
            [kinds] = live_ranges.statements(connection, spans[:1], ["orders"], 100)
            assert connection.execute(live_ranges.COPIED, kinds).fetchall() == []

        def between(reading, spans, *_, **more):
            for values in statements(reading, spans, rows=3, **more):
                yield values
                connection.execute(ROWS_OF, {"account": "d", "host": "h1", "first": 50, "last": 50})

        statements = live_ranges.statements
        monkeypatch.setattr(fleet_reading, "statements", between)
        count = "SELECT count(*) FROM executions"
        with gridbot.connect(fleet=fleet_dsn) as con:
            assert con.execute(count).fetchone() == (30,)
        monkeypatch.undo()
        with gridbot.connect(fleet=fleet_dsn) as con:
            assert con.execute(count).fetchone() == (31,)


ROWS_OF = """
    INSERT INTO gridbot.record (account, epoch, seq, origin, host, kind, at, body)
    SELECT %(account)s, seq >> 31, seq, '', %(host)s, 'executions', now(),
        jsonb_build_object('run_id', 'r', 'seq', seq, 'local_ts', 1, 'data', '{}'::jsonb)
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS seq ON CONFLICT DO NOTHING
"""
TO = """
    INSERT INTO gridbot.shipped (host, account, seq) VALUES (%(host)s, %(account)s, %(last)s)
    ON CONFLICT (host, account) DO UPDATE SET seq = excluded.seq
"""
IN_FILES = """
    INSERT INTO gridbot.history_at (host, account, seq) VALUES (%(host)s, %(account)s, %(in_files)s)
    ON CONFLICT (host, account) DO UPDATE SET seq = excluded.seq
"""


def test_what_is_wrong_is_said_without_the_password(tmp_path, postgres):
    from tests.fleet_database import new_database

    for dsn, told in (
        ("postgresql://me:secret-word@127.0.0.1:1/none", "the fleet's database: "),
        (new_database(postgres, template="template1"), "got none: fleet init makes them"),
        ("postgresql://me:secret-word@db.example/none", "an encrypted connection to db.example.* got no sslmode"),
        ("host=127.0.0.1 password=x secret-word", "expected a libpq URI .* got something else"),
        (str(tmp_path / "missing"), "or a file that has one, got: No such file"),
    ):
        with pytest.raises(ReadingError, match=told) as failed:
            gridbot.connect(fleet=dsn)
        assert "secret-word" not in str(failed.value)
