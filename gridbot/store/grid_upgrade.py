"""Brings what version 7 kept of matched pairs into today's tables: each leg gets one checkpoint, at its end."""

from __future__ import annotations

from typing import Final

import duckdb

from gridbot.store.grid_sql import listed, same
from gridbot.store.grid_tables import CHECKPOINTS, LEVELS, LOT, PAIRS
from gridbot.store.sql_columns import as_stored

__all__ = ["OF_VERSION_7", "from_version_7"]

_LEGS: Final = as_stored("grid_legs")
_LOTS: Final = as_stored("grid_lots")
OF_VERSION_7: Final = (_LEGS, _LOTS)
"""Tables that only that version had."""
_LAST: Final = 2**63 - 1


def from_version_7(con: duckdb.DuckDBPyConnection) -> None:
    """Which number of ours was the last at a leg's last time is not known: nothing at that time just follows."""
    con.execute(f"""
        INSERT INTO {CHECKPOINTS} BY NAME
        SELECT {listed("leg")}, 1 AS part, make_timestamp(last_ms * 1000) AS upto_at, {_LAST} AS upto_seq,
            most_number AS highest, {_LAST} AS tie, places AS executions, 0 AS began, coalesce(lots, []) AS lots
        FROM {_LEGS} AS leg LEFT JOIN (
            SELECT {listed()}, list(CAST(struct_pack(seq := seq, unmatched := unmatched, price := price, qty := qty,
                fee := fee, exchange_ts := exchange_ts) AS {LOT}) ORDER BY place) AS lots
            FROM {_LOTS} GROUP BY ALL) AS open ON {same("leg", "open")}""")
    for table in OF_VERSION_7:
        con.execute(f"DROP TABLE {table}")
    con.execute(f"ALTER TABLE {PAIRS} DROP COLUMN open_place")
    con.execute(f"ALTER TABLE {LEVELS} ADD COLUMN part BIGINT")
    con.execute(f"UPDATE {LEVELS} SET part = 1")
