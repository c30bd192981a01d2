from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.records.columns import ColumnKind, columns_of
from gridbot.store import bulk
from gridbot.store.bulk import LOAD_FROM, append, load
from gridbot.store.commit import Rows, commit
from gridbot.store.database import Database
from gridbot.store.schema import create_table_sql
from gridbot.store.sql_columns import as_stored
from tests.examples import examples
from tests.records.test_codec import any_record
from tests.store.kit import execution


def storable(record: Any) -> bool:
    """Whether every number fits DECIMAL(38, 12)."""
    return all(
        abs(value) < 10**25
        for column in columns_of(type(record))
        if column.kind is ColumnKind.DECIMAL and (value := getattr(record, column.name)) is not None
    )


def stored(con: duckdb.DuckDBPyConnection, fill: Any, table: str, bodies: list[bytes]) -> list[Any]:
    con.execute(create_table_sql(table))
    con.execute(f"TRUNCATE {as_stored(table)}")
    fill(con, table, bodies)
    return con.execute(f"SELECT * FROM {as_stored(table)} ORDER BY rowid").fetchall()


@settings(max_examples=examples(15), deadline=None)
@given(records=st.lists(any_record().filter(storable), min_size=1, max_size=5))
def _same(con: duckdb.DuckDBPyConnection, records: list[Any]) -> None:
    for table in {record.TABLE for record in records}:
        mine = [record for record in records if table == record.TABLE]
        bodies = [codec.encode("al'ice", "r\n1", n, n, record)[16:-1] for n, record in enumerate(mine, start=1)]
        assert stored(con, load, table, bodies) == stored(con, append, table, bodies)


def test_both_ways_store_the_same() -> None:
    with duckdb.connect(config={"threads": "1"}) as con:
        _same(con)


@pytest.mark.parametrize("system", ["no memory files", "no names of open files"])
def test_where_the_system_can_do_less_the_rows_are_the_same(system: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if system == "no memory files":
        monkeypatch.delattr("os.memfd_create")
    else:
        monkeypatch.setattr(bulk, "_OPEN_FILES", tmp_path / "no such place")
    bodies = [codec.encode("alice", "r", n, n, execution(n))[16:-1] for n in range(1, 4)]
    with duckdb.connect(config={"threads": "1"}) as con:
        assert stored(con, load, "executions", bodies) == stored(con, append, "executions", bodies)
    with bulk.memory_file() as (file, path):
        bulk._write_lines(file, bodies)
        file.flush()
        assert Path(path).read_bytes().splitlines() == bodies
        assert len(list(tmp_path.iterdir())) == (system != "no memory files"), "a name would outlive a kill"
    assert not list(tmp_path.iterdir())


def test_a_misfit_in_a_big_batch_costs_itself_only(tmp_path: Any) -> None:
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    bodies = [codec.encode("alice", "r", n, n, execution(n))[16:-1] for n in range(1, LOAD_FROM + 50)]
    bodies[7] = bodies[7].replace(b'"104233.10"', b'"not money"')
    bodies[9] = bodies[9].replace(b'"exec_id":"e-10",', b"")
    bodies[11] = bodies[11].replace(b'"shadow":false,', b"")  # an older frame: the default stands for it
    rows = Rows(tables={"executions": bodies}, offsets={"alice": len(bodies)})
    with database.open() as con:
        commit(con, rows)
        found = [seq for (seq,) in con.execute("SELECT seq FROM executions_stored ORDER BY rowid").fetchall()]
        rejects = con.execute("SELECT seq, error FROM ingest_rejects ORDER BY seq").fetchall()
        assert con.execute("SELECT shadow FROM executions WHERE seq = 12").fetchone() == (False,)
    assert found == [n for n in range(1, LOAD_FROM + 50) if n not in (8, 10)]
    assert [seq for seq, _ in rejects] == [8, 10]
    assert "not money" in rejects[0][1]
    assert "has no" in rejects[1][1] or "exec_id" in rejects[1][1]


@pytest.mark.parametrize("fill", [append, load])
def test_a_body_that_fits_no_row_is_an_error(fill: Any) -> None:
    body = codec.encode("alice", "r", 1, 1, execution(1))[16:-1]
    for bad in (body.replace(b'"exec_id":"e-1",', b""), body.replace(b'"is_maker":true', b'"is_maker":"perhaps"')):
        with duckdb.connect() as con, pytest.raises((CodecError, duckdb.Error)):
            stored(con, fill, "executions", [bad])
