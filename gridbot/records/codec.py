"""Encodes records for the journal and the record queue, and decodes them.

A frame (`gridbot.frames`) has one JSON object as its body: kind (the record's TABLE), account, run_id, seq, local_ts,
data. Decimals are text, so exact.

Everything is derived from the dataclasses of `gridbot.records.record_types`. A field that a newer program added reads
as its default in older frames; a field that is gone is ignored.
"""

from __future__ import annotations

import dataclasses
import typing
from decimal import Decimal
from typing import Any, Final

import orjson

from gridbot.doors.plain_text import shown
from gridbot.frames import MAX_BODY, frame, split
from gridbot.records.columns import JOURNAL_TYPES, ColumnKind, columns_of
from gridbot.records.record_types import Header, Record
from gridbot.records.state_record import StateRecord

__all__ = [
    "KIND_KEY",
    "CodecError",
    "body_of",
    "body_of_data",
    "decode",
    "decode_body",
    "encode",
    "encode_data",
    "head_of",
    "parse",
    "peek",
    "seq_of",
    "storable",
]

KIND_KEY: Final = b'{"kind":"'
_BODY: Final = b'%b%d,"local_ts":%d,"data":%b}'
"""Of its head, number, time and data."""


class CodecError(ValueError):
    """A frame or a body that cannot be read, or a record that cannot be written."""


# -- writing ----------------------------------------------------------------------------------------------------------


def encode(account: str, run_id: str, seq: int, local_ts: int, record: Record | StateRecord) -> bytes:
    """The frame of a record. Raise CodecError when a value fits no column or the record is too long."""
    return frame(body_of(account, run_id, seq, local_ts, record))


def body_of(account: str, run_id: str, seq: int, local_ts: int, record: Record | StateRecord) -> bytes:
    """The body of the frame of a record. Raise CodecError when a value fits no column or the record is too long."""
    try:
        body = orjson.dumps(
            {
                "kind": record.TABLE,
                "account": account,
                "run_id": run_id,
                "seq": seq,
                "local_ts": local_ts,
                "data": record,
            },
            default=Decimal.__str__,
        )
    except TypeError as exc:
        raise CodecError(f"{type(record).__name__} cannot be written: {exc.__cause__ or exc}") from exc
    if len(body) > MAX_BODY:
        raise CodecError(f"{type(record).__name__} is {len(body)} bytes long, at most {MAX_BODY} fit a frame")
    return body


def storable(record: Record | StateRecord) -> Record | StateRecord:
    """The record with values made storable that JSON refuses: lone surrogates, integers beyond 64 bits, odd types."""
    changes: dict[str, Any] = {}
    for column in columns_of(type(record)):
        value = getattr(record, column.name)
        if isinstance(value, str):
            changes[column.name] = str(value).encode("utf-8", "backslashreplace").decode()
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            changes[column.name] = 2**63 - 1 if value > 0 else -(2**63)
        elif value is not None and not isinstance(value, int | Decimal):
            changes[column.name] = repr(value)
    return dataclasses.replace(record, **changes)


def head_of(kind: str, account: str, run_id: str) -> bytes:
    """How the body of each frame of a kind begins, up to its number."""
    return orjson.dumps({"kind": kind, "account": account, "run_id": run_id})[:-1] + b',"seq":'


def encode_data(head: bytes, seq: int, local_ts: int, data: bytes) -> bytes:
    """The frame of a record of which `data` is the JSON already: what `encode` makes of it."""
    return frame(_BODY % (head, seq, local_ts, data))


def body_of_data(head: bytes, seq: int, local_ts: int, data: bytes) -> bytes:
    """The body of that frame."""
    return _BODY % (head, seq, local_ts, data)


# -- reading ----------------------------------------------------------------------------------------------------------


def decode_body(body: bytes) -> tuple[Header, Record | StateRecord]:
    """Header and record of a body. Raise CodecError for an unknown kind or a missing field."""
    doc = parse(body)
    cls = JOURNAL_TYPES.get(doc["kind"]) if isinstance(doc["kind"], str) else None
    if cls is None:
        raise CodecError(f"record kind {shown(doc['kind'])} is not known; was it written by a newer gridbot?")
    data = doc["data"]
    if not isinstance(data, dict):
        raise CodecError(f"expected an object as data of {doc['kind']} record {doc['seq']}, got {shown(data)}")
    values: dict[str, Any] = {}
    for column in columns_of(cls):
        if column.name in data:
            value = data[column.name]
            is_number = column.kind is ColumnKind.DECIMAL and value is not None
            values[column.name] = _decimal(doc, column.name, value) if is_number else value
        elif column.required:
            raise CodecError(f"{doc['kind']} record {doc['seq']} has no {column.name}")
    return Header(doc["account"], doc["run_id"], doc["seq"], doc["local_ts"]), cls(**values)


def _decimal(doc: dict[str, Any], name: str, value: Any) -> Decimal:
    """Of our own writing, so of any length; but a body may be damaged where its checksum does not tell."""
    try:
        number = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        number = Decimal("NaN")
    if not number.is_finite():
        raise CodecError(f"expected a number in {name} of {doc['kind']} record {doc['seq']}, got {shown(value)}")
    return number


def decode(line: bytes) -> tuple[Header, Record | StateRecord]:
    """Header and record of one frame. Raise CodecError when it is damaged or not exactly one."""
    bodies, damaged, _ = split(line, complete=True)
    if damaged or len(bodies) != 1:
        raise CodecError(f"expected one intact frame, got {len(bodies)} and {len(damaged)} damaged parts")
    return decode_body(bodies[0])


def peek(body: bytes) -> tuple[str, int]:
    """Kind and number of the record in a body, without parsing the rest. Raise CodecError when it has none."""
    try:
        if body.startswith(KIND_KEY):
            at = body.index(b',"seq":') + 7  # cannot occur inside a text before it: quotes there are escaped
            return body[9 : body.index(b'"', 9)].decode(), int(body[at : body.index(b",", at)])
        doc = parse(body)
        return doc["kind"], doc["seq"]
    except (ValueError, TypeError) as exc:
        raise CodecError(f"the body of a frame has no kind and number: {exc}") from exc


def seq_of(body: bytes) -> int:
    """Number of the record in a body."""
    return peek(body)[1]


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raise CodecError when an outer key is missing."""
    try:
        doc = orjson.loads(body)
        if doc.keys() >= {"kind", "account", "run_id", "seq", "local_ts", "data"}:
            if type(doc["seq"]) is int and type(doc["local_ts"]) is int and type(doc["kind"]) is str:
                return typing.cast(dict[str, Any], doc)
            raise CodecError("the body of a frame has no kind, number and time")
    except (orjson.JSONDecodeError, AttributeError) as exc:
        raise CodecError(f"the body of a frame is not a JSON object: {exc}") from exc
    raise CodecError(f"the body of a frame lacks some of its keys: {sorted(doc)}")
