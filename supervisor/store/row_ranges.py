"""Ranges of a DuckDB table's row ids: what is read at once, so that a damaged block does not spoil a whole table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import duckdb

from gridbot.store.file_errors import is_damage
from gridbot.store.schema import GROUP_ROWS

__all__ = ["Rows", "read_in_pieces", "row_ranges"]

RANGE_ROWS: Final = 2 * GROUP_ROWS
"""Whole row groups, as the writer makes them in one transaction."""
SMALLEST_ROWS: Final = 2_048
"""What DuckDB reads at once."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A range of row ids; `last` counts."""

    first: int
    last: int

    @property
    def sql(self) -> str:
        """The condition of a statement that reads these rows."""
        return f"rowid BETWEEN {self.first} AND {self.last}"

    def halves(self) -> tuple[Rows, ...]:
        """Its two halves; none when DuckDB reads it in one go anyway."""
        if self.last - self.first < SMALLEST_ROWS:
            return ()
        middle = self.first + (self.last - self.first + 1) // 2
        return Rows(self.first, middle - 1), Rows(middle, self.last)


def row_ranges(con: duckdb.DuckDBPyConnection, table: str) -> Iterator[Rows]:
    """All rows of a table. Reads no block of it. Raise duckdb.Error when there is no such table."""
    row = con.execute(f"SELECT max(rowid) FROM {table}").fetchone()
    largest = row[0] if row and row[0] is not None else -1
    for first in range(0, largest + 1, RANGE_ROWS):
        yield Rows(first, min(first + RANGE_ROWS - 1, largest))


def read_in_pieces(ranges: Iterable[Rows], read: Callable[[Rows], object]) -> list[tuple[Rows, duckdb.Error]]:
    """Call `read` with each range in order, and with the halves of one that is unreadable; the smallest such, and why.

    Raise what is no unreadable block, such as a want of memory.
    """
    todo = list(ranges)[::-1]
    failed = []
    while todo:
        rows = todo.pop()
        try:
            read(rows)
        except duckdb.Error as exc:
            if not is_damage(exc):
                raise
            halves = rows.halves()
            todo += halves[::-1]
            if not halves:
                failed.append((rows, exc))
    return failed
