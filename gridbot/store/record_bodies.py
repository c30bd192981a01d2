"""Records of the database as bodies of frames again, in the order of their numbers: what is sent to another database.

Stored rows and rows that have landed only come alike. A body has the values that its row has; a decimal may have more
zeros behind it than the worker wrote.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

from gridbot.records.columns import RECORD_TYPES, Column, ColumnKind, columns_of
from gridbot.store.kept_ids import rows_query
from gridbot.store.sql_columns import LANDED, OFFSETS, as_stored, quote

__all__ = ["BodyRow", "Chunk", "chunk_above"]

LOOKED_AT = 8
"""So many times as many records are looked at as are taken: most are of kinds that are not sent, such as tickers."""


@dataclass(frozen=True, slots=True)
class BodyRow:
    """A record: whose, its number, its kind, and its body as JSON."""

    account: str
    seq: int
    kind: str
    body: str


@dataclass(slots=True)
class Chunk:
    """Records above known numbers. `upto`: by account the number up to which they are complete with this chunk, where
    that has grown; `more`: there are others above it."""

    rows: list[BodyRow] = field(default_factory=list)
    upto: dict[str, int] = field(default_factory=dict)
    more: bool = False


def chunk_above(
    con: duckdb.DuckDBPyConnection, above: Mapping[str, int], limit: int, kinds: Collection[str] = tuple(RECORD_TYPES)
) -> Chunk:
    """At most `limit` records of these kinds with numbers above those of their accounts (0 for an account without).

    What is in the tables of its kind comes first, of one account; then what has landed, of all.
    """
    stored: list[tuple[str, int]] = con.execute(f"SELECT account, seq FROM {as_stored(OFFSETS)} ORDER BY 1").fetchall()
    behind = [(account, seq) for account, seq in stored if above.get(account, 0) < seq]
    if not behind:
        return _landed(con, above, limit, kinds)
    account, last = min(behind, key=lambda each: above.get(each[0], 0) - each[1])
    values = {"account": account, "above": above.get(account, 0), "last": last}
    wanted = [kind for kind in RECORD_TYPES if kind in kinds]
    # Bodies are made of so many numbers only, however many wait: of all of them it would take longer the more there
    # are, and be interrupted each time, until nothing is shipped at all. Numbers have gaps, as between epochs.
    first = f"SELECT min(seq) FROM ({' UNION ALL '.join(_numbers_query(kind) for kind in wanted)})"
    [(begin,)] = con.execute(first, values).fetchall()
    if begin is None:
        return Chunk([], {account: last}, more=True)
    upto = min(last, begin - 1 + int(limit))
    statement = f"SELECT * FROM ({' UNION ALL '.join(map(_stored_query, wanted))}) ORDER BY seq"
    rows = con.execute(statement, {**values, "above": begin - 1, "last": upto}).fetchall()
    return Chunk([BodyRow(*row) for row in rows], {account: upto}, more=True)


def _landed(con: duckdb.DuckDBPyConnection, above: Mapping[str, int], limit: int, kinds: Collection[str]) -> Chunk:
    """Asks for what is above the numbers alone: up to two minutes of records have landed, and are looked at."""
    chunk = Chunk()
    most = LOOKED_AT * limit
    statement = f"""
        SELECT account, landed.seq, kind, CASE WHEN kind IN (SELECT unnest($kinds)) THEN body END
        FROM {LANDED} AS landed
        LEFT JOIN (SELECT unnest($accounts::VARCHAR[]) AS account, unnest($above::BIGINT[]) AS seq) AS known
            USING (account)
        WHERE landed.seq > coalesce(known.seq, 0) ORDER BY account, landed.seq LIMIT {most + 1}"""
    values = {"kinds": list(kinds), "accounts": list(above), "above": list(above.values())}
    found: Sequence[tuple[str, int, str, str]] = con.execute(statement, values).fetchall()
    chunk.more = len(found) > most
    for account, seq, kind, body in found[:most]:
        if kind in kinds:
            if len(chunk.rows) >= limit:
                chunk.more = True
                break
            chunk.rows.append(BodyRow(account, seq, kind, body))
        chunk.upto[account] = seq
    return chunk


def _numbers_query(kind: str) -> str:
    return f"SELECT seq FROM {as_stored(kind)} WHERE account = $account AND seq > $above AND seq <= $last"


@functools.cache
def _stored_query(kind: str) -> str:
    own = ", ".join(f"{quote(column.name)}, {_value(column)}" for column in columns_of(RECORD_TYPES[kind]))
    body = (
        f"json_object('kind', {quote(kind)}, 'account', account, 'run_id', run_id, 'seq', seq, "
        f"'local_ts', epoch_us(local_ts), 'data', json_object({own}))"
    )
    return (
        f"SELECT account, seq, {quote(kind)} AS kind, CAST({body} AS VARCHAR) AS body FROM ({rows_query(kind)}) "
        "WHERE account = $account AND seq > $above AND seq <= $last"
    )


def _value(column: Column) -> str:
    name = f'"{column.name}"'
    match column.kind:
        case ColumnKind.DECIMAL | ColumnKind.JSON:
            return f"CAST({name} AS VARCHAR)"
        case ColumnKind.UTC_MS:
            return f"epoch_ms({name})"
        case ColumnKind.UTC_US:
            return f"epoch_us({name})"
        case ColumnKind.TEXT | ColumnKind.INTEGER | ColumnKind.BOOLEAN:
            return name
