"""Whether two databases say the same: row by row in the order of the records, column by column. Of strategies that
record at one moment, none is before the others.

What is compared is what an account did and what came of it: `COMPARED`, without `LEFT_OUT`. So a backtest is held
against a session of the real worker (docs/backtest.md 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

import duckdb

__all__ = ["COMPARED", "LEFT_OUT", "Difference", "differences"]

COMPARED: Final[Mapping[str, str]] = {
    "intents": "",
    "orders": "",
    "executions": "",
    "corrections": "",
    "adjustments": "",
    "position_events": "source <> 'rest'",
    "wallets": "source <> 'rest'",
    "grid_snapshots": "",
    "latches": "",
}
"""Tables, and which rows of them: readings by REST that show what was known already are sampled in a backtest."""

LEFT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "run_id": "names the run",
        "seq": "counts records of all tables, also of those that only a process has",
    },
    "orders": {
        "order_id": "made by the exchange of each run",
    },
    "executions": {
        "exec_id": "made by the exchange of each run",
        "order_id": "made by the exchange of each run",
        "exchange_seq": "counts what each exchange did in the symbol",
    },
    "corrections": {"exec_id": "made by the exchange of each run"},
    "latches": {"reason": "says how to end it, which a backtest cannot"},
    "adjustments": {"exchange_seq": "counts what each exchange did in the symbol"},
}
"""Columns by table ("": of all) that say nothing of what happened, with the reason."""

LINK_ID: Final = "order_link_id"
"""Only what stands before its dash: the rest is a number of the clock's, so that it never repeats."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row of a table in which two databases differ, counted from 0, and how. `columns` is empty when one of
    them has no such row."""

    table: str
    row: int
    columns: tuple[str, ...]
    one: Mapping[str, Any] | None
    other: Mapping[str, Any] | None

    def __str__(self) -> str:
        where = f"{self.table}, row {self.row}"
        if self.one is None or self.other is None:
            there = "second" if self.one is None else "first"
            return f"{where}: only the {there} has {_words(self.other if self.one is None else self.one)}"
        told = "; ".join(f"{name} {self.one[name]} and {self.other[name]}" for name in self.columns)
        return f"{where}: {told}, in {_words(self.one)}"


def differences(
    one: duckdb.DuckDBPyConnection,
    other: duckdb.DuckDBPyConnection,
    *,
    from_: datetime,
    until: datetime,
    tables: Sequence[str] = tuple(COMPARED),
) -> list[Difference]:
    """The first difference of each table, of the rows recorded from `from_` up to `until` (UTC, not itself)."""
    found: list[Difference] = []
    for table in tables:
        rows = (_rows(each, table, from_, until) for each in (one, other))
        for number, (left, right) in enumerate(zip_longest(*rows)):
            if left != right:
                names = () if left is None or right is None else tuple(n for n in left if left[n] != right[n])
                found.append(Difference(table, number, names, left, right))
                break
    return found


def _rows(con: duckdb.DuckDBPyConnection, table: str, from_: datetime, until: datetime) -> list[dict[str, Any]]:
    which = COMPARED.get(table) or "true"
    order = "account, local_ts, strategy, seq" if "strategy" in _columns(con, table) else "account, seq"
    cursor = con.execute(
        f"SELECT * FROM {table} WHERE {which} AND local_ts >= ? AND local_ts < ? ORDER BY {order}", [from_, until]
    )
    left_out = {*LEFT_OUT[""], *LEFT_OUT.get(table, ())}
    names = [column[0] for column in cursor.description or ()]
    return [
        {name: _shown(name, value) for name, value in zip(names, row, strict=True) if name not in left_out}
        for row in cursor.fetchall()
    ]


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return [column[0] for column in con.execute(f"SELECT * FROM {table} LIMIT 0").description or ()]


def _shown(name: str, value: Any) -> Any:
    return str(value).partition("-")[0] if name == LINK_ID else value


def _words(row: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {value}" for name, value in (row or {}).items() if value not in (None, ""))
