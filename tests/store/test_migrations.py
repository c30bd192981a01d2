"""Databases of earlier versions: brought up to date in one step, with a copy of what they were.

`schema_v<N>.sql` are the tables of each version, as DuckDB tells them. For a new version:
`python -m tests.store.test_migrations > tests/store/schema_v<N>.sql`
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.store.database import Database
from gridbot.store.grid_tables import PAIRS
from gridbot.store.kept_ids import IDS, kept_from, rows_query
from gridbot.store.migrations import MIGRATIONS, SCHEMA_VERSION, Migration, NoRoomForCopy
from gridbot.store.reading import connect, database_path
from gridbot.store.rollups import ROLLUPS
from gridbot.store.row_contexts import CONTEXTS, CONTEXTS_AGAIN, ROWS, rows_of_version_9, whole_rows
from gridbot.store.schema import STORAGE_VERSION, ensure_schema
from gridbot.store.sql_columns import OFFSETS, as_stored
from gridbot.store.stored_views import STORED_VIEWS
from supervisor.store.maintenance import vacuum
from tests.examples import examples
from tests.fork_server import run_program
from tests.store.kit import execution, make_recorder, put_executions, rows, start_writer, until
from tests.store.session import make_session, write_all

HERE = Path(__file__).parent
D = Decimal


def tables_now() -> str:
    """The tables of a new database, one column a line."""
    with duckdb.connect() as con:
        ensure_schema(con)
        found = con.execute("SELECT sql FROM duckdb_tables() ORDER BY table_name").fetchall()
    return "".join(sql.replace(", ", ",\n    ").replace("(", "(\n    ", 1) + "\n" for (sql,) in found)


PROFIT_BEFORE_FEES = (8, 9)
"""Versions that kept matched pairs as they are, but for that."""


def old_database(data_dir: Path, version: int = 1) -> Path:
    """A file as gridbot of that version left it, with 30 executions, two orders and a position of alice."""
    path = database_path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    named = as_stored if version >= 5 else str
    with duckdb.connect() as con:
        con.execute(f"ATTACH '{path}' AS old (STORAGE_VERSION '{STORAGE_VERSION}')")
        con.execute("USE old")
        con.execute((HERE / f"schema_v{version}.sql").read_text())
        if version >= 5:
            [offsets] = [view for view in STORED_VIEWS if view.name == OFFSETS]
            con.execute(f"CREATE VIEW {OFFSETS} AS {offsets.sql}")
        if version >= 9:
            rows = whole_rows() if version >= 10 else rows_of_version_9(ROWS, CONTEXTS)
            con.execute(f"CREATE VIEW {as_stored('executions')} AS {rows}")
        con.execute("INSERT INTO schema_versions VALUES (?, 'old', '0.0.9', TIMESTAMP '2026-01-01')", [version])

        def put(table: str, query: str) -> None:
            """Rows with ids as texts, as that version stores them."""
            if table == "executions" and version >= 10:
                return put_executions(con, f"SELECT * FROM {query}")
            if table == "executions" and version == 9:
                return put_as_version_9(con, query)
            stored = kept_from(table, dict.fromkeys(IDS[table], "VARCHAR"), query) if version >= 8 else f"FROM {query}"
            con.execute(f"INSERT INTO {named(table)} BY NAME {stored}")
            return None

        con.execute(f"INSERT INTO {named(OFFSETS)} VALUES ('alice', 33, TIMESTAMP '2026-01-01')")
        put(
            "executions",
            """(
            SELECT 'alice' AS account, 'r' AS run_id, i AS seq, TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR AS local_ts,
                'btc' AS strategy, 'BTCUSDT' AS symbol, 'e-' || i AS exec_id, 'o' AS order_id, 'l' AS order_link_id,
                'long' AS direction, 'Buy' AS side, 100 + i AS price, 0.5 AS qty, 0 AS leaves_qty, 0 AS closed_size,
                0.01 AS fee, 0.25 AS realised_pnl, 'Trade' AS exec_type, true AS is_maker, false AS shadow,
                'stream' AS "source", TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR AS exchange_ts
            FROM range(1, 31) r(i))""",
        )
        order = "'alice', 'r', {0}, now()::TIMESTAMP, 'btc', 'BTCUSDT', 'l-{0}', 'o-{0}', 'long', 'Buy', 100, 1, 0, "
        for seq, state in ((31, "open"), (32, "filled")):
            put(
                "orders",
                f"(FROM (VALUES ({order.format(seq)} false, '{state}', 1, '', false)) AS made("
                "account, run_id, seq, local_ts, "
                "strategy, symbol, order_link_id, order_id, direction, side, price, qty, cum_exec_qty, reduce_only, "
                "state, attempt, reason, shadow))",
            )
        con.execute(
            f"INSERT INTO {named('position_events')} (account, run_id, seq, local_ts, strategy, symbol, direction, "
            "size, multiplier_buy, multiplier_sell, rule, shadow, source) "
            "VALUES ('alice', 'r', 33, now()::TIMESTAMP, 'btc', 'BTCUSDT', 'long', 15, 1, 1, '', false, 'rest')"
        )
        if version in PROFIT_BEFORE_FEES:
            con.execute(f"""
                INSERT INTO {PAIRS} VALUES ('alice', 'btc', 'BTCUSDT', 'long', false, 1, 100, 103, 3, 1, TIMESTAMP
                '2026-01-01', TIMESTAMP '2026-01-02', 1, 2, 'a', 'b', uuid(), uuid(), NULL)""")
        for rollup in ROLLUPS if version > 1 else ():
            if rollup.source != "corrections":  # of version 3
                for statement in rollup.statements(named(rollup.source)):
                    con.execute(statement.replace(rollup.table, named(rollup.name)))
    return path


def put_as_version_9(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Executions of one context, with ids as texts."""
    own = "account, run_id, strategy, symbol, direction, side, exec_type, is_maker, shadow, source"
    con.execute(f"INSERT INTO {CONTEXTS} BY NAME SELECT DISTINCT 1 AS context, {own} FROM {query}")
    kept = kept_from("executions", dict.fromkeys(("exec_id", "order_id"), "VARCHAR"), query)
    con.execute(f"""
        INSERT INTO {ROWS} BY NAME
        SELECT 1 AS context, closed_size AS closed_part, * EXCLUDE ({own}, closed_size) FROM ({kept})""")


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob("gridbot.version-*"))


COLUMNS = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()"


@pytest.fixture(scope="module")
def new_columns() -> set[tuple[Any, ...]]:
    """Table, name and type of each column of a new database."""
    with duckdb.connect() as con:
        ensure_schema(con)
        return {*con.execute(COLUMNS).fetchall()}


KEPT = range(1, SCHEMA_VERSION) if examples(1) > 1 else (1, 4, 5, SCHEMA_VERSION - 1)
"""The first; before rows had other names than their views, and after that; the newest. By `--long` each."""


@pytest.mark.parametrize("version", KEPT)
def test_a_file_of_an_earlier_version_keeps_its_rows_and_answers_like_a_new_one(
    tmp_path: Path, version: int, new_columns: set[tuple[Any, ...]]
) -> None:
    """And a copy of the file as it was is kept, once."""
    path = old_database(tmp_path, version)
    table = as_stored("executions") if version >= 5 else "executions"  # views are made at each start
    source = rows_query("executions", table) if version >= 8 else f"FROM {table}"  # with ids as texts
    with connect(path) as con:
        columns = ", ".join(name for name, *_ in con.execute(f"SELECT column_name FROM (DESCRIBE {source})").fetchall())
        before = con.execute(f"SELECT {columns} FROM ({source}) ORDER BY seq").fetchall()
    was = path.read_bytes()
    for _ in range(2):
        Database(path).prepare()
    expected: dict[str, list[Any]] = {
        f"SELECT {columns} FROM executions ORDER BY seq": before,
        "SELECT max(version) FROM schema_versions": [(SCHEMA_VERSION,)],
        "SELECT sum(fills), sum(realised_pnl), sum(fees) FROM pnl_daily": [(30, D("7.5"), D("0.3"))],
        "SELECT size FROM positions": [(D(15),)],
        "SELECT order_link_id FROM open_orders": [("l-31",)],
        "SELECT count(*) FROM alerts": [(0,)],
        "SELECT profit, fees, net_profit FROM grid_trades": [(D(3), D(1), D(2))] * (version in PROFIT_BEFORE_FEES),
    }
    with connect(path) as con:
        assert {query: con.execute(query).fetchall() for query in expected} == expected
        assert new_columns - {*con.execute(COLUMNS).fetchall()} == set()
    [copy] = copies(path)
    assert copy.name.startswith(f"gridbot.version-{version}-")
    assert copy.read_bytes() == was
    assert rows(copy, "SELECT max(version) FROM schema_versions") == [(version,)]


def test_a_file_of_the_first_program_of_version_9_has_contexts_once(tmp_path: Path) -> None:
    path = old_database(tmp_path, 9)
    with duckdb.connect(str(path)) as con:
        con.execute(f"DROP TABLE {CONTEXTS_AGAIN}")
    Database(path).prepare()
    assert rows(path, "SELECT sum(fee), min(order_link_id) FROM executions") == [(D("0.3"), "l")]


def test_records_go_on_behind_those_of_the_old_file(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    recorder = make_recorder(tmp_path)
    recorder.journal.directory.mkdir(exist_ok=True)
    for number in range(1, 41):
        recorder.record(execution(number))
    recorder.flush()
    recorder.close()
    write_all(tmp_path)
    assert rows(path, "SELECT count(*), count(DISTINCT seq), max(seq) FROM executions") == [(37, 37, 40)]
    assert rows(path, "SELECT sum(executions) FROM daily_sums") == [(37,)]


def answers_of_the_session(data_dir: Path) -> dict[str, set[frozenset[tuple[str, str]]]]:
    """What each table and view with accounts says of alice and bob, after the sample session."""
    make_session(data_dir)
    names = """
        SELECT DISTINCT table_name FROM duckdb_columns()
        WHERE column_name = 'account' AND NOT internal AND database_name = current_database()
            AND table_name <> 'landed' ORDER BY ALL"""
    found = {}
    with connect(data_dir) as con:
        for (name,) in con.execute(names).fetchall():
            kept = "COLUMNS(lambda c: c NOT IN ('updated_at', 'last_sign', 'up_seconds', 'up_percent'))"
            found_rows = con.execute(f"SELECT {kept} FROM {name} WHERE account IN ('alice', 'bob')")
            columns = [column for column, *_ in found_rows.description or ()]
            found[name] = {frozenset(zip(columns, map(str, row), strict=True)) for row in found_rows.fetchall()}
    return found


@pytest.fixture(scope="module")
def new_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[frozenset[tuple[str, str]]]]:
    return answers_of_the_session(tmp_path_factory.mktemp("new"))


FILLED = range(1, SCHEMA_VERSION + 1) if examples(1) > 1 else (1, SCHEMA_VERSION - 1)
"""Columns that came later are missing in the first version, all of them; by `--long` each version is filled, also that
of today."""


@pytest.mark.parametrize("version", FILLED)
def test_an_old_file_is_filled_as_a_new_one_is(tmp_path: Path, version: int, new_answers: dict[str, Any]) -> None:
    """Records of all kinds, with the columns that came later, behind rows that lack them; each table and view has them.

    When the writer wrote last, and how long a run is up by that, is the machine's clock: left out.
    """
    path = old_database(tmp_path, version)
    with duckdb.connect(str(path)) as con:
        has_account = """
            SELECT table_name FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (table_name)
            WHERE column_name = 'account'"""
        for (table,) in con.execute(has_account).fetchall():
            con.execute(f"UPDATE {table} SET account = 'carol'")
    old = answers_of_the_session(tmp_path)
    known = {"executions", "fills", "grid_trades", "pnl_daily", "corrected_executions", "daily_sums"}
    assert known <= new_answers.keys()
    assert [name for name in new_answers if old.get(name) != new_answers[name]] == []
    assert rows(path, "SELECT sum(fills) FROM pnl_daily WHERE account = 'carol'") == [(30,)], "the old rows"


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_database(tmp_path)
    bad = Migration(2, "", ("DELETE FROM executions", "DELETE FROM no_such_table"))
    monkeypatch.setattr("gridbot.store.migrations.MIGRATIONS", (MIGRATIONS[0], bad))
    with pytest.raises(duckdb.CatalogException):
        Database(path).prepare()
    assert rows(path, "SELECT count(*) FROM executions") == [(30,)]
    assert rows(path, "SELECT max(version) FROM schema_versions") == [(1,)]


def test_statements_of_a_step_run_before_what_is_missing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = old_database(tmp_path)
    step = Migration(2, "", ("UPDATE executions SET fee = fee * 2",))
    monkeypatch.setattr("gridbot.store.migrations.MIGRATIONS", (MIGRATIONS[0], step))
    Database(path).prepare()
    assert rows(path, "SELECT sum(fees) FROM pnl_daily") == [(D("0.6"),)]


def test_a_step_whose_process_is_killed_before_its_log_is_in_the_file_is_done(tmp_path: Path) -> None:
    """The step is in the write-ahead log alone: renamed tables, and views in their place."""
    path = old_database(tmp_path, SCHEMA_VERSION - 1)
    program = """
import os, sys, duckdb
from gridbot.store.schema import ensure_schema
con = duckdb.connect(sys.argv[1])
con.execute("SET checkpoint_threshold = '1GB'")
ensure_schema(con)
os.kill(os.getpid(), 9)
"""
    assert run_program(program, str(path)) == -signal.SIGKILL
    assert path.with_name(f"{path.name}.wal").stat().st_size > 0
    assert rows(path, "SELECT sum(fills) FROM pnl_daily") == [(30,)], "a reader has the log too"
    Database(path).prepare()
    assert not path.with_name(f"{path.name}.wal").exists()
    assert rows(path, "SELECT count(*) FROM executions_stored") == [(30,)]
    assert rows(path, "SELECT order_link_id FROM open_orders") == [("l-31",)]


def test_without_room_for_a_copy_nothing_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = old_database(tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr("gridbot.store.migrations.shutil.disk_usage", lambda _: full)
    with pytest.raises(NoRoomForCopy, match=r"MB free for a copy before that, got 0 MB: make room"):
        Database(path).prepare()
    assert rows(path, "SELECT max(version) FROM schema_versions") == [(1,)]
    assert copies(path) == []


def test_the_writer_process_brings_a_file_up_to_date_by_itself(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    writer = start_writer(tmp_path)
    try:
        until(lambda: writer.poll().get("type") in ("ready", "health"), "the writer")
        until(lambda: rows(path, "SELECT max(version) FROM schema_versions") == [(SCHEMA_VERSION,)], "the new version")
    finally:
        writer.kill()
    assert len(copies(path)) == 1


def test_vacuum_of_an_old_file_keeps_its_copy_beside_it(tmp_path: Path) -> None:
    path = old_database(tmp_path)
    vacuum(tmp_path)
    assert rows(path, "SELECT sum(fills) FROM pnl_daily") == [(30,)]
    assert len(copies(path)) == 1


def test_a_change_of_the_tables_is_a_new_version_or_stands_in_the_file_of_this_one() -> None:
    """An earlier program of the same version must be able to write beside: new columns nullable, none gone.

    Where that is so, write the newest file again (see the module); otherwise add a Migration.
    """
    newest = f"schema_v{SCHEMA_VERSION}.sql"
    assert tables_now() == (HERE / newest).read_text()
    page = (HERE.parents[1] / "docs" / "where-a-change-goes.md").read_text(encoding="utf-8")
    assert set(re.findall(r"schema_v\d+\.sql", page)) == {newest}


def test_versions_are_counted_without_gaps() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, SCHEMA_VERSION + 1))


if __name__ == "__main__":
    sys.stdout.write(tables_now())


def test_each_process_sees_the_same_tables() -> None:
    """Otherwise each start of the writer would make all tables and views anew, and write that it did."""
    program = "from gridbot.store.schema import fingerprint; print(fingerprint())"
    command = [sys.executable, "-c", program]
    ran = [
        subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    ]
    assert len(ran[0].strip()) == 16
    assert set(ran) == {ran[0]}
