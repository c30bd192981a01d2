"""Another program's log as a side of a comparison: read into the working database, and the statements over it."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Final

import duckdb

from gridbot.compare.log_map import LogMap
from gridbot.compare.log_reader import Reading, read_log
from gridbot.compare.pair_tables import AT_ONCE
from gridbot.private_files import open_private
from gridbot.store.schema import quote

__all__ = ["COUNT_UNKNOWN", "SPAN", "leave_out_resting", "load_log", "log_money", "log_rows"]

_COLUMNS: Final = {
    "line": "BIGINT",
    "what": "VARCHAR",
    "at_ms": "BIGINT",
    "symbol": "VARCHAR",
    "direction": "VARCHAR",
    "side": "VARCHAR",
    "price": "DECIMAL(38, 12)",
    "qty": "DECIMAL(38, 12)",
    "id": "VARCHAR",
    "fee": "DECIMAL(38, 12)",
    "realised_pnl": "DECIMAL(38, 12)",
}

SPAN: Final = """
    SELECT min(at_ms), max(at_ms), CASE WHEN bool_and(at_ms % 60000 = 0) THEN 60000
        WHEN bool_and(at_ms % 1000 = 0) THEN 1000 ELSE 1 END FROM log_rows"""
"""Its first and last time, and how long each of its times is (ms): what happened at 26:40 may have at 26:40.9."""
COUNT_UNKNOWN: Final = "SELECT count(*) FROM log_rows WHERE price IS NULL OR symbol IS NULL OR side IS NULL"
"""Cancels of orders that the log does not place."""


def load_log(con: duckdb.DuckDBPyConnection, directory: Path, log: Path, meaning: LogMap) -> Reading:
    """Read a log into the table `log_rows`. Raise LogMistake, OSError.

    What a line does not say of an order (a cancel names it by its id alone) comes from the line that placed it.
    """
    reading, path = Reading(), directory / "log.csv"
    with open_private(path, "x", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(read_log(log, meaning, reading))
    columns = ", ".join(f"{name}: {quote(kind)}" for name, kind in _COLUMNS.items())
    con.execute(
        f"CREATE TEMP TABLE log_lines AS FROM read_csv({quote(str(path))}, header = false, auto_detect = false, "
        f"quote = '\"', escape = '\"', delim = ',', parallel = false, columns = {{{columns}}})"
    )
    path.unlink()
    con.execute("""
        CREATE TEMP TABLE log_rows AS
        SELECT said.* REPLACE (coalesce(said.symbol, placed.symbol) AS symbol, coalesce(said.side, placed.side) AS side,
            coalesce(said.direction, placed.direction) AS direction, coalesce(said.price, placed.price) AS price)
        FROM log_lines AS said ASOF LEFT JOIN (
            SELECT id, line, symbol, direction, side, price FROM log_lines WHERE what = 'place' AND id IS NOT NULL
            ) AS placed ON said.id = placed.id AND said.line >= placed.line""")
    con.execute("DROP TABLE log_lines")
    return reading


def log_rows(symbols: Collection[str], since_ms: int, until_ms: int, kinds: Collection[str]) -> str:
    """Its rows of these symbols from `since_ms` on and before `until_ms`; what rests then is placed at `since_ms`."""
    known = f"price IS NOT NULL AND side IS NOT NULL AND symbol IN ({_listed(symbols)})"
    columns = "symbol, direction, side, price"
    resting = f"""
        UNION ALL
        SELECT 'place', {columns}, {since_ms}, arg_max(qty, line), {quote(AT_ONCE)}, arg_max(id, line), NULL, NULL
        FROM log_rows WHERE {known} AND at_ms < {since_ms} GROUP BY {columns} HAVING arg_max(what, line) = 'place'"""
    return f"""
        SELECT what, {columns}, at_ms, qty, '' AS reason, id, fee, realised_pnl FROM log_rows
        WHERE {known} AND at_ms >= {since_ms} AND at_ms < {until_ms} AND what IN ({_listed(kinds)})
        {resting if "place" in kinds else ""}"""


def leave_out_resting(con: duckdb.DuckDBPyConnection, ours: str) -> tuple[str, int]:
    """The rows of `ours` (a statement) without orders that rested before the log begins, and how many those are, where
    the log begins in the middle: it cancels orders, or has fills at their levels, that it does not place.

    Otherwise all of them, and 0: then its first ladder is in it.
    """
    rested = f"what = 'place' AND reason = {quote(AT_ONCE)}"
    resting = f"(SELECT * FROM ({ours}) WHERE {rested})"
    level = "symbol = said.symbol AND side = said.side AND price = said.price"
    [(is_midway, count)] = con.execute(f"""
        SELECT ({COUNT_UNKNOWN}) > 0 OR EXISTS (
            FROM log_rows AS said WHERE what = 'fill' AND EXISTS (FROM {resting} WHERE {level}) AND NOT EXISTS (
                FROM log_rows AS earlier WHERE earlier.what = 'place' AND {level} AND earlier.line < said.line)),
            (SELECT count(*) FROM {resting})""").fetchall()
    if not is_midway or not count:
        return ours, 0
    ends = f"what = 'cancel' AND id IN (SELECT id FROM {resting})"
    return f"SELECT * FROM ({ours}) WHERE NOT coalesce({rested}, false) AND NOT ({ends})", count


def log_money(symbols: Collection[str], since_ms: int, until_ms: int) -> str:
    """As `StoreSide.money`; NULL is what the log does not say."""
    return f"""
        SELECT count(*) AS fills, CAST(coalesce(sum(TRY(price * qty)), 0) AS DECIMAL(38, 12)) AS volume,
            sum(fee) AS fees, sum(realised_pnl) AS realised, CAST(NULL AS DECIMAL(38, 12)) AS funding,
            sum(realised_pnl) - sum(fee) AS net
        FROM log_rows WHERE what = 'fill' AND symbol IN ({_listed(symbols)})
            AND at_ms >= {since_ms} AND at_ms < {until_ms}"""


def _listed(words: Collection[str]) -> str:
    return ", ".join(map(quote, sorted(words))) or "''"
