from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.records import codec
from gridbot.records.block_reader import Part, read_block
from gridbot.records.codec import CodecError
from gridbot.records.columns import ColumnKind, columns_of
from gridbot.records.record_block import block_of
from gridbot.store import bulk
from gridbot.store.bulk import LOAD_FROM, append, load, load_parts
from gridbot.store.commit import Rows, commit
from gridbot.store.database import Database
from gridbot.store.kept_ids import rows_query
from gridbot.store.row_contexts import CONTEXT_TABLE, rows_table
from gridbot.store.schema import create_table_sql
from tests.examples import examples
from tests.records.test_codec import any_record
from tests.store.kit import execution, ticker


def storable(record: Any) -> bool:
    """Whether every number fits DECIMAL(38, 12)."""
    return all(
        abs(value) < 10**25
        for column in columns_of(type(record))
        if column.kind is ColumnKind.DECIMAL and (value := getattr(record, column.name)) is not None
    )


def stored(con: duckdb.DuckDBPyConnection, fill: Any, table: str, bodies: list[Any]) -> list[Any]:
    con.execute(create_table_sql(table))
    con.execute(f"TRUNCATE {rows_table(table)}")
    fill(con, table, bodies)
    order = "seq" if table == CONTEXT_TABLE else "rowid"  # those of a commit come from a join, which has no order
    return con.execute(f"{rows_query(table)} ORDER BY {order}").fetchall()


@settings(max_examples=examples(15), deadline=None)
@given(records=st.lists(any_record().filter(storable), min_size=1, max_size=5))
def _same(con: duckdb.DuckDBPyConnection, records: list[Any]) -> None:
    for table in {record.TABLE for record in records}:
        mine = [record for record in records if table == record.TABLE]
        bodies = [codec.encode("al'ice", "r\n1", n, n, record)[16:-1] for n, record in enumerate(mine, start=1)]
        rows = stored(con, append, table, bodies)
        assert stored(con, load, table, bodies) == rows
        half = len(mine) // 2  # of two blocks, which may have different layouts and different values in common
        pieces = [piece for piece in (range(half), range(half, len(mine))) if piece]
        with contextlib.suppress(BlockUnfit):
            parts = [part for piece in pieces for part in _parts(mine, piece)]
            with contextlib.suppress(CodecError):  # what is the same in all may be what cannot stand in a line
                assert stored(con, load_parts, table, parts) == rows


class BlockUnfit(Exception):
    """These records have no form in a block."""


def _parts(records: list[Any], piece: range) -> list[Part]:
    times = [at + 1 for at in piece]
    try:
        return read_block(block_of("al'ice", "r\n1", piece[0] + 1, times, [records[at] for at in piece])).parts
    except CodecError:
        raise BlockUnfit from None


def test_all_ways_store_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    with duckdb.connect(config={"threads": "1"}) as con:
        _same(con)


@pytest.mark.parametrize("changes", [{}, {"fee": Decimal("1.2E-7")}, {"order_id": ""}, {"other_fees": '{"MNT":"0.5"}'}])
def test_lines_of_blocks_go_to_the_database_as_they_are(changes: dict[str, Any], monkeypatch: Any) -> None:
    """Whatever differs from block to block, and whatever is empty, null or small."""
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    monkeypatch.setattr(bulk, "append", None)  # it goes the quick way
    monkeypatch.setattr(bulk, "_PARTS_AT_ONCE", 1)
    found = [
        [execution(n, **(changes if n % 2 else {}), strategy=f"s{first}") for n in range(first, first + 4)]
        for first in (1, 5)
    ]
    parts = [
        part
        for rows in found
        for part in read_block(block_of("a", "r", 1, [n for n, _ in enumerate(rows)], rows)).parts
    ]
    with duckdb.connect(config={"threads": "1"}) as con:
        bodies = [body for part in parts for _, body in part.numbered()]
        assert stored(con, load_parts, "executions", parts) == stored(con, load, "executions", bodies)


@pytest.mark.parametrize("kind", ["executions", "tickers"])
@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines.partition("\r")[2],
        lambda lines: lines + lines.partition("\r")[0] + "\r",
        lambda lines: lines.replace("\r", "\x1f7\r", 1),
        lambda lines: lines.replace("\x1f", "", 1),
        lambda lines: lines.replace("\r", "\x1f7\r"),
    ],
)
def test_lines_that_are_not_what_a_block_says_are_refused(
    kind: str, change: Callable[[str], str], monkeypatch: Any
) -> None:
    """One less or more, or with other values than it has: by the database, and by whoever makes bodies of them."""
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    rows = [(execution if kind == "executions" else ticker)(n) for n in range(1, 30)]
    (part,) = read_block(block_of("alice", "r", 1, [n for n, _ in enumerate(rows)], rows)).parts
    broken = dataclasses.replace(part, lines=change(part.lines))
    with pytest.raises(CodecError):
        broken.numbered()
    with duckdb.connect(config={"threads": "1"}) as con, pytest.raises((CodecError, duckdb.Error)):
        stored(con, load_parts, kind, [broken])


def test_a_misfit_in_a_block_costs_itself_only(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    records = [execution(n, price=Decimal("NaN") if n == 3 else Decimal(n)) for n in range(1, 30)]
    (part,) = read_block(block_of("alice", "r", 1, [n for n, _ in enumerate(records)], records)).parts
    broken = dataclasses.replace(part, lines=part.lines.replace("1\x1f0", "1\x1fx", 1))
    with database.open() as con:
        commit(con, Rows(parts={"executions": [part]}, offsets={"alice": 29}))
        assert con.execute("SELECT list(seq ORDER BY seq) FROM executions_stored").fetchone() == (
            [*range(1, 3), *range(4, 30)],
        )
        assert con.execute("SELECT seq FROM ingest_rejects").fetchall() == [(3,)]
        commit(con, Rows(parts={"executions": [broken]}, offsets={"alice": 30}))
        assert con.execute("SELECT kind FROM ingest_rejects WHERE seq IS NULL").fetchall() == [("executions",)]


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


def test_a_misfit_in_a_big_batch_costs_itself_only(tmp_path: Any, monkeypatch: Any) -> None:
    """And few attempts: each record by itself took the writer half an hour for a full transaction of executions."""
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    bodies = [codec.encode("alice", "r", n, n, execution(n))[16:-1] for n in range(1, LOAD_FROM + 50)]
    bodies[7] = bodies[7].replace(b'"104233.10"', b'"not money"')
    bodies[9] = bodies[9].replace(b'"exec_id":"e-10",', b"")
    bodies[11] = bodies[11].replace(b'"shadow":false,', b"")  # an older frame: the default stands for it
    rows = Rows(tables={"executions": bodies}, offsets={"alice": len(bodies)})
    attempts: list[int] = []

    def counted(con: Any, table: str, some: Any, into: str = "") -> None:
        attempts.append(len(some))
        append(con, table, some, into)

    monkeypatch.setattr("gridbot.store.commit.append", counted)
    with database.open() as con:
        commit(con, rows)
        found = [seq for (seq,) in con.execute("SELECT seq FROM executions_stored ORDER BY rowid").fetchall()]
        rejects = con.execute("SELECT seq, error FROM ingest_rejects ORDER BY seq").fetchall()
        assert con.execute("SELECT shadow FROM executions WHERE seq = 12").fetchone() == (False,)
    assert found == [n for n in range(1, LOAD_FROM + 50) if n not in (8, 10)]
    assert [seq for seq, _ in rejects] == [8, 10]
    assert "not money" in rejects[0][1]
    assert "has no" in rejects[1][1] or "exec_id" in rejects[1][1]
    assert len(attempts) < 2 * 2 * len(bodies).bit_length()


@pytest.mark.parametrize("fill", [append, load])
def test_a_body_that_fits_no_row_is_an_error(fill: Any) -> None:
    body = codec.encode("alice", "r", 1, 1, execution(1))[16:-1]
    for bad in (body.replace(b'"exec_id":"e-1",', b""), body.replace(b'"is_maker":true', b'"is_maker":"perhaps"')):
        with duckdb.connect() as con, pytest.raises((CodecError, duckdb.Error)):
            stored(con, fill, "executions", [bad])
