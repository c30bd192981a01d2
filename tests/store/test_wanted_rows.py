"""Which kinds of records a question can concern: none too few, by what DuckDB itself finds in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.schema import ensure_schema
from gridbot.store.sql_columns import as_stored
from gridbot.store.wanted_rows import Wanted, kinds_of


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        ensure_schema(con, from_rows=True)
        yield con


def test_each_view_has_the_kinds_that_duckdb_finds_in_it(con):
    seen = 0
    for (view,) in con.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
        question = f'SELECT * FROM "{view.upper()}"'
        try:
            tables = con.get_table_names(question)
        except duckdb.BinderException:
            continue  # it cannot tell of joins of some views
        seen += 1
        kinds = kinds_of(con, question)
        assert kinds is not None
        assert {as_stored(kind) for kind in kinds} >= tables & {as_stored(kind) for kind in RECORD_TYPES}, view
    assert seen > 30


def test_what_is_only_told_when_it_runs_and_what_looks_at_all_has_all(con):
    for question in (None, "FROM query_table('fi' || 'lls')", "SHOW TABLES", "PIVOT fills ON symbol USING count(*)",
                     "SELECT * FROM duckdb_tables()", "FROM information_schema.columns", "DESCRIBE fills"):  # fmt: skip
        assert kinds_of(con, question) is None, question
    assert kinds_of(con, "SELECT 1") == frozenset()
    assert kinds_of(con, "WITH a AS (FROM Fills) FROM a JOIN main.wallets USING (account)") == {
        "executions", "corrections", "wallets"
    }  # fmt: skip


def test_conditions_on_files():
    assert Wanted().of_files("orders") == ""
    at = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2)))
    assert Wanted(None, ("ann", "o'b"), at).of_files("orders") == (
        " WHERE account IN ('ann', 'o''b') AND day >= DATE '2026-01-01'"
        " AND local_ts >= TIMESTAMP '2026-01-01 23:00:00.000000'"
    )
    assert Wanted(since=datetime(2026, 1, 2)).since_utc == datetime(2026, 1, 2, tzinfo=UTC)  # noqa: DTZ001 - as people write it
    assert Wanted(since=at).of_files("run_events") == "", "starts say what kind of money it was"
