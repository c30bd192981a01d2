"""What users read as the record tables: views over the stored rows and over those that have landed only.

A record is a line of JSON in the table `landed` until the writer puts many at once into the tables of their kinds, up
to two minutes later. These views show it from the first moment, as the same row: values that do not fit are NULL here,
so that no line breaks a query (`landing` takes none that would be). Rollups likewise: what is stored, plus what the
landed rows change. Only functions of DuckDB 1.4, as in `views`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridbot.records.columns import RECORD_TYPES, columns_of
from gridbot.store.kept_ids import rows_query
from gridbot.store.newest_rows import LARGE, newest_apart
from gridbot.store.rollups import NEW_CORRECTIONS, NEW_SUMS, ROLLUPS, SUM_KEYS, SUMMED, Rollup
from gridbot.store.row_contexts import CONTEXT_TABLE, ROWS, rows_table, whole_rows
from gridbot.store.sql_columns import LANDED, OFFSETS, as_stored, json_type, quote, table_columns, value_sql
from gridbot.store.view_type import View

__all__ = ["PLAIN_VIEWS", "STORED_VIEWS", "landed_query"]

ASKED_FOR_NEWEST: Final = tuple(kind for kind in RECORD_TYPES if rows_table(kind) in LARGE)
"""Kinds with many millions of rows of which the newest are asked for."""


def landed_query(table: str, source: str = LANDED, *, only: Sequence[str] = ()) -> str:
    """Query of a kind's rows that are bodies in `source`, with the columns of its table.

    `only`: with these of its own columns, and those that every table has.
    """
    own = [column for column in columns_of(RECORD_TYPES[table]) if not only or column.name in only]
    data = ", ".join(f'"{column.name}": "{json_type(column)}"' for column in own)
    shape = f'{{"run_id": "VARCHAR", "local_ts": "BIGINT", "data": {{{data}}}}}'
    values = ["account", "body.run_id AS run_id", "seq", "make_timestamp(body.local_ts) AS local_ts"]
    for column in own:
        value = value_sql(column, f'body.data."{column.name}"', "TRY_CAST")
        values.append(f'{value} AS "{column.name}"')
    return (
        f"SELECT {', '.join(values)} FROM (SELECT account, seq, from_json(body, {quote(shape)}) AS body "
        f"FROM {source} WHERE kind = {quote(table)})"
    )


def _names(table: str) -> str:
    return ", ".join(f'"{column.name}"' for column in table_columns(table))


def _records(table: str, newest: tuple[str, ...] = ASKED_FOR_NEWEST) -> View:
    rows = rows_query(table)
    if table in newest and table == CONTEXT_TABLE:  # below the join, which is planned once then
        parts = newest_apart(f"SELECT *, rowid FROM {ROWS}", ROWS)
        rows = rows_query(table, f"({whole_rows(rows=parts)})")
    elif table in newest:
        rows = newest_apart(rows, rows_table(table))
    return View(table, " ".join((RECORD_TYPES[table].__doc__ or "").split()), f"{landed_query(table)} UNION ALL {rows}")


def _newest(rollup: Rollup) -> View:
    """The stored ones that no landed row replaces, and the newest of those. What has landed is parsed once."""
    names = _names(rollup.source)
    kept = ", ".join(f'kept."{column.name}"' for column in table_columns(rollup.source))
    return View(
        rollup.name,
        rollup.doc,
        f"""
        WITH landed_rows AS MATERIALIZED ({landed_query(rollup.source)})
        SELECT {kept} FROM ({rows_query(rollup.source, rollup.table)}) AS kept
        ANTI JOIN landed_rows AS new ON {rollup.same}
        UNION ALL SELECT {names} FROM ({rollup.newest.format(rows="landed_rows")})""",
    )


def _sums(rollup: Rollup) -> View:
    keys = ", ".join(SUM_KEYS)
    news = f"""
        {NEW_SUMS.format(rows=f"({landed_query('executions')})")}
        UNION ALL {NEW_CORRECTIONS.format(rows=f"({landed_query('corrections')})")}"""
    added = ", ".join(
        f"coalesce(TRY(kept.{column} + coalesce(new.{column}, 0)), kept.{column}) AS {column}" for column in SUMMED
    )
    return View(
        rollup.name,
        rollup.doc,
        f"""
        WITH new AS (
            SELECT {keys}, CAST(sum(executions) AS BIGINT) AS executions, sum(volume) AS volume,
                sum(realised_pnl) AS realised_pnl, sum(fee) AS fee, max(last_seq) AS last_seq
            FROM ({news}) GROUP BY ALL)
        SELECT {keys}, {added}, greatest(kept.last_seq, new.last_seq) AS last_seq
        FROM {rollup.table} AS kept LEFT JOIN new USING ({keys})
        UNION ALL SELECT {keys}, {", ".join(SUMMED)}, last_seq FROM new ANTI JOIN {rollup.table} USING ({keys})""",
    )


_OFFSETS: Final = View(
    OFFSETS,
    "Number of the last record of each account that is in this file, and when it came.",
    f"""
    SELECT account, max(seq) AS seq, arg_max(updated_at, seq) AS updated_at
    FROM (
        SELECT account, seq, updated_at FROM {as_stored(OFFSETS)}
        UNION ALL SELECT account, seq, make_timestamp(TRY_CAST(body AS BIGINT)) FROM {LANDED} WHERE kind = '{OFFSETS}')
    GROUP BY account""",
)

_REMOVED: Final = View(
    "removed_sums",
    "The part of daily_sums whose executions were removed because of their age.",
    f"SELECT * FROM {as_stored('removed_sums')}",
)

PLAIN_VIEWS: Final = tuple(_records(table, ()) for table in ASKED_FOR_NEWEST)
"""The same of rows that are in no table of DuckDB, such as those of a fleet's files."""

STORED_VIEWS: Final = (
    _OFFSETS,
    *map(_records, RECORD_TYPES),
    _sums(ROLLUPS[0]),
    *(_newest(rollup) for rollup in ROLLUPS if rollup.newest),
    _REMOVED,
)
