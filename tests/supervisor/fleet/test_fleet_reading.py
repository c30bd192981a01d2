"""The records of all hosts as one DuckDB: the same names and figures as each host's own, each execution once."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

import gridbot
from gridbot.records.record_types import PositionRecord
from gridbot.store.reading import ReadingError
from supervisor.cli.main import cli
from supervisor.utc_time import utc_now
from supervisor.web.hosts_records import FleetRecords
from supervisor.web.record_desk import RecordDesk
from tests.store.kit import execution, make_recorder, rows
from tests.supervisor.fleet.test_record_shipper import fleet_at, order, ship_all, shipping


def test_two_hosts_are_one_database(tmp_path, fleet_dsn):
    for host, account, numbers in (("h1", "alice", range(1, 7)), ("h2", "alice", range(4, 10)), ("h2", "bob", (1, 2))):
        data_dir = tmp_path / host
        data_dir.mkdir(exist_ok=True)
        recorder = make_recorder(data_dir, account)
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
            "UPDATE gridbot.shipping SET complete_to = complete_to - interval '1 hour' WHERE host = 'h1'"
        )
    dsn_file = tmp_path / "dsn"
    dsn_file.write_text(fleet_dsn)
    dsn_file.chmod(0o600)
    with gridbot.connect(fleet=dsn_file, locked=True) as con:
        fills = con.execute("SELECT account, exec_id, price, qty, exchange_ts FROM fills ORDER BY qty").fetchall()
        sums = con.execute("SELECT account, sum(fills) FROM pnl_daily GROUP BY ALL ORDER BY ALL").fetchall()
        names = {name for (name,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()}
        sizes = con.execute("SELECT account, size FROM positions ORDER BY ALL").fetchall()
        open_orders = con.execute("SELECT account, order_link_id FROM open_orders ORDER BY ALL").fetchall()
    assert [row[1] for row in fills] == [f"e-{number}" for number in range(1, 10)]
    first = "SELECT account, exec_id, price, qty, exchange_ts FROM fills ORDER BY qty LIMIT 6"
    assert fills[:6] == rows(tmp_path / "h1", first)
    assert sums == [("alice", 9), ("bob", 2)]
    assert sizes == [("alice", 6), ("bob", 2)]
    assert open_orders == [("alice", "g-new-h1"), ("alice", "g-new-h2"), ("bob", "g-new-h2")]
    views = "SELECT view_name FROM duckdb_views() WHERE NOT internal"
    assert names == {name for (name,) in rows(tmp_path / "h1", views)}

    downloads = tmp_path / "page" / "web" / "downloads"
    downloads.mkdir(parents=True)
    desk = RecordDesk(tmp_path / "page", FleetRecords(lambda: fleet_dsn, downloads))
    document = json.loads(desk.answer({"ask": "fleet"}).body)
    shown = [(row["account"], row["total"]["fills"]) for row in document["strategies"]]
    assert shown == [("alice", 9)], "of bob no row is left that says what kind of money it was"
    assert document["problems"] == {}
    rows_of = json.loads(desk.answer({"ask": "rows", "name": "fills", "account": "alice"}).body)
    assert len(rows_of["rows"]) == 9
    assert rows_of["as_of"] <= utc_now()
    pairs = json.loads(desk.answer({"ask": "rows", "name": "pairs", "account": "alice"}).body)
    assert pairs["problem"] == ""
    made = desk.answer({"ask": "rows", "name": "fills", "account": "alice", "format": "csv"})
    assert made.status == 200, made.body
    assert Path(made.file).read_text().count("\n") == 10
    away = RecordDesk(tmp_path / "page", FleetRecords(lambda: "postgresql://a:secret@127.0.0.1:9/x", downloads))
    told = json.loads(away.answer({"ask": "rows", "name": "fills"}).body)["problem"]
    assert "the fleet's database" in told
    assert "secret" not in told

    file = tmp_path / "conf" / "h1.yaml"
    file.parent.mkdir()
    file.write_text(
        f"fleet: {{name: tests, host: h1, dsn_file: {dsn_file}}}\nstorage: {{data_dir: {tmp_path / 'h1'}}}\n"
    )
    asked = [
        "sql",
        "--fleet",
        "-c",
        str(file),
        "--format",
        "json",
        "SELECT account, fills FROM pnl_by_strategy ORDER BY 1",
    ]
    said = CliRunner().invoke(cli, asked)
    assert said.exit_code == 0, said.output
    assert [tuple(row.values()) for row in json.loads(said.stdout)] == [("alice", 9), ("bob", 2)]
    assert "note: host h1: 36" in said.stderr
    assert "h2" not in said.stderr


def test_what_is_wrong_is_said_without_the_password(tmp_path, postgres):
    from tests.fleet_database import new_database

    for dsn, told in (
        ("postgresql://me:secret-word@127.0.0.1:1/none", "the fleet's database: "),
        (new_database(postgres, template="template1"), "got none: fleet init makes them"),
        (str(tmp_path / "missing"), "or a file that has one, got: No such file"),
    ):
        with pytest.raises(ReadingError, match=told) as failed:
            gridbot.connect(fleet=dsn)
        assert "secret-word" not in str(failed.value)
