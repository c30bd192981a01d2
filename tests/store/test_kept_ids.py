"""Ids come back byte for byte, however they were stored, and are equal as stored where they are equal as texts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.records import codec
from gridbot.records.block_reader import read_block
from gridbot.records.codec import CodecError
from gridbot.records.record_block import block_of
from gridbot.store import bulk
from gridbot.store.bulk import append, load, load_parts
from gridbot.store.context_rows import take_over_rows
from gridbot.store.kept_ids import IDS, ODD, kept_from, kept_steps, kept_types, rows_query
from gridbot.store.schema import create_table_sql
from tests.examples import examples
from tests.store.kit import execution

NIL = str(uuid.UUID(int=0))
USUAL = "9d2f6f0c-7f3e-5b44-8a1c-00000000e001"
ODD_ONES = (
    "",
    NIL,
    USUAL,
    USUAL.upper(),
    USUAL.replace("-", ""),
    "{" + USUAL + "}",
    f" {USUAL}",
    "E-1",
    "'\"\\",
    "é\n",
)

a_uuid = st.uuids().map(str)
an_id = st.one_of(
    st.sampled_from(ODD_ONES),
    a_uuid,
    a_uuid.map(str.upper),
    a_uuid.map(lambda text: text.replace("-", "")),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
)
Ids = list[tuple[str, str]]


def bodies_of(ids: Ids) -> list[Any]:
    records = [execution(n, exec_id=one, order_id=other) for n, (one, other) in enumerate(ids, 1)]
    return [codec.body_of("a", "r", n, n, record) for n, record in enumerate(records, 1)]


def parts_of(ids: Ids) -> list[Any]:
    records = [execution(n, exec_id=one, order_id=other) for n, (one, other) in enumerate(ids, 1)]
    return read_block(block_of("a", "r", 1, [n for n, _ in enumerate(records, 1)], records)).parts


def by_texts(con: duckdb.DuckDBPyConnection, table: str, bodies: list[Any]) -> None:
    """As a file of version 7 has them, brought up to date."""
    types = [f"{name} {'VARCHAR NOT NULL' if name in IDS[table] else kind}" for name, kind in kept_types(table).items()]
    con.execute(f"CREATE TABLE old ({', '.join(each for each in types if not each.startswith(ODD))})")
    con.execute(create_table_sql(table, "new"))
    load(con, table, bodies, "new")
    con.execute(f"INSERT INTO old {rows_query(table, 'new')}")
    copied = con.execute(kept_from(table, dict.fromkeys(IDS[table], "VARCHAR"), "old")).fetchall()
    con.begin()
    for statement in kept_steps(table, "old"):
        con.execute(statement)
    con.commit()
    assert con.execute("FROM old").fetchall() == copied, "as `rebuild` takes them over"
    take_over_rows(con, kept_types(table), "old")
    con.execute("DROP TABLE old; DROP TABLE new")


WAYS: tuple[tuple[Callable[..., None], Callable[[Ids], list[Any]]], ...] = (
    (append, bodies_of),
    (load, bodies_of),
    (load_parts, parts_of),
    (by_texts, bodies_of),
)


def test_ids_come_back_as_they_were(monkeypatch: Any) -> None:
    monkeypatch.setattr(bulk, "LINES_FROM", 1)
    con = duckdb.connect(config={"threads": "1"})
    con.execute(create_table_sql("executions"))

    @settings(max_examples=examples(16), deadline=None)
    @given(ids=st.lists(st.tuples(an_id, an_id), min_size=1, max_size=6))
    def same(ids: Ids) -> None:
        keys = []
        for fill, made in WAYS:
            con.execute("TRUNCATE execution_rows_stored")
            try:
                fill(con, "executions", made(ids))
            except CodecError:  # a text that cannot stand in a line of a block
                assert fill is load_parts
                continue
            told = con.execute(f"SELECT exec_id, order_id FROM ({rows_query('executions')}) ORDER BY seq").fetchall()
            assert told == ids
            keys.append(con.execute("SELECT exec_id, order_id FROM executions_stored ORDER BY seq").fetchall())
        assert all(each == keys[0] for each in keys), "whichever way they came"
        texts, stored = [text for pair in ids for text in pair], [key for pair in keys[0] for key in pair]
        assert len(set(texts)) == len(set(stored))

    same()
    same.hypothesis.inner_test([(one, other) for one in ODD_ONES for other in ODD_ONES])  # type: ignore[attr-defined]
    con.close()


def test_the_usual_ids_need_no_text() -> None:
    with duckdb.connect() as con:
        con.execute(create_table_sql("executions"))
        append(con, "executions", bodies_of([(USUAL, ""), ("E-1", "")]))
        found = con.execute("SELECT exec_id::VARCHAR, order_id::VARCHAR, odd_ids FROM executions_stored").fetchall()
    assert found[0] == (USUAL, NIL, None)
    assert found[1][1:] == (NIL, '{"exec_id":"E-1","order_id":""}')
