"""What a transaction has put into a table is found by where DuckDB numbers such rows, however many there are."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from gridbot.store.commit import _first_uncommitted, _fresh


@pytest.mark.parametrize("new", [1, 3_000, 130_000])
def test_the_rows_of_a_transaction_are_found_among_all(tmp_path: Path, new: int) -> None:
    """130,000 are more than a row group: DuckDB writes those into the file before the commit."""
    numbers = "INSERT INTO executions_stored SELECT i, i % 7 FROM range({}, {}) r(i)"
    with duckdb.connect(str(tmp_path / "some.duckdb"), config={"threads": 1}) as con:
        con.execute("CREATE TABLE executions_stored (n BIGINT, rest BIGINT)")
        con.execute(numbers.format(0, 140_000))
        con.execute("CHECKPOINT")
        con.execute("DELETE FROM executions_stored WHERE n % 3 = 0")
        first = 140_000
        for _ in range(2):
            con.begin()
            con.execute(numbers.format(first, first + new))
            found = con.execute(f"SELECT count(*), min(n), max(n) FROM {_fresh('executions')}").fetchall()
            assert found == [(new, first, first + new - 1)]
            con.commit()
            assert con.execute(f"SELECT count(*) FROM {_fresh('executions')}").fetchall() == [(0,)]
            first += new


def test_committed_rows_are_counted_far_below() -> None:
    assert _first_uncommitted() > 2**50
