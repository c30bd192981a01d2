"""Records that a backtest puts into its tables by columns become the rows that a worker's frames become."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import duckdb
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.backtest.record_columns import KeptRecords, PackedRecords, put_records
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.bulk import load
from gridbot.store.schema import create_table_sql
from gridbot.store.sql_columns import as_stored
from tests.examples import examples
from tests.records.test_codec import any_record
from tests.store.kit import execution
from tests.store.test_bulk import storable

REJECTS = "ingest_rejects (account VARCHAR, seq BIGINT, tbl VARCHAR, error VARCHAR, body VARCHAR, put_at TIMESTAMP)"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "1"}) as made:
        made.execute("CREATE TABLE ingest_offsets_stored (account VARCHAR PRIMARY KEY, seq BIGINT, put_at TIMESTAMP)")
        made.execute(f"CREATE TABLE {REJECTS}")
        for table in RECORD_TYPES:
            made.execute(create_table_sql(table))
        yield made


def rows(con: duckdb.DuckDBPyConnection, table: str) -> list[Any]:
    listed = "* EXCLUDE (rowid)" if table == "executions_stored" else "*"
    found = con.execute(f"SELECT {listed} FROM {table} ORDER BY rowid").fetchall()
    con.execute(f"TRUNCATE {'execution_rows_stored' if table == 'executions_stored' else table}")
    return found


def kept(*records: Any) -> KeptRecords:
    """Numbered in their order; every other one is the JSON that is made of an order that is sent."""
    tables: dict[str, list[Any]] = {}
    for seq, record in enumerate(records, start=1):
        text = orjson.dumps(record, default=str) if seq % 2 else record
        tables.setdefault(record.TABLE, []).append((seq, 1000 + seq, text))
    return KeptRecords("al'ice", "r\n1", len(records), tables)


def packed(*parts: KeptRecords) -> PackedRecords:
    """These, one after the other."""
    made = PackedRecords(parts[0].account, parts[0].run_id)
    for part in parts:
        made.add(part)
    return made


def test_they_are_the_same_rows(con: duckdb.DuckDBPyConnection) -> None:
    @settings(max_examples=examples(6), deadline=None)
    @given(records=st.lists(any_record().filter(storable), min_size=1, max_size=5))
    def same(records: list[Any]) -> None:
        made = kept(*records)
        put_records(con, packed(made))
        for table, bodies in made.bodies().items():
            by_columns = rows(con, as_stored(table))
            load(con, table, bodies)
            assert by_columns == rows(con, as_stored(table))
        assert rows(con, "ingest_offsets_stored")[0][:2] == ("al'ice", len(records))

    same()


def test_what_fits_no_table_costs_itself_alone(con: duckdb.DuckDBPyConnection) -> None:
    first, wrong, last = kept(execution(1), replace(execution(2), price=Decimal("1e40")), execution(3)).tables[
        "executions"
    ]
    parts = [KeptRecords("al'ice", "r", each[0], {"executions": [each]}) for each in (first, wrong, last)]
    put_records(con, packed(*parts))
    found = rows(con, "executions_stored")
    put_records(con, packed(parts[0]))
    assert [row[2] for row in found] == [1, 3]
    assert found[:1] == rows(con, "executions_stored"), "what is put again one by one is the same"
    assert [row[1:3] for row in rows(con, "ingest_rejects")] == [(2, "executions")]
