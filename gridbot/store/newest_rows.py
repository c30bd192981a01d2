"""Large tables in two parts, their newest rows and all others, for questions that want the newest.

`ORDER BY seq DESC LIMIT 50` remembers the lowest of the fifty it has, and passes over row groups that have only lower
ones. Rows are stored in the order of their time, so that it would meet the newest last, and pass over none: views of
such a table name its newest rows first (`newest_apart`).

From which place in the table on they are is a number in the file, what a macro gives. DuckDB puts it in place of the
name when it plans, so that whole row groups are in one part and none of their rows is looked at for it; a number that
the statement itself finds costs 3 to 5 ns a row. The writer moves it (`move_newest`). Which part a row is in says
nothing: whatever the number is, each row is in one of the two.
"""

from __future__ import annotations

from typing import Final

import duckdb

from gridbot.store.row_contexts import ROWS
from gridbot.store.sql_columns import as_stored

__all__ = ["LARGE", "make_newest", "move_newest", "newest_apart", "newest_from"]

LARGE: Final = (ROWS, as_stored("orders"), as_stored("grid_pairs"))
"""Tables with many millions of rows of which the newest are asked for."""
NEWEST: Final = 50_000
"""Rows of the newest part, at least: more than anybody wants to see at once, and a few ms to read."""
MOST: Final = 75_000
"""With more than that in it the newest part is made smaller again."""


def newest_from(table: str) -> str:
    """Name of the macro that gives the place in a table from which on its newest rows are."""
    return f"{table.removesuffix(as_stored(''))}_newest_from"


def newest_apart(query: str, table: str, condition: str = "true") -> str:
    """Query of the rows of a table, `query` without its WHERE, with the newest ones in a part of their own."""
    first = f"{newest_from(table)}()"
    return f"{query} WHERE {condition} AND rowid >= {first} UNION ALL {query} WHERE {condition} AND rowid < {first}"


def make_newest(con: duckdb.DuckDBPyConnection) -> None:
    """Make what views with a newest part ask for, where it is missing."""
    for table in LARGE:
        con.execute(f"CREATE MACRO IF NOT EXISTS {newest_from(table)}() AS 0")


def move_newest(con: duckdb.DuckDBPyConnection) -> None:
    """Have the newest rows begin near the end of each table again, where it has grown, or shrunk. Raise duckdb.Error.

    After rows were deleted the newest part has more than it should: places are not given again.
    """
    for table in LARGE:
        name = newest_from(table)
        [(first, count)] = con.execute(f"SELECT {name}(), count(*) FROM {table}").fetchall()
        if first > max(0, count - NEWEST) or first < count - MOST:
            con.execute(f"CREATE OR REPLACE MACRO {name}() AS {max(0, count - NEWEST)}")
