"""Few records at a time land in one table, and go from there into the tables of their kinds many at a time.

A commit costs by the number of tables that it touches: some 5 ms each, and 10 ms for each rollup, whether it brings one
row or a thousand. So an ordinary flush puts the bodies of its frames into the table `landed`, all kinds together, and
up to two minutes later one transaction moves what is there. The views (`stored_views`) show both as one. Offsets land
too, as rows of a kind of their own, in the same transaction as the records: so each record is there once, also after
kill -9, as in `commit`.

Only what is sure to fit its table lands (`landable`): what moves is never refused, and a view never shows a row that
would be. Everything else takes the way of `commit`, together with what has landed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import orjson

from gridbot.records.columns import RECORD_TYPES, Column, ColumnKind, columns_of
from gridbot.store.commit import Rows, commit
from gridbot.store.grid_order import End, GridOrder, Leg, Trade, trade_of
from gridbot.store.grid_sql import listed
from gridbot.store.grid_tables import CHECKPOINTS, TAILS
from gridbot.store.sql_columns import LANDED, OFFSETS

__all__ = ["KnownOrder", "Landed", "landable", "landed_rows", "landed_size", "put", "read_order"]

Landed = tuple[str, int, str, str]
"""A row of the table: account, number, kind, body."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - TIMESTAMP columns are naive UTC
_COLUMNS: Final = ["account", "seq", "kind", "body"]
_AMOUNT: Final = re.compile(r"-?[0-9]{1,25}(\.[0-9]{1,200})?")
"""Digits that DECIMAL(38, 12) holds; the store rounds what has more than twelve decimals, either way alike."""
_EXPONENT: Final = re.compile(r"-?(0E\+[0-9]{1,3}|[0-9](\.[0-9]{1,60})?E(\+1?[0-9]|-[0-9]{1,3}))")
"""As Python writes a small one, such as a fee of 0.00000012: 1.2E-7."""
_MOST_INTEGER: Final = 2**63
_LATEST_US: Final = 253_402_300_800_000_000
"""Year 10000, in µs: what Python and DuckDB both take for a time is before it."""


@dataclass(slots=True)
class KnownOrder:
    """What a writer knows of the ends of the executions that are stored; None: it has to be read."""

    known: GridOrder | None = None


def put(con: duckdb.DuckDBPyConnection, rows: Rows, *, lands: bool, order: KnownOrder | None = None) -> Rows:
    """Commit these records with their offsets in one transaction: into `landed` if they may land, and can.

    Otherwise into the tables of their kinds, with all that has landed. Returns what went there, with its rejects;
    nothing when it landed. Raise as `commit`. `order`: what the caller knows of the file's; after an error it may not
    be used again.
    """
    order = order or KnownOrder()
    if lands:
        rows.take_apart()
    trades: list[tuple[Leg, Trade]] = []
    landing = landable(rows, trades) if lands else None
    if landing is None or not _follows(con, rows, trades, order):
        moved = landed_rows(con)
        _add(moved, rows)
        order.known = None
        commit(con, moved, replaces=LANDED)
        return moved
    con.begin()
    with con.appender(LANDED, columns=_COLUMNS) as appender:
        appender.append_rows(landing)
    con.commit()
    return Rows()


def _follows(con: duckdb.DuckDBPyConnection, rows: Rows, trades: list[tuple[Leg, Trade]], order: KnownOrder) -> bool:
    """Whether the executions of these rows come behind all that is stored; else they may not land."""
    if rows.tables.get("corrections"):
        return False  # they change pairs that are kept
    if not trades:
        return True
    order.known = order.known or read_order(con)
    return order.known.precedes(trades)


def read_order(con: duckdb.DuckDBPyConnection) -> GridOrder:
    """The ends of the executions that are stored: of each leg its newest checkpoint, or what its tail says."""
    ends: dict[Leg, End] = {}
    for table, more in ((CHECKPOINTS, "tie, risky"), (TAILS, "NULL, true")):
        time = "upto_at" if table == CHECKPOINTS else "last_at"
        query = f"SELECT {listed()}, epoch_ms({time}), {more}, highest FROM {table}"
        for *leg, last_ms, number, risky, highest in con.execute(f"{query} ORDER BY {time}").fetchall():
            account, strategy, symbol, direction, shadow = leg
            ends[account, strategy, symbol, direction, shadow] = End(last_ms, number, highest, risky)
    return GridOrder(ends)


def landable(rows: Rows, trades: list[tuple[Leg, Trade]] | None = None) -> list[Landed] | None:
    """Rows of `landed` for these records and offsets; None when one may not fit its table, or is missing.

    `trades` gets the executions among them that are matched to pairs.
    """
    trades = [] if trades is None else trades
    if rows.gaps or rows.rejects:
        return None
    landing: list[Landed] = []
    for kind, bodies in rows.tables.items():
        for body in bodies:
            row = _landed(kind, body, trades)
            if row is None:
                return None
            landing.append(row)
    now = str((datetime.now(UTC) - _EPOCH.replace(tzinfo=UTC)) // timedelta(microseconds=1))
    return landing + [(account, seq, OFFSETS, now) for account, seq in rows.offsets.items()]


def landed_rows(con: duckdb.DuckDBPyConnection) -> Rows:
    """What has landed, in the order of each account's numbers."""
    rows = Rows()
    statement = f"SELECT account, seq, kind, body FROM {LANDED} ORDER BY account, seq"
    for account, seq, kind, body in con.execute(statement).fetchall():
        if kind == OFFSETS:
            rows.offsets[account] = seq
            rows.seen_at[account] = _EPOCH + timedelta(microseconds=int(body))
        else:
            rows.tables.setdefault(kind, []).append(body.encode())
    return rows


def landed_size(con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
    """Rows that have landed, and the bytes of their bodies, roughly."""
    row = con.execute(f"SELECT count(*), coalesce(sum(strlen(body)), 0) FROM {LANDED}").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _add(rows: Rows, later: Rows) -> None:
    for table, bodies in later.tables.items():
        rows.tables.setdefault(table, []).extend(bodies)
    for table, parts in later.parts.items():
        rows.parts.setdefault(table, []).extend(parts)
    for account, seq in later.offsets.items():
        rows.offsets[account] = seq
        rows.seen_at.pop(account, None)
    rows.gaps += later.gaps
    rows.rejects += later.rejects


def _landed(kind: str, body: bytes, trades: list[tuple[Leg, Trade]]) -> Landed | None:
    fits = _fitting(kind)
    try:
        text = body.decode()
        doc = orjson.loads(body)
        data, account, seq = doc["data"], doc["account"], doc["seq"]
        whole = doc["kind"] == kind and type(account) is str and type(doc["run_id"]) is str and "\\u0000" not in text
        if whole and _is_integer(seq) and _is_time(doc["local_ts"], 1) and fits(data):
            if kind == "executions" and (trade := trade_of(account, seq, data)) is not None:
                trades.append(trade)
            return account, seq, kind, text
    except (ValueError, KeyError, TypeError):
        pass
    return None


@functools.cache
def _fitting(kind: str) -> Callable[[dict[str, Any]], bool]:
    checks = [(column.name, _check(column), column.nullable) for column in columns_of(RECORD_TYPES[kind])]

    def fits(data: dict[str, Any]) -> bool:
        for name, check, nullable in checks:
            value = data[name]
            if value is None:
                if not nullable:
                    return False
            elif not check(value):
                return False
        return True

    return fits


def _check(column: Column) -> Callable[[Any], bool]:
    match column.kind:
        case ColumnKind.TEXT:
            return lambda value: type(value) is str
        case ColumnKind.BOOLEAN:
            return lambda value: type(value) is bool
        case ColumnKind.INTEGER:
            return _is_integer
        case ColumnKind.DECIMAL:
            return _is_amount
        case ColumnKind.JSON:
            return _is_json
        case ColumnKind.UTC_MS:
            return lambda value: _is_time(value, 1000)
        case ColumnKind.UTC_US:
            return lambda value: _is_time(value, 1)


def _is_integer(value: Any) -> bool:
    return type(value) is int and -_MOST_INTEGER <= value < _MOST_INTEGER


def _is_time(value: Any, unit_us: int) -> bool:
    return type(value) is int and 0 <= value < _LATEST_US // unit_us


def _is_amount(value: Any) -> bool:
    return type(value) is str and (_AMOUNT.fullmatch(value) or _EXPONENT.fullmatch(value)) is not None


def _is_json(value: Any) -> bool:
    if type(value) is not str:
        return False
    orjson.loads(value)  # ValueError when it is none
    return True
