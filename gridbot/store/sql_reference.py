"""docs/tables.md, made from record types and views: `python -m gridbot.store.sql_reference > docs/tables.md`."""

from __future__ import annotations

import sys

import duckdb

from gridbot.records.columns import RECORD_TYPES, Column, columns_of
from gridbot.records.record_types import Header
from gridbot.store.schema import ensure_schema, sql_type, table_columns
from gridbot.store.views import VIEWS

__all__ = ["reference"]

_HEAD = """\
# Tables and views

Made by `python -m gridbot.store.sql_reference > docs/tables.md`; a test compares. Queries to start from:
`docs/sql-cookbook.md`. Ask the views first. Amounts are USDT unless a column says otherwise. Orders, fills and profit
of shadow strategies are only in the views that have `shadow` in their names.
"""


def reference() -> str:
    """The page in Markdown: views with their columns, then tables with theirs."""
    parts = [_HEAD, "## Views", ""]
    with duckdb.connect() as con:
        ensure_schema(con)
        for view in VIEWS:
            names = [column[0] for column in con.execute(f"SELECT * FROM {view.name}").description or []]
            parts += [
                f"### {view.name}",
                "",
                view.doc,
                "",
                "Columns: " + ", ".join(f"`{name}`" for name in names) + ".",
                "",
            ]
    parts += ["## Tables", "", "Every table begins with these columns:", ""]
    header = columns_of(Header)
    parts += _column_table(header)
    for table, cls in RECORD_TYPES.items():
        parts += [f"### {table}", "", " ".join((cls.__doc__ or "").split()), ""]
        parts += _column_table(table_columns(table)[len(header) :])
    return "\n".join(parts).rstrip() + "\n"


def _column_table(columns: tuple[Column, ...]) -> list[str]:
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for column in columns:
        kind = sql_type(column) + ("" if column.nullable else ", never NULL")
        lines.append(f"| `{column.name}` | {kind} | {column.doc} |")
    return [*lines, ""]


if __name__ == "__main__":
    sys.stdout.write(reference())
