"""Encodes records for the journal and the record queue, and decodes them.

A frame is one line: length of the body in six hex digits, its CRC-32 (seeded with the length) in eight, the body, and a
newline, with spaces between. The body is one JSON object: kind (the record's TABLE), account, run_id, seq, local_ts,
data. JSON has no raw newline inside, so a damaged line costs itself and nothing after it. Decimals are text, so exact.

Everything is derived from the dataclasses of `gridbot.records.record_types`. A field that a newer program added reads
as its default in older frames; a field that is gone is ignored.
"""

from __future__ import annotations

import typing
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from gridbot.records.columns import RECORD_TYPES, ColumnKind, columns_of
from gridbot.records.record_types import Header, Record

__all__ = [
    "KIND_KEY",
    "MAX_BODY",
    "CodecError",
    "Span",
    "decode",
    "decode_body",
    "encode",
    "parse",
    "peek",
    "seq_of",
    "split",
]

PREFIX: Final = 16  # "LLLLLL CCCCCCCC "
MAX_BODY: Final = 0xFFFFFF
KIND_KEY: Final = b'{"kind":"'


class CodecError(ValueError):
    """A frame or a body that cannot be read, or a record that cannot be written."""


# -- writing ----------------------------------------------------------------------------------------------------------


def encode(account: str, run_id: str, seq: int, local_ts: int, record: Record) -> bytes:
    """The frame of a record. Raise CodecError when a value fits no column or the record is too long."""
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
    size = len(body)
    if size > MAX_BODY:
        raise CodecError(f"{type(record).__name__} is {size} bytes long, at most {MAX_BODY} fit a frame")
    return b"%06x %08x %b\n" % (size, zlib.crc32(body, size), body)


# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of a buffer that hold no valid frame."""

    start: int
    end: int


def split(buffer: bytes, *, complete: bool) -> tuple[list[bytes], list[Span], int]:
    """Cut a buffer that starts at a frame boundary into bodies.

    Return the bodies of the valid frames in order, the damaged spans, and how many bytes are done with. What is left
    after that is the beginning of a frame whose rest has not come yet; with `complete` nothing more will come, and the
    rest counts as damaged.
    """
    bodies: list[bytes] = []
    damaged: list[Span] = []
    crc32 = zlib.crc32
    pos, end = 0, len(buffer)
    while pos < end:
        start = pos + PREFIX
        try:
            size = int(buffer[pos : pos + 6], 16)
            crc = int(buffer[pos + 7 : pos + 15], 16)
        except ValueError:
            size = -1
        stop = start + size
        if size > 0 and stop < end:
            body = buffer[start:stop]
            if crc32(body, size) == crc:
                bodies.append(body)
                pos = stop + 1
                continue
        elif not complete and buffer.find(b"\n", pos) == -1:
            break  # more may come; a newline before the announced end would prove the length wrong
        skip = buffer.find(b"\n", pos)
        skip = end if skip == -1 else skip + 1
        if damaged and damaged[-1].end == pos:
            damaged[-1] = Span(damaged[-1].start, skip)
        else:
            damaged.append(Span(pos, skip))
        pos = skip
    return bodies, damaged, pos


def decode_body(body: bytes) -> tuple[Header, Record]:
    """Header and record of a body. Raise CodecError for an unknown kind or a missing field."""
    doc = parse(body)
    cls = RECORD_TYPES.get(doc["kind"])
    if cls is None:
        raise CodecError(f"record kind {doc['kind']!r} is not known; was it written by a newer gridbot?")
    data = doc["data"]
    values: dict[str, Any] = {}
    for column in columns_of(cls):
        if column.name in data:
            value = data[column.name]
            values[column.name] = Decimal(value) if column.kind is ColumnKind.DECIMAL and value is not None else value
        elif column.required:
            raise CodecError(f"{doc['kind']} record {doc['seq']} has no {column.name}")
    return Header(doc["account"], doc["run_id"], doc["seq"], doc["local_ts"]), cls(**values)


def decode(frame: bytes) -> tuple[Header, Record]:
    """Header and record of one frame. Raise CodecError when it is damaged or not exactly one."""
    bodies, damaged, _ = split(frame, complete=True)
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
        return str(doc["kind"]), int(doc["seq"])
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
            return typing.cast(dict[str, Any], doc)
    except (orjson.JSONDecodeError, AttributeError) as exc:
        raise CodecError(f"the body of a frame is not a JSON object: {exc}") from exc
    raise CodecError(f"the body of a frame lacks some of its keys: {sorted(doc)}")
