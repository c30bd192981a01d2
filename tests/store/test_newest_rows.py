"""The newest rows of large tables are a part of their own: wherever it begins, views say every row once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gridbot.store import newest_moves
from gridbot.store.commit import commit
from gridbot.store.database import Database
from gridbot.store.grid_keeping import keep_all
from gridbot.store.newest_moves import move_newest
from gridbot.store.newest_rows import LARGE, newest_from
from tests.store.grid_kit import FEW, answer
from tests.store.test_landing import batch, emptied, numbered, session_bodies, store

ASKED = ("executions", "orders", "grid_trades", "fills")
GROUP_ROWS, GROUPS = 2048, 20


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with store() as found:
        emptied(found)
        few = [("carol" if account == "alice" else account, record) for account, record in FEW]
        commit(found, batch(numbered(few)))
        commit(found, batch(session_bodies(tmp_path_factory.mktemp("session"))))
        keep_all(found)
        yield found


def begin_at(con: duckdb.DuckDBPyConnection, place: int) -> None:
    for table in LARGE:
        con.execute(f"CREATE OR REPLACE MACRO {newest_from(table)}() AS {place}")


def test_views_say_the_same_wherever_the_newest_rows_begin(con: duckdb.DuckDBPyConnection) -> None:
    expected = {name: answer(con, name) for name in ASKED}
    assert all(len(rows) > 3 for _, rows in expected.values())
    for place in (0, 1, 3, 100):
        begin_at(con, place)
        assert {name: answer(con, name) for name in ASKED} == expected


def test_the_newest_rows_begin_near_the_end_again(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a table has grown, and where rows were deleted."""
    monkeypatch.setattr(newest_moves, "NEWEST", 2)
    monkeypatch.setattr(newest_moves, "MOST", 3)
    counts = [con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in LARGE]
    assert min(counts) > 3
    for before in (0, 100):
        begin_at(con, before)
        move_newest(con)
        places = [con.execute(f"SELECT {newest_from(table)}()").fetchall()[0][0] for table in LARGE]
        assert places == [count - 2 for count in counts]


def test_a_question_for_the_newest_rows_reads_them_first_and_passes_over_the_others(tmp_path: Path) -> None:
    """Also where the view has a third part, the landed rows: of orders all were read."""
    bodies = session_bodies(tmp_path)
    database = Database(tmp_path / "many.duckdb", group_rows=GROUP_ROWS)
    database.prepare()
    with database.open() as con:
        commit(con, batch(bodies))
        for table in LARGE[:2]:
            columns = "* EXCLUDE (k) REPLACE (CAST(k AS BIGINT) AS seq)"
            some = f"(SELECT * FROM {table} LIMIT 1), range(1000, {1000 + GROUP_ROWS * GROUPS}) AS numbers(k)"
            con.execute(f"INSERT INTO {table} BY NAME SELECT {columns} FROM {some} ORDER BY k")
        begin_at(con, GROUP_ROWS * (GROUPS - 1))
        for view in ("orders", "executions"):
            asked = f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT seq FROM {view} ORDER BY seq DESC LIMIT 5"
            [(_, profile)] = con.execute(asked).fetchall()
            assert sum(map(int, re.findall(r'"rows_scanned": *(\d+)', profile))) < 4 * GROUP_ROWS
    database.close()
