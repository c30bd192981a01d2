"""A record's body as the values of its table's row, for DuckDB's appender."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from gridbot.records.codec import CodecError
from gridbot.records.columns import RECORD_TYPES, ColumnKind, columns_of

__all__ = ["row_of"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - TIMESTAMP columns are naive UTC


def row_of(doc: dict[str, Any]) -> tuple[Any, ...]:
    """Row of a parsed body, in the order of the header's columns and then the record's.

    Decimals stay text (the store converts them), times become naive UTC datetimes. Raise CodecError as `decode_body`.
    """
    extract = _extractors().get(doc["kind"])
    if extract is None:
        raise CodecError(f"record kind {doc['kind']!r} is not known; was it written by a newer gridbot?")
    try:
        return extract(doc)
    except (KeyError, TypeError, OverflowError) as exc:
        raise CodecError(f"{doc['kind']} record {doc.get('seq')} cannot be made a row: {exc!r}") from exc


@functools.cache
def _extractors() -> dict[str, Callable[[dict[str, Any]], tuple[Any, ...]]]:
    return {table: _extractor(cls) for table, cls in RECORD_TYPES.items()}


def _extractor(cls: type[Any]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    wanted = columns_of(cls)
    names = [column.name for column in wanted]
    defaults = {column.name: column.default for column in wanted if not column.required}
    times = [
        (4 + index, 1000 if column.kind is ColumnKind.UTC_MS else 1)
        for index, column in enumerate(wanted)
        if column.kind in (ColumnKind.UTC_MS, ColumnKind.UTC_US)
    ]

    def extract(doc: dict[str, Any]) -> tuple[Any, ...]:
        data = doc["data"]
        row = [doc["account"], doc["run_id"], doc["seq"], _EPOCH + timedelta(0, 0, doc["local_ts"])]
        try:
            row += [data[name] for name in names]
        except KeyError:  # written before the type had that field
            row[4:] = [(defaults | data)[name] for name in names]
        for index, scale in times:
            if row[index] is not None:
                row[index] = _EPOCH + timedelta(0, 0, row[index] * scale)
        return tuple(row)

    return extract
