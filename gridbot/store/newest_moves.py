"""Makes and moves the numbers from which on the newest rows of large tables are (`gridbot.store.newest_rows`)."""

from __future__ import annotations

from typing import Final

import duckdb

from gridbot.store.newest_rows import LARGE, newest_from

__all__ = ["make_newest", "move_newest"]

NEWEST: Final = 20_000
"""Rows of the newest part, at least: more than anybody wants to see at once, and a few ms to read."""
MOST: Final = 30_000
"""With more than that in it the newest part is made smaller again."""


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
