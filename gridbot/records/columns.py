"""The columns of the record types, read from their dataclasses: journal, database, exports and docs share them."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from gridbot.records import record_types
from gridbot.records.record_types import Record
from gridbot.records.state_record import StateRecord

__all__ = ["JOURNAL_TYPES", "RECORD_TYPES", "Column", "ColumnKind", "columns_of"]


class ColumnKind(Enum):
    """What a field is in the store."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    UTC_MS = "utc_ms"
    UTC_US = "utc_us"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a record type: name, kind, whether it may be null, its documentation and its default."""

    name: str
    kind: ColumnKind
    nullable: bool
    doc: str
    default: Any = dataclasses.MISSING

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


_KINDS: Final[dict[Any, ColumnKind]] = {
    str: ColumnKind.TEXT,
    int: ColumnKind.INTEGER,
    bool: ColumnKind.BOOLEAN,
    Decimal: ColumnKind.DECIMAL,
    record_types.UtcMs: ColumnKind.UTC_MS,
    record_types.UtcUs: ColumnKind.UTC_US,
    record_types.Json: ColumnKind.JSON,
}

RECORD_TYPES: Final[dict[str, type[Any]]] = {cls.TABLE: cls for cls in typing.get_args(Record)}
"""Record classes by table name."""
JOURNAL_TYPES: Final[dict[str, type[Any]]] = {**RECORD_TYPES, StateRecord.TABLE: StateRecord}
"""What a journal may hold: records of the database's tables, and what stays in the journal."""


_columns: Final[dict[type[Any], tuple[Column, ...]]] = {}


def columns_of(cls: type[Any]) -> tuple[Column, ...]:
    """Columns of a record class (or of `Header`), in declared order."""
    known = _columns.get(cls)
    if known is None:
        hints = typing.get_type_hints(cls)
        known = tuple(_column(cls, field, hints[field.name]) for field in dataclasses.fields(cls))
        _columns[cls] = known
    return known


def _column(cls: type[Any], field: dataclasses.Field[Any], hint: Any) -> Column:
    nullable = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [arg for arg in typing.get_args(hint) if arg is not types.NoneType]
        nullable, hint = True, inner[0] if len(inner) == 1 else hint
    kind = _KINDS.get(hint)
    if kind is None:
        known = ", ".join(getattr(key, "__name__", str(key)) for key in _KINDS)
        raise TypeError(f"{cls.__name__}.{field.name}: expected one of {known} (or that | None), got {hint}")
    return Column(field.name, kind, nullable, field.metadata.get("doc", ""), field.default)
