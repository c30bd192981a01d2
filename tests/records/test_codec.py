from __future__ import annotations

import dataclasses
import typing
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.frames import split
from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.records.columns import RECORD_TYPES, ColumnKind, columns_of
from gridbot.records.record_types import Header, Json, Record, RunRecord, UtcMs, UtcUs
from gridbot.store.row_values import row_of
from tests.case_table import case_table
from tests.examples import examples
from tests.store.kit import execution, ticker

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    UtcMs: st.integers(0, 4_000_000_000_000),
    UtcUs: st.integers(0, 4_000_000_000_000_000),
    Json: st.just('{"a": 1}'),
}


def any_record() -> st.SearchStrategy[Any]:
    return st.one_of([_records_of(cls) for cls in typing.get_args(Record)])


def _records_of(cls: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{field.name: _values_of(hints[field.name]) for field in dataclasses.fields(cls)})


def _values_of(hint: Any) -> st.SearchStrategy[Any]:
    inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    return st.none() | VALUES[inner[0]] if inner else VALUES[hint]


@settings(max_examples=examples(60), deadline=None)
@given(record=any_record(), seq=st.integers(1, 2**62), local_ts=st.integers(0, 2**52), account=VALUES[str])
def test_a_record_comes_back_as_it_was(record: Any, seq: int, local_ts: int, account: str) -> None:
    frame = codec.encode(account, "run", seq, local_ts, record)
    header, again = codec.decode(frame)
    assert header == Header(account, "run", seq, UtcUs(local_ts))
    assert again == record
    for column in columns_of(type(record)):
        if column.kind is ColumnKind.DECIMAL and getattr(record, column.name) is not None:
            assert str(getattr(again, column.name)) == str(getattr(record, column.name))  # scale included


def test_every_field_of_every_record_has_a_documented_column() -> None:
    classes: list[type[Any]] = [Header, *RECORD_TYPES.values()]
    for cls in classes:
        for column in columns_of(cls):
            assert column.doc.endswith("."), f"{cls.__name__}.{column.name}"


@settings(max_examples=examples(100), deadline=None)
@given(count=st.integers(1, 8), data=st.data())
def test_any_flipped_byte_costs_one_frame_only(count: int, data: st.DataObject) -> None:
    frames = [codec.encode("alice", "run", seq, 1, execution(seq)) for seq in range(1, count + 1)]
    buffer = bytearray(b"".join(frames))
    at = data.draw(st.integers(0, len(buffer) - 1))
    buffer[at] ^= data.draw(st.integers(1, 255))
    hit = next(seq for seq in range(1, count + 1) if at < len(b"".join(frames[:seq])))
    bodies, damaged, done = split(bytes(buffer), complete=True)
    seqs = [codec.seq_of(body) for body in bodies]
    assert [seq for seq in range(1, count + 1) if seq != hit] == [seq for seq in seqs if seq != hit]
    assert done == len(buffer)
    assert hit in seqs or damaged


@settings(max_examples=examples(60), deadline=None)
@given(count=st.integers(1, 6), data=st.data())
def test_a_cut_buffer_keeps_the_whole_frames_and_waits_for_the_rest(count: int, data: st.DataObject) -> None:
    frames = [codec.encode("alice", "run", seq, 1, ticker(seq)) for seq in range(1, count + 1)]
    buffer = b"".join(frames)
    cut = data.draw(st.integers(0, len(buffer)))
    bodies, damaged, done = split(buffer[:cut], complete=False)
    assert not damaged
    assert done == sum(len(frame) for frame in frames[: len(bodies)])
    rest, damaged, _ = split(buffer[done:], complete=False)
    assert [codec.seq_of(body) for body in [*bodies, *rest]] == list(range(1, count + 1))


def test_fields_of_a_newer_program_are_passed_over_and_missing_ones_read_as_their_default() -> None:
    frame = codec.encode("alice", "run", 1, 1, execution(1))
    body = frame[16:-1].replace(b'"shadow":false,', b"").replace(b'"strategy"', b'"novelty":7,"strategy"')
    assert codec.decode_body(body)[1] == execution(1)
    assert row_of(codec.parse(body)) == row_of(codec.parse(frame[16:-1]))


def test_a_missing_field_without_default_or_an_unknown_kind_is_named() -> None:
    body = codec.encode("alice", "run", 5, 1, execution(1))[16:-1]
    with pytest.raises(CodecError, match="record 5 has no exec_id"):
        codec.decode_body(body.replace(b'"exec_id":"e-1",', b""))
    with pytest.raises(CodecError, match="'dividends' is not known"):
        codec.decode_body(body.replace(b'"executions"', b'"dividends"'))
    with pytest.raises(CodecError, match="one intact frame, got 2"):
        codec.decode(codec.encode("a", "r", 1, 1, ticker(1)) * 2)


def test_a_float_is_refused_where_money_should_be() -> None:
    with pytest.raises(CodecError, match="cannot be written"):
        codec.encode("alice", "run", 1, 1, execution(1, qty={"not": object()}))


def test_rows_are_in_column_order_with_times_in_utc() -> None:
    record = RunRecord(
        event="start",
        about_run_id="r",
        environment="paper",
        version="1",
        config_hash="x",
        config=Json("{}"),
        pid=1,
        last_heartbeat=UtcUs(1_500_000),
    )
    row = row_of(codec.parse(codec.encode("alice", "run", 7, 2_000_000, record)[16:-1]))
    names = [column.name for column in (*columns_of(Header), *columns_of(RunRecord))]
    values = dict(zip(names, row, strict=True))
    assert str(values["local_ts"]) == "1970-01-01 00:00:02"
    assert str(values["last_heartbeat"]) == "1970-01-01 00:00:01.500000"
    assert (values["account"], values["run_id"], values["seq"], values["pid"]) == ("alice", "run", 7, 1)


def _body(**changes: Any) -> bytes:
    head = {"kind": "executions", "account": "alice", "run_id": "r", "seq": 1, "local_ts": 1, "data": {}}
    return orjson.dumps(head | changes)


@case_table(
    "body",
    [
        *(_body(kind=kind) for kind in ([], {}, None, 5)),
        *(_body(data=data) for data in ([], "text", None, 5, [[[]]])),
        *(_body(seq=seq) for seq in ("1", None, [], 1.5, 1e300)),
        *(b"[" * levels + b"]" * levels for levels in (2, 900, 100_000)),
        b'{"kind":"\xff","seq":1,}',
        b'{"kind":"executions","account":1,"run_id":1,"seq":' + b"9" * 5000 + b',"local_ts":1,"data":{}}',
    ],
)
def test_a_body_that_cannot_be_read_is_a_codec_error_and_nothing_else(body: bytes) -> None:
    with pytest.raises(CodecError):
        codec.decode_body(body)


@case_table("value", ["x", [], {}, "NaN", "1e999999999999999999999"])
def test_a_number_of_a_record_that_is_none(value: object) -> None:
    (row,), _, _ = split(codec.encode("alice", "r", 1, 1, execution(1)), complete=True)
    document = orjson.loads(row)
    document["data"]["price"] = value
    with pytest.raises(CodecError, match="expected a number in price"):
        codec.decode_body(orjson.dumps(document))
