"""What record types are made of: kinds of values, documented columns, and the columns that every table begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NewType

__all__ = ["Header", "Json", "UtcMs", "UtcUs", "col"]

UtcMs = NewType("UtcMs", int)
UtcUs = NewType("UtcUs", int)
Json = NewType("Json", str)


def col(doc: str, **kwargs: Any) -> Any:
    """A column and its documentation; `kwargs` are those of `dataclasses.field`."""
    return field(metadata={"doc": doc}, **kwargs)


@dataclass(frozen=True, slots=True)
class Header:
    """Columns that every table starts with."""

    account: str = col("Account name from the configuration.")
    run_id: str = col("Run that wrote the row: one life of one worker process.")
    seq: int = col("Number of the record within the account; without gaps.")
    local_ts: UtcUs = col("When the worker recorded it, UTC, its own clock.")
