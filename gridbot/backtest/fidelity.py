"""Whether two sets of records say the same: row by row in their order, column by column.

What is compared is what an account did and what came of it: `COMPARED`, without `LEFT_OUT` and without `SAMPLED`. So a
backtest is held against a session of the real worker (docs/backtest.md 2). Of strategies that record at one moment,
none is before the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, TypeAlias

import duckdb

__all__ = ["COMPARED", "LEFT_OUT", "SAMPLED", "Difference", "differences", "first_difference", "rows_of"]

Row: TypeAlias = Mapping[str, Any]

COMPARED: Final = (
    "intents",
    "orders",
    "executions",
    "corrections",
    "adjustments",
    "position_events",
    "wallets",
    "grid_snapshots",
    "latches",
)
SAMPLED: Final = frozenset({"position_events", "wallets"})
"""Tables in which rows with the source rest are left out: a reading that shows what was known already is sampled in a
backtest, and what it decides is in the other tables."""

LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "run_id": "names the run",
        "seq": "counts records of all tables, also of those that only a process has",
    },
    "orders": {"order_id": "made by the exchange of each run"},
    "executions": {
        "exec_id": "made by the exchange of each run",
        "order_id": "made by the exchange of each run",
        "exchange_seq": "counts what each exchange did in the symbol",
    },
    "corrections": {"exec_id": "made by the exchange of each run"},
    "adjustments": {"exchange_seq": "counts what each exchange did in the symbol"},
    "latches": {"reason": "says how to end it, which a backtest cannot"},
}
"""Columns by table ("": of all) that say nothing of what happened, with the reason."""

LINK_ID: Final = "order_link_id"
"""Only what stands before its dash: the rest is a number of the clock's, so that it never repeats."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row of a table in which two sets differ, counted from 0, and how. `columns` is empty when one of them
    has no such row."""

    table: str
    row: int
    columns: tuple[str, ...]
    one: Row | None
    other: Row | None

    def __str__(self) -> str:
        where = f"{self.table}, row {self.row}"
        if self.one is None or self.other is None:
            there = "second" if self.one is None else "first"
            return f"{where}: only the {there} has {_words(self.other if self.one is None else self.one)}"
        told = "; ".join(f"{name} {self.one.get(name)} and {self.other.get(name)}" for name in self.columns)
        return f"{where}: {told}, in {_words(self.one)}"


def differences(
    one: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    *,
    from_: datetime,
    until: datetime,
    tables: Sequence[str] = COMPARED,
) -> list[Difference]:
    """The first difference of each table of two databases, of the rows recorded from `from_` up to `until` (UTC)."""
    found = (
        first_difference(table, *(rows_of(each, table, from_, until) for each in (one, other))) for table in tables
    )
    return [each for each in found if each is not None]


def rows_of(con: duckdb.DuckDBPyConnection, table: str, from_: datetime, until: datetime) -> list[Row]:
    """Rows of a table that were recorded from `from_` up to `until` (UTC, not itself)."""
    cursor = con.execute(f"SELECT * FROM {table} WHERE local_ts >= ? AND local_ts < ?", [from_, until])
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def first_difference(table: str, one: Iterable[Row], other: Iterable[Row]) -> Difference | None:
    """The first difference of rows of a table, which have all its columns; None when there is none."""
    for number, (left, right) in enumerate(zip_longest(_compared(table, one), _compared(table, other))):
        if left != right:
            names = () if left is None or right is None else tuple(n for n in left if left[n] != right.get(n))
            return Difference(table, number, names, left, right)
    return None


def _compared(table: str, rows: Iterable[Row]) -> list[Row]:
    """Those that count, in order, with the columns that count."""
    left_out = {*LEFT_OUT[""], *LEFT_OUT.get(table, ())}
    counting = [row for row in rows if not (table in SAMPLED and row["source"] == "rest")]
    counting.sort(key=lambda row: (row["account"], row["local_ts"], row.get("strategy", ""), row["seq"]))
    return [{name: _shown(name, value) for name, value in row.items() if name not in left_out} for row in counting]


def _shown(name: str, value: Any) -> Any:
    return str(value).partition("-")[0] if name == LINK_ID else value


def _words(row: Row | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (row or {}).items() if value not in (None, ""))
