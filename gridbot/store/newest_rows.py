"""Large tables in two parts, their newest rows and all others, for questions that want the newest.

`ORDER BY seq DESC LIMIT 50` remembers the lowest of the fifty it has, and passes over row groups that have only lower
ones. Rows are stored in the order of their time, so that it would meet the newest last, and pass over none: views of
such a table name its newest rows first (`newest_apart`).

From which place in the table on they are is a number in the file, what a macro gives. DuckDB puts it in place of the
name when it plans, so that whole row groups are in one part and none of their rows is looked at for it; a number that
the statement itself finds costs 3 to 5 ns a row. The writer moves it (`newest_moves`). Which part a row is in says
nothing: whatever the number is, each row is in one of the two.
"""

from __future__ import annotations

from typing import Final

from gridbot.store.row_contexts import ROWS
from gridbot.store.sql_columns import as_stored

__all__ = ["LARGE", "newest_apart", "newest_from"]

LARGE: Final = (ROWS, as_stored("orders"), as_stored("grid_pairs"))
"""Tables with many millions of rows of which the newest are asked for."""


def newest_from(table: str) -> str:
    """Name of the macro that gives the place in a table from which on its newest rows are."""
    return f"{table.removesuffix(as_stored(''))}_newest_from"


def newest_apart(query: str, table: str, condition: str = "true") -> str:
    """Query of the rows of a table, `query` without its WHERE, with the newest ones in a part of their own.

    In brackets, so that it is one part where a view has more: of three in a row DuckDB reads the second last.
    """
    first = f"{newest_from(table)}()"
    return f"({query} WHERE {condition} AND rowid >= {first} UNION ALL {query} WHERE {condition} AND rowid < {first})"
