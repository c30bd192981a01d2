"""How executions are stored: what many have in common stands once, as a context, and each row has its number.

A column of text costs a commit 0.1 µs a row, also one with a single value, and `executions` has nine of them. Account,
run, strategy, symbol and so on come in few combinations, so `execution_contexts_stored` has each of these once, under
a number, and `execution_rows_stored` has the number. The one writer of the file gives the numbers, in the transaction
that stores the first such row; none changes or goes. The view `executions_stored` joins both to rows with all columns:
whoever reads asks that one, and none but this module and `gridbot.store.row_putting` know of the tables.

Amounts and our own ids are whole numbers (`gridbot.store.whole_numbers`); what is no such number is text, exactly. The
context says what a unit of each is. Where rows turn out to have finer ones, another context comes `instead_of` it.

What a row nearly always says twice it says once. `closing` is what it realised, with how much it closed where that is
not all; an opening, half of all rows, has none. `fee` is empty where value and rate say it, `pnl_difference` is what
the exchange's figure is above ours, `local_us` how long after the exchange's time it was recorded. What is seldom
there at all stands beside odd ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridbot.store.kept_ids import IDS, ODD, kept_types
from gridbot.store.sql_columns import as_stored, sql_type, table_columns
from gridbot.store.whole_numbers import AMOUNT, RATE, UNIT, amount, link_of

__all__ = [
    "CONTEXTS",
    "CONTEXTS_AGAIN",
    "CONTEXT_DOCS",
    "CONTEXT_TABLE",
    "FOUND",
    "LATEST",
    "PLAIN",
    "ROWS",
    "SHARED",
    "UNITS",
    "local_time",
    "row_types",
    "rows_of_version_9",
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

SHARED: Final = (
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

FOUND: Final = {
    "price_unit": f"{UNIT} NOT NULL",
    "qty_unit": f"{UNIT} NOT NULL",
    "money_unit": f"{UNIT} NOT NULL",
    "fee_unit": RATE,
    "link_head": "VARCHAR NOT NULL",
    "link_tail": "VARCHAR NOT NULL",
    "link_step": "BIGINT NOT NULL",
    "instead_of": "INTEGER",
}
"""What is found out of rows of a context. `fee_unit`: fee of one unit of price times one of quantity; `link_step`: how
many units of price a tick is; `instead_of`: the context that has no more rows since there is this one."""
LATEST: Final = "context NOT IN (SELECT instead_of FROM {contexts} WHERE instead_of IS NOT NULL)"
"""Condition: the context is not one that gets no more rows."""

UNITS: Final = {
    "price": "price_unit",
    "qty": "qty_unit",
    "leaves_qty": "qty_unit",
    "closed_size": "qty_unit",
    "fee": "money_unit",
    "realised_pnl": "money_unit",
    "taxes": "money_unit",
}
"""Amounts that are stored as whole numbers, and of which unit."""
_IDS: Final = IDS[CONTEXT_TABLE]
_TYPES: Final = kept_types(CONTEXT_TABLE)
_MADE: Final = ("local_ts", "order_link_id", "exchange_pnl", "other_fees", ODD)
PLAIN: Final = tuple(name for name in _TYPES if name not in (*SHARED, *UNITS, *_MADE, *_IDS))
"""Columns that rows have as they are."""


def row_types() -> dict[str, str]:
    """Columns of the table of rows, with their types."""
    known = {"context": "INTEGER NOT NULL"} | {name: _TYPES[name] for name in (*PLAIN, *_IDS)}
    numbers = ("link_generation", "price", "qty", "leaves_qty", "fee", "taxes", "pnl_difference")
    known |= {"local_us": "BIGINT NOT NULL", **dict.fromkeys(numbers, "BIGINT"), "closing": "BIGINT[]"}
    return known | {"link_text": "VARCHAR", ODD: "VARCHAR"}


def rows_table(table: str) -> str:
    """The table in which the rows of a kind are, where one is written to or deleted from."""
    return ROWS if table == CONTEXT_TABLE else as_stored(table)


def local_time(table: str) -> str:
    """Expression of `local_ts` of the rows of `rows_table`."""
    return "make_timestamp(epoch_us(exchange_ts) + local_us)" if table == CONTEXT_TABLE else "local_ts"


def tables_sql() -> str:
    """Statements that make the tables, and the view of whole rows."""
    rows = ", ".join(f"{name} {kind}" for name, kind in row_types().items())
    shared = {name: _TYPES[name] for name in SHARED}
    contexts = ", ".join(f"{name} {kind}" for name, kind in {"context": "INTEGER NOT NULL", **shared, **FOUND}.items())
    return f"""
        CREATE TABLE IF NOT EXISTS {ROWS} ({rows});
        CREATE TABLE IF NOT EXISTS {CONTEXTS} ({contexts});
        CREATE TABLE IF NOT EXISTS {CONTEXTS_AGAIN} ({contexts});
        CREATE OR REPLACE VIEW {as_stored(CONTEXT_TABLE)} AS {whole_rows()}"""


def whole_rows(of: str = "", contexts: str = CONTEXTS, rows: str = "", more: str = "") -> str:
    """Query of all rows with their ids as they are kept, and `rowid`. `of`: the database, with a dot behind it;
    `rows`: a query of some rows, with their `rowid`, in parentheses; `more`: further expressions, a comma before each.
    """
    return _joined(_values(), f"{rows or of + ROWS} AS kept JOIN {of}{contexts}", more)


def _values() -> dict[str, str]:
    """Expressions of columns that rows do not have as they are."""
    by_rate = "TRY(CAST(kept.price * kept.qty AS DECIMAL(25, 0)) * known.fee_unit)"
    closed = "CASE WHEN kept.closing IS NULL THEN 0 ELSE coalesce(kept.closing[2], kept.qty) END"
    link = link_of("kept.price // known.link_step", "kept.link_generation")
    amounts = {
        "price": amount("kept.price", "known.price_unit"),
        "qty": amount("kept.qty", "known.qty_unit"),
        "leaves_qty": amount("coalesce(kept.leaves_qty, 0)", "known.qty_unit"),
        "closed_size": amount(closed, "known.qty_unit"),
        "fee": f"{amount('kept.fee', 'known.money_unit')}, {by_rate}",
        "realised_pnl": amount("coalesce(kept.closing[1], 0)", "known.money_unit"),
        "exchange_pnl": amount("(coalesce(kept.closing[1], 0) + kept.pnl_difference)", "known.money_unit"),
        "taxes": amount("kept.taxes", "known.money_unit"),
    }
    return {name: f"coalesce({_odd_text(name, AMOUNT)}, {value})" for name, value in amounts.items()} | {
        "local_ts": "make_timestamp(epoch_us(kept.exchange_ts) + kept.local_us)",
        "order_link_id": f"CASE WHEN kept.link_generation IS NULL THEN coalesce(kept.link_text, '') ELSE {link} END",
        "other_fees": _odd_text("other_fees", "JSON"),
    }


def _odd_text(name: str, kind: str) -> str:
    """Expression of what stands as text beside odd ids."""
    return f"CASE WHEN {ODD} IS NOT NULL THEN CAST({ODD} ->> '{name}' AS {kind}) END"


def _joined(values: Mapping[str, str], tables: str, more: str = "") -> str:
    listed = ", ".join(f"{values[name]} AS {name}" if name in values else f'"{name}"' for name in _TYPES)
    return f"SELECT {listed}, kept.rowid AS rowid{more} FROM {tables} AS known ON kept.context = known.context"


def rows_of_version_9(rows: str, contexts: str) -> str:
    """As `whole_rows`, of the tables of a file of version 9: with amounts as DECIMAL and our ids as texts."""
    values = {
        "closed_size": "coalesce(closed_part, qty)",
        "exchange_pnl": f"coalesce(realised_pnl + pnl_difference, {_odd_text('exchange_pnl', AMOUNT)})",
        "other_fees": _odd_text("other_fees", "JSON"),
    }
    return _joined(values, f"{rows} AS kept JOIN {contexts}")


def user_types() -> dict[str, str]:
    """Columns that users read, with the types in which values wait to be stored."""
    return {column.name: sql_type(column) for column in table_columns(CONTEXT_TABLE)}
