"""How executions are stored: what many have in common stands once, as a context, and each row has its number.

A column of text costs a commit 0.1 µs a row, also one with a single value, and `executions` has nine of them. Account,
run, strategy, symbol and so on come in few combinations, so `execution_contexts_stored` has each of these once, under
a number, and `execution_rows_stored` has the number. The one writer of the file gives the numbers, in the transaction
that stores the first such row; none changes or goes. The view `executions_stored` joins both to rows with all columns:
whoever reads asks that one, and none but this module knows of the two tables.

What a row nearly always says twice it says once: `closed_part` is empty where all of the quantity closed,
`pnl_difference` is what the exchange's figure is above ours. What is seldom there at all stands beside odd ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gridbot.store.kept_ids import IDS, ODD, kept_types, key_of, odd_texts, parsed
from gridbot.store.sql_columns import as_stored, sql_type, table_columns

__all__ = [
    "CONTEXTS",
    "CONTEXTS_AGAIN",
    "CONTEXT_DOCS",
    "CONTEXT_TABLE",
    "ROWS",
    "Putting",
    "putting",
    "rows_table",
    "tables_sql",
    "user_types",
    "whole_rows",
]

CONTEXT_TABLE: Final = "executions"
"""The kind that is stored like this."""
ROWS: Final = as_stored("execution_rows")
CONTEXTS: Final = as_stored("execution_contexts")

CONTEXTS_AGAIN: Final = as_stored("execution_contexts_again")
"""The same contexts, written by a later transaction and so, but for a vacuum, into another block of the file: without
them no row says whose it is. `rebuild` reads these where the others are damaged."""

CONTEXT_DOCS: Final = {
    ROWS: "The rows of executions that are stored, each with the number of its context; read executions.",
    CONTEXTS: "What many executions have in common, each combination once; read executions.",
    CONTEXTS_AGAIN: "The same once more, for a rebuild of a damaged file.",
}

_SHARED: Final = (
    "account",
    "run_id",
    "strategy",
    "symbol",
    "direction",
    "side",
    "exec_type",
    "is_maker",
    "shadow",
    "source",
    "fee_currency",
)
"""Columns of a context."""

_CLOSED: Final = "closed_part DECIMAL(38, 12)"
_PNL: Final = "pnl_difference DECIMAL(38, 12)"
_REPLACED: Final = {"closed_size": _CLOSED, "exchange_pnl": _PNL, "other_fees": ""}
_TYPES: Final = kept_types(CONTEXT_TABLE)
_OWN: Final = tuple(name for name in _TYPES if name not in (*_SHARED, *_REPLACED, ODD))
"""Columns that rows have as they are."""
_DIFFERENCE: Final = "TRY(exchange_pnl - realised_pnl)"
_NO_SIZE: Final = "an execution without closed_size"


def rows_table(table: str) -> str:
    """The table in which the rows of a kind are, where one is written to or deleted from."""
    return ROWS if table == CONTEXT_TABLE else as_stored(table)


def tables_sql() -> str:
    """Statements that make the two tables, and the view of whole rows."""
    rows = ", ".join(["context INTEGER NOT NULL", *(f"{name} {_TYPES[name]}" for name in _OWN), _CLOSED, _PNL])
    contexts = ", ".join(["context INTEGER NOT NULL", *(f"{name} {_TYPES[name]}" for name in _SHARED)])
    return f"""
        CREATE TABLE IF NOT EXISTS {ROWS} ({rows}, {ODD} VARCHAR);
        CREATE TABLE IF NOT EXISTS {CONTEXTS} ({contexts});
        CREATE TABLE IF NOT EXISTS {CONTEXTS_AGAIN} ({contexts});
        CREATE OR REPLACE VIEW {as_stored(CONTEXT_TABLE)} AS {whole_rows()}"""


def whole_rows(of: str = "", contexts: str = CONTEXTS, rows: str = "") -> str:
    """Query of all rows with their ids as they are kept, and `rowid`. `of`: the database, with a dot behind it;
    `rows`: a query of some rows, with their `rowid`, in parentheses."""
    values = {
        "closed_size": "coalesce(closed_part, qty)",
        "exchange_pnl": "coalesce(realised_pnl + pnl_difference, "
        f"CASE WHEN {ODD} IS NOT NULL THEN CAST({ODD} ->> 'exchange_pnl' AS DECIMAL(38, 12)) END)",
        "other_fees": f"CASE WHEN {ODD} IS NOT NULL THEN CAST({ODD} ->> 'other_fees' AS JSON) END",
    }
    listed = ", ".join(f"{values[name]} AS {name}" if name in values else f'"{name}"' for name in _TYPES)
    return (
        f"SELECT {listed}, kept.rowid AS rowid FROM {rows or of + ROWS} AS kept JOIN {of}{contexts} AS known "
        "ON kept.context = known.context"
    )


@dataclass(frozen=True, slots=True)
class Putting:
    """Statements that store the rows of a source, each with the names of the values that it wants.

    `put` stores those with known contexts, `learn` makes the missing contexts, `put_rest` stores those of contexts
    above `$before`.
    """

    put: str
    learn: str
    put_rest: str


def putting(values: Mapping[str, str], source: str, same: frozenset[str] = frozenset(), into: str = "") -> Putting:
    """Statements that store rows of `source`. `values`: expressions of all columns that users read.

    `same`: columns whose expression is one value. `into`: a database, with a dot behind it.
    """
    differs = [name for name in _SHARED if name not in same]
    read = ", ".join(f'{value} AS "{name}"' for name, value in values.items() if name not in same or name in _kept())
    known = ", ".join(["context", *(f"{name} AS known_{name}" for name in differs)])
    fixed = " AND ".join(_is(name, name, values[name]) for name in _SHARED if name in same) or "true"
    joined = " AND ".join(_is(name, f"known_{name}", name) for name in differs) or "true"
    ids = IDS[CONTEXT_TABLE]
    own = [key_of(name) if name in ids else name for name in _OWN]
    own.append(f"CASE WHEN closed_size IS DISTINCT FROM qty THEN coalesce(closed_size, error('{_NO_SIZE}')) END")
    own += ["difference", _odd()]
    columns = ", ".join(["context", *_OWN, _CLOSED.split(" ")[0], _PNL.split(" ")[0], ODD])
    put = f"""
        INSERT INTO {into}{ROWS} ({columns})
        SELECT context, {", ".join(own)}
        FROM (SELECT *, {_DIFFERENCE} AS difference FROM {parsed(ids, f"(SELECT {read} FROM {source})")})
        JOIN (SELECT {known} FROM {into}{CONTEXTS} WHERE {fixed}) ON {joined}"""
    shared = ", ".join(f"{values[name]} AS {name}" for name in _SHARED)
    learn = f"""
        INSERT INTO {into}{CONTEXTS}
        SELECT (SELECT coalesce(max(context), 0) FROM {into}{CONTEXTS}) + row_number() OVER (), *
        FROM (SELECT DISTINCT {shared} FROM {source}) AS fresh
        ANTI JOIN {into}{CONTEXTS} AS known ON {" AND ".join(_is(n, f"known.{n}", f"fresh.{n}") for n in _SHARED)}"""
    return Putting(put, learn, f"{put} AND context > $before")


def _kept() -> frozenset[str]:
    return frozenset((*_OWN, *_REPLACED))


def _is(name: str, one: str, other: str) -> str:
    return f"{one} {'=' if _TYPES[name].endswith('NOT NULL') else 'IS NOT DISTINCT FROM'} {other}"


def _odd() -> str:
    """Texts of what is seldom there."""
    lost = "difference IS NULL AND exchange_pnl IS NOT NULL"
    pairs = (
        odd_texts(IDS[CONTEXT_TABLE])
        + ", 'other_fees', CAST(other_fees AS VARCHAR)"
        + f", 'exchange_pnl', CASE WHEN {lost} THEN CAST(exchange_pnl AS VARCHAR) END"
    )
    told = " AND ".join(f"({name}_told OR {name} = '')" for name in IDS[CONTEXT_TABLE])
    return (
        f"CASE WHEN {told} AND other_fees IS NULL AND NOT ({lost}) THEN NULL "
        f"ELSE CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR) END"
    )


def user_types() -> dict[str, str]:
    """Columns that users read, with the types in which values wait to be stored."""
    return {column.name: sql_type(column) for column in table_columns(CONTEXT_TABLE)}
