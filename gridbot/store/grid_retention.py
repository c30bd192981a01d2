"""What becomes of matched pairs when the oldest executions go, in the transaction that removes them.

A close takes the newest opening that is left at its depth of the position. Without the first executions of a leg all
depths behind them are less by the same amount, and so the others are matched as before. Pairs whose opening goes, go;
so does what is left of such openings at the checkpoints. Everything else stands, however long the leg is.

That holds where all that goes comes before all that stays, by the exchange's times and by its numbers. Where an
execution was recorded that late, or a clock set back just there, the leg is matched again from its beginning.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import duckdb

from gridbot.store.grid_chunks import make, one
from gridbot.store.grid_marks import mark_again
from gridbot.store.grid_sql import COUNTS, NUMBER, listed, same
from gridbot.store.grid_tables import CHECKPOINTS, CLOCK_STEP, LEVELS, PAIRS, TAILS, levels_of

__all__ = ["forget_gone"]


def forget_gone(con: duckdb.DuckDBPyConnection, gone: str, stays: str) -> None:
    """The executions `gone` are removed, those of `stays` are left (tables, or queries in parentheses)."""
    make(
        con,
        "grid_gone",
        f"""
        WITH gone AS MATERIALIZED (
            SELECT {listed()}, exchange_ts, {NUMBER} AS number, {COUNTS} AS counts FROM {gone}
            WHERE exec_type = 'Trade'),
        ends AS (SELECT {listed()}, max(exchange_ts) AS last_at FROM gone GROUP BY ALL)
        SELECT row_number() OVER () AS leg, {listed("ends")}, ends.last_at,
            max(number) FILTER (exchange_ts >= ends.last_at - {CLOCK_STEP}) AS highest,
            count(*) FILTER (counts) AS executions,
            count(*) FILTER (counts AND exchange_ts > tail.since_at) AS waiting
        FROM gone JOIN ends USING ({listed()}) LEFT JOIN {TAILS} AS tail USING ({listed()}) GROUP BY ALL""",
    )
    [last] = one(con, "SELECT max(last_at) FROM temp.grid_gone")
    if last is not None:
        upto = _time(last)
        _match_mixed_again(con, gone, stays, upto)
        _forget_pairs(con, upto)
        _forget_openings(con)
    for table in ("grid_gone", "grid_gone_pairs", "grid_gone_levels", "grid_gone_newest"):
        con.execute(f"DROP TABLE IF EXISTS temp.{table}")


def _match_mixed_again(con: duckdb.DuckDBPyConnection, gone: str, stays: str, upto: str) -> None:
    """Legs with an execution that stays, and belongs before one that goes."""
    make(
        con,
        "grid_mixed",
        f"""
        SELECT DISTINCT {listed("gone")} FROM {stays} AS stays JOIN temp.grid_gone AS gone ON {same("stays", "gone")}
        WHERE exec_type = 'Trade' AND stays.exchange_ts <= {upto} + {CLOCK_STEP} AND (
            stays.exchange_ts <= last_at
            OR (stays.exchange_ts <= last_at + {CLOCK_STEP} AND {NUMBER} BETWEEN 1 AND highest - 1))""",
    )
    if one(con, "SELECT count(*) FROM temp.grid_mixed") != (0,):
        con.execute(f"DELETE FROM temp.grid_gone AS gone USING temp.grid_mixed AS mixed WHERE {same('gone', 'mixed')}")
        mark_again(con, f"(SELECT * FROM {gone} SEMI JOIN temp.grid_mixed USING ({listed()}))")
    con.execute("DROP TABLE temp.grid_mixed")


_PLACE: Final = "CAST(epoch_us({at}) AS HUGEINT) * 10000000000000000000 + {seq}"
"""A place in the time of a leg as one number."""


def _forget_pairs(con: duckdb.DuckDBPyConnection, upto: str) -> None:
    """Pairs whose opening goes, also in the sums by level; those behind a cut are in none."""
    make(
        con,
        "grid_gone_pairs",
        f"""
        SELECT {listed("gone")}, open_price, qty, profit, fees, closed_at, part
        FROM (
            SELECT leg, open_price, qty, net_profit + fees AS profit, fees, closed_at,
                {_PLACE.format(at="closed_at", seq="close_seq")} AS place
            FROM {PAIRS} AS kept JOIN temp.grid_gone AS gone ON {same("kept", "gone")}
            WHERE opened_at <= {upto} AND opened_at <= last_at) AS kept
        ASOF JOIN (
            SELECT leg, part, {_PLACE.format(at="upto_at", seq="upto_seq")} AS upto
            FROM {CHECKPOINTS} JOIN temp.grid_gone USING ({listed()})) AS ends
        ON kept.leg = ends.leg AND kept.place <= ends.upto
        JOIN temp.grid_gone AS gone ON gone.leg = kept.leg""",
    )
    make(con, "grid_gone_levels", levels_of("temp.grid_gone_pairs"))
    con.execute(
        f"DELETE FROM {PAIRS} AS kept USING temp.grid_gone AS gone "
        f"WHERE {same('kept', 'gone')} AND opened_at <= {upto} AND opened_at <= last_at"
    )
    less = ", ".join(f"{name} = kept.{name} - gone.{name}" for name in ("pairs", "qty", "profit", "fees"))
    of_level = f"{same('kept', 'gone')} AND kept.level = gone.level AND kept.part = gone.part"
    con.execute(f"UPDATE {LEVELS} AS kept SET {less} FROM temp.grid_gone_levels AS gone WHERE {of_level}")
    con.execute(f"DELETE FROM {LEVELS} WHERE pairs = 0")
    make(
        con,
        "grid_gone_newest",
        f"SELECT gone.* FROM temp.grid_gone_levels AS gone JOIN {LEVELS} AS kept ON {of_level} "
        "AND kept.last_closed_at = gone.last_closed_at",
    )
    _find_newest(con)


def _find_newest(con: duckdb.DuckDBPyConnection) -> None:
    """When the newest pair of those sums was closed whose newest one goes."""
    [last] = one(con, "SELECT max(last_closed_at) FROM temp.grid_gone_newest")
    if last is None:
        return
    con.execute(f"""
        UPDATE {LEVELS} AS kept SET last_closed_at = newest.last_closed_at
        FROM (
            SELECT {listed("gone")}, gone.level, gone.part, max(pair.closed_at) AS last_closed_at
            FROM temp.grid_gone_newest AS gone
            JOIN {CHECKPOINTS} AS ends ON {same("gone", "ends")} AND ends.part = gone.part
            LEFT JOIN {CHECKPOINTS} AS before ON {same("gone", "before")} AND before.part = gone.part - 1
            JOIN {PAIRS} AS pair ON {same("gone", "pair")} AND pair.open_price = gone.level
                AND (pair.closed_at, pair.close_seq) <= (ends.upto_at, ends.upto_seq)
                AND (before.part IS NULL OR (pair.closed_at, pair.close_seq) > (before.upto_at, before.upto_seq))
            WHERE pair.closed_at <= {_time(last)}
            GROUP BY ALL) AS newest
        WHERE {same("kept", "newest")} AND kept.level = newest.level AND kept.part = newest.part""")


def _time(at: datetime) -> str:
    return f"TIMESTAMP '{at.isoformat(' ')}'"


def _forget_openings(con: duckdb.DuckDBPyConnection) -> None:
    """Checkpoints without the openings that go; of those before all that stays the newest is left, in no need of any.
    Tails without what goes before it was matched."""
    con.execute(f"""
        DELETE FROM {CHECKPOINTS} AS kept USING temp.grid_gone AS gone
        WHERE {same("kept", "gone")} AND upto_at <= last_at AND EXISTS (
            FROM {CHECKPOINTS} AS later WHERE {same("later", "kept")} AND later.part > kept.part)""")
    con.execute(f"""
        UPDATE {CHECKPOINTS} AS kept SET lots = list_filter(lots, lambda lot: lot.exchange_ts > last_at),
            executions = greatest(0, kept.executions - gone.executions), began = began - gone.executions
        FROM temp.grid_gone AS gone WHERE {same("kept", "gone")}""")
    con.execute(f"""
        UPDATE {TAILS} AS tail SET executions = greatest(1, tail.executions - waiting), error = NULL
        FROM temp.grid_gone AS gone WHERE {same("tail", "gone")}""")
