"""Notes in the transaction that stores executions which legs have some that are not matched yet, and from where on.

That is all a commit does about matched pairs: it costs by the legs in it, whatever is late and however long they are.
Checkpoints that new executions contradict go, with the sums behind them; `gridbot.store.grid_keeping` matches from the
newest that is left, later and step by step. A new execution contradicts a checkpoint when it is before it in time, or
has a lower number of the exchange than what is before it: then it belongs among those.
"""

from __future__ import annotations

from typing import Final

import duckdb

from gridbot.store.grid_sql import NUMBER, listed, same
from gridbot.store.grid_tables import CHECKPOINTS, CLOCK_STEP, EVER, LEVELS, TAILS
from gridbot.store.sql_columns import as_stored

__all__ = ["mark_again", "mark_all", "mark_corrections", "mark_executions"]

EXECUTIONS: Final = as_stored("executions")


def mark_executions(con: duckdb.DuckDBPyConnection, rows: str) -> None:
    """These executions (a table, or a query in parentheses) are stored; they have higher numbers of ours than all that
    their accounts had before.
    """
    _mark(
        con,
        f"""
        SELECT {listed()}, min(exchange_ts) AS first_at, max(exchange_ts) AS last_at,
            min({NUMBER}) AS lowest, min({NUMBER}) FILTER ({NUMBER} > 0) AS lowest_number, max({NUMBER}) AS highest,
            count(*) AS executions
        FROM {rows} WHERE exec_type = 'Trade' GROUP BY ALL""",
    )


def mark_corrections(con: duckdb.DuckDBPyConnection, corrections: str) -> None:
    """These corrections are stored. Those of a fee have what their executions are in matched again, from there on."""
    _make(con, "grid_corrected", f"SELECT DISTINCT account, exec_id, exchange_ts FROM {corrections} WHERE fee <> 0")
    if not _any(con, "grid_corrected"):
        return
    # By their time first: to look for an id among all takes a second of ten million.
    found = f"SELECT e.* FROM {EXECUTIONS} AS e SEMI JOIN temp.grid_corrected AS c ON e.account = c.account"
    first, last = (f"(SELECT {end}(exchange_ts) FROM temp.grid_corrected)" for end in ("min", "max"))
    same_time = "e.exec_id = c.exec_id AND e.exchange_ts = c.exchange_ts"
    _make(con, "grid_of", f"{found} AND {same_time} WHERE e.exchange_ts BETWEEN {first} AND {last}")
    _make(
        con,
        "grid_lost",
        "SELECT account, exec_id FROM temp.grid_corrected ANTI JOIN temp.grid_of USING (account, exec_id)",
    )
    if _any(con, "grid_lost"):
        con.execute(
            f"""
            INSERT INTO temp.grid_of
            SELECT e.* FROM {EXECUTIONS} AS e SEMI JOIN temp.grid_lost USING (account, exec_id)"""
        )
    _mark(con, _again("temp.grid_of", "min(exchange_ts)", "0"))


def mark_again(con: duckdb.DuckDBPyConnection, gone: str) -> None:
    """These executions (a table, or a query in parentheses) go, and their legs are matched again from the beginning."""
    _mark(con, _again(gone, EVER, "-count(*)"))


def mark_all(con: duckdb.DuckDBPyConnection) -> None:
    """Nothing is kept of the executions that are stored: all of them are to be matched."""
    con.execute(f"""
        INSERT INTO {TAILS} BY NAME
        SELECT {listed()}, {EVER} AS since_at, 0 AS since_seq, 0 AS part, false AS is_cut,
            max(day) + INTERVAL 1 DAY AS last_at, 0 AS highest, sum(executions) AS executions
        FROM {as_stored("daily_sums")} WHERE exec_type = 'Trade' GROUP BY ALL""")


def _again(rows: str, since: str, executions: str) -> str:
    """As if executions had come since then, before all others of that time."""
    return f"""
        SELECT {listed()}, {since} AS first_at, {EVER} AS last_at, -1 AS lowest, CAST(NULL AS BIGINT) AS lowest_number,
            0 AS highest,
            {executions} AS executions
        FROM {rows} WHERE exec_type = 'Trade' GROUP BY ALL"""


def _mark(con: duckdb.DuckDBPyConnection, news: str) -> None:
    """`news`: of each leg the first and last time, the lowest number and the lowest but 0, the highest; how many."""
    stays = f"""(first_at > upto_at OR (first_at = upto_at AND lowest >= tie))
        AND coalesce(lowest_number >= old.highest OR (NOT old.risky AND first_at > upto_at + {CLOCK_STEP}), true)"""
    _make(
        con,
        "grid_news",
        f"""
        WITH news AS MATERIALIZED ({news}),
        held AS (
            SELECT {listed()}, max(part) FILTER (stays) AS part,
                arg_max({{'at': upto_at, 'seq': upto_seq, 'executions': old_executions}}, part)
                    FILTER (stays) AS kept,
                arg_max({{'at': upto_at, 'highest': old_highest, 'executions': old_executions}}, part) AS newest,
                bool_or(NOT stays) AS cuts
            FROM (
                SELECT {listed("news")}, part, upto_at, upto_seq, old.highest AS old_highest,
                    old.executions AS old_executions, {stays} AS stays
                FROM news JOIN {CHECKPOINTS} AS old USING ({listed()}))
            GROUP BY ALL)
        SELECT {listed("news")}, coalesce(held.part, 0) AS part, coalesce(kept['at'], {EVER}) AS since_at,
            coalesce(kept.seq, 0) AS since_seq, coalesce(cuts, false) AS cuts,
            coalesce(cuts, false) OR coalesce(tail.is_cut, false) AS is_cut,
            greatest(news.last_at, newest['at'], tail.last_at) AS last_at,
            greatest(news.highest, newest.highest, tail.highest) AS highest,
            greatest(0, news.executions + coalesce(tail.executions, 0) + coalesce(newest.executions, 0)
                - coalesce(kept.executions, 0)) AS executions,
            CASE WHEN NOT coalesce(cuts, false) THEN tail.error END AS error
        FROM news LEFT JOIN held USING ({listed()}) LEFT JOIN {TAILS} AS tail USING ({listed()})""",
    )
    if con.execute("SELECT 1 FROM temp.grid_news WHERE cuts LIMIT 1").fetchone():
        for table in (CHECKPOINTS, LEVELS):
            con.execute(
                f"DELETE FROM {table} AS kept USING temp.grid_news AS new "
                f"WHERE cuts AND {same('kept', 'new')} AND kept.part > new.part"
            )
    con.execute(f"DELETE FROM {TAILS} AS tail USING temp.grid_news AS new WHERE {same('tail', 'new')}")
    con.execute(f"INSERT INTO {TAILS} BY NAME SELECT * EXCLUDE (cuts) FROM temp.grid_news")
    con.execute("DROP TABLE temp.grid_news")


def _make(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")


def _any(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(f"SELECT 1 FROM temp.{table} LIMIT 1").fetchone() is not None
