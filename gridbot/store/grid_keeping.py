"""Keeps the matched pairs of `gridbot.store.grid_tables` in the transaction that stores the executions.

What is new mostly comes behind everything that a leg has: then it is matched with the lots that are left, and costs by
what is new. An execution that belongs before others (it was missed and fetched later, the exchange's clock was set
back) cuts its leg: pairs closed at or after its time are undone, and everything from there on is matched again. Where
even that cannot be, because the exchange's numbers and times contradict each other in the past, the whole leg is.
A correction changes the fees of its execution's pairs.
"""

from __future__ import annotations

from typing import Final

import duckdb

from gridbot.core.exchange_sequence import CLOCK_STEP_MS
from gridbot.store.grid_sql import ADDED_FEE, AT_MS, COUNTS, FEES, MATCHING, NUMBER, PLACING, PROFIT, listed, same
from gridbot.store.grid_tables import LEGS, LEVELS, LOTS, PAIRS, levels_of, merge_levels
from gridbot.store.sql_columns import as_stored

__all__ = ["correct_pairs", "forget_pairs", "keep_all", "keep_pairs"]

EXECUTIONS: Final = as_stored("executions")
CORRECTIONS: Final = as_stored("corrections")
AT_ONCE: Final = 400_000
"""Executions of an older file that are matched at once: what they take of the memory."""
_EVER: Final = -1
"""A cut that is before everything: at least the year 1970 is."""

_TRADE: Final = (
    f"seq, {AT_MS} AS at_ms, {NUMBER} AS number, closed_size > 0 AS closes, price, qty, exchange_ts, exec_id, fee"
)
_TIME: Final = "(PARTITION BY leg ORDER BY at_ms, seq)"


def keep_pairs(con: duckdb.DuckDBPyConnection, rows: str, known: str = EXECUTIONS) -> None:
    """Match the executions `rows` (a table, or a query in parentheses), inside the caller's transaction.

    They are among `known`, which are all that there are so far, and have higher numbers than those of their accounts
    that were matched before.
    """
    _make(con, "grid_trades_new", f"SELECT {listed()}, {_TRADE} FROM {rows} WHERE {COUNTS}")
    if not _any(con, "grid_trades_new"):
        return
    _make(
        con,
        "grid_tips",
        f"""
        SELECT new.*, kept.* EXCLUDE ({listed()}), CAST(row_number() OVER () AS INTEGER) AS leg
        FROM (SELECT DISTINCT {listed()} FROM temp.grid_trades_new) AS new
        LEFT JOIN {LEGS} AS kept USING ({listed()})""",
    )
    _find_place(con)
    if is_cut := _any(con, "grid_cuts"):
        _cut(con, known)
    _number(con, is_cut=is_cut)
    _match(con)
    con.execute(f"INSERT INTO {PAIRS} BY NAME SELECT * FROM temp.grid_new")
    _keep_lots(con)
    _keep_legs(con)
    if is_cut:
        con.execute(f"DELETE FROM temp.grid_new AS new USING temp.grid_cuts AS cut WHERE {same('new', 'cut')}")
    con.execute(merge_levels("temp.grid_new"))
    if is_cut:
        _level_again(con)


def correct_pairs(con: duckdb.DuckDBPyConnection, corrections: str) -> None:
    """Bring the fees of pairs up to date with what these corrections, which are stored, say of their executions."""
    _make(con, "grid_corrected", f"SELECT DISTINCT account, exec_id, exchange_ts FROM {corrections}")
    if not _any(con, "grid_corrected"):
        return
    # By their time first: to look for an id among all takes a second of ten million.
    found = f"SELECT e.* FROM {EXECUTIONS} AS e SEMI JOIN temp.grid_corrected AS c ON e.account = c.account"
    first, last = (f"(SELECT {end}(exchange_ts) FROM temp.grid_corrected)" for end in ("min", "max"))
    same_time = "e.exec_id = c.exec_id AND e.exchange_ts = c.exchange_ts"
    timely = f"{found} AND {same_time} WHERE e.exchange_ts BETWEEN {first} AND {last}"
    _make(con, "grid_of", timely)
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
    _charge(con, "grid_of")
    con.execute(f"""
        UPDATE {LOTS} AS lot SET fee = charged.fee FROM temp.grid_charged AS charged
        WHERE lot.account = charged.account AND lot.seq = charged.seq""")
    touched = f"""
        SELECT pair.rowid AS pair, account, open_seq, close_seq, pair.qty FROM {PAIRS} AS pair
        SEMI JOIN temp.grid_of AS of ON of.account = pair.account AND of.seq ="""
    _make(con, "grid_touched", f"{touched} open_seq UNION {touched} close_seq")
    if not _any(con, "grid_touched"):
        return
    _make(
        con,
        "grid_of",
        f"""
        SELECT e.* FROM {EXECUTIONS} AS e SEMI JOIN (
            SELECT account, open_seq AS seq FROM temp.grid_touched
            UNION SELECT account, close_seq FROM temp.grid_touched)
        USING (account, seq)""",
    )
    _charge(con, "grid_of")
    con.execute(f"""
        UPDATE {PAIRS} SET fees = new.fees FROM (
            SELECT pair, {FEES.format(qty="touched.qty")} AS fees FROM temp.grid_touched AS touched
            JOIN temp.grid_charged AS opens ON opens.account = touched.account AND opens.seq = open_seq
            JOIN temp.grid_charged AS closes ON closes.account = touched.account AND closes.seq = close_seq) AS new
        WHERE {PAIRS}.rowid = new.pair""")
    _make(
        con, "grid_cuts", f"SELECT DISTINCT {listed()} FROM {PAIRS} WHERE rowid IN (SELECT pair FROM temp.grid_touched)"
    )
    _level_again(con)


def forget_pairs(con: duckdb.DuckDBPyConnection, gone: str) -> None:
    """Match all legs again that had some of the executions in the table `gone`, which are stored no more."""
    _make(con, "grid_gone", f"SELECT DISTINCT {listed()} FROM {gone} WHERE exec_type = 'Trade'")
    for table in (PAIRS, LEVELS, LOTS, LEGS):
        con.execute(f"DELETE FROM {table} AS kept USING temp.grid_gone AS gone WHERE {same('kept', 'gone')}")
    left = f"(SELECT e.* FROM {EXECUTIONS} AS e SEMI JOIN temp.grid_gone USING ({listed()}))"
    keep_pairs(con, left, left)


def keep_all(con: duckdb.DuckDBPyConnection) -> None:
    """Match the executions of a file for which nothing is kept yet, some at a time."""
    row = con.execute(f"SELECT max(rowid) FROM {EXECUTIONS}").fetchone()
    last = row[0] if row and row[0] is not None else -1
    for first in range(0, last + 1, AT_ONCE):
        upto = first + AT_ONCE - 1
        rows = f"(SELECT * FROM {EXECUTIONS} WHERE rowid BETWEEN {first} AND {upto})"
        keep_pairs(con, rows, f"(SELECT * FROM {EXECUTIONS} WHERE rowid <= {upto})")


def _find_place(con: duckdb.DuckDBPyConnection) -> None:
    """`grid_fresh`: what is new, by leg with its step in time and its era; in `grid_cuts` the legs whose new executions
    do not just follow, with since when (ms).
    """
    _make(
        con,
        "grid_fresh",
        f"""
        SELECT tips.leg, new.* EXCLUDE ({listed()}), CAST(0 AS BIGINT) AS era, row_number() OVER time AS step,
            coalesce(lag(number) OVER time, last_number) AS before_number,
            coalesce(lag(at_ms) OVER time, last_ms) AS before_ms,
            max(number) OVER (time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS most_before
        FROM temp.grid_trades_new AS new JOIN temp.grid_tips AS tips USING ({listed()})
        WINDOW time AS {_TIME}""",
    )
    odd = "number < before_number AND (number > 0 OR at_ms = before_ms)"
    if con.execute(f"SELECT 1 FROM temp.grid_fresh WHERE {odd} LIMIT 1").fetchone():
        # An era begins, or what happened at once is not in the order of its numbers.
        anew = f"number BETWEEN 1 AND before_number - 1 AND at_ms - before_ms > {CLOCK_STEP_MS}"
        _make(
            con,
            "grid_eras",
            f"""
            SELECT * EXCLUDE (era, step, most_before),
                row_number() OVER (PARTITION BY leg ORDER BY at_ms, number, seq) AS step,
                max(number) OVER (PARTITION BY leg, era ORDER BY at_ms, seq
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS most_before, era
            FROM (SELECT * EXCLUDE (era), count(*) FILTER ({anew}) OVER (time ROWS UNBOUNDED PRECEDING) AS era
                FROM temp.grid_fresh WINDOW time AS {_TIME})""",
        )
        _make(con, "grid_fresh", "FROM temp.grid_eras")
    _make(
        con,
        "grid_cuts",
        f"""
        SELECT {listed()}, leg, since_ms FROM temp.grid_tips JOIN (
            SELECT leg, min(at_ms) AS since_ms FROM temp.grid_fresh JOIN temp.grid_tips USING (leg) GROUP BY leg
            HAVING bool_or(coalesce(
                at_ms < last_ms
                OR (number > 0 AND number < greatest(most_before, CASE WHEN era = 0 THEN most_number END))
                OR (at_ms = placed_ms AND (number < placed_number OR (number = placed_number AND seq <= placed_seq)))
                OR at_ms < placed_ms, false))) USING (leg)""",
    )


def _cut(con: duckdb.DuckDBPyConnection, known: str) -> None:
    """Undo what is after the cuts, and put into `grid_again` all executions from there on, in their places."""
    trades = f"""
        SELECT {listed("e")}, {_TRADE.replace("fee", "e.fee")}, since_ms FROM {known} AS e
        JOIN temp.grid_cuts USING ({listed()}) WHERE {COUNTS}"""
    # What is before a cut has its place whatever comes after, when no later number is lower than one before it.
    _make(
        con,
        "grid_whole",
        f"""
        SELECT {listed()} FROM ({trades}) GROUP BY ALL
        HAVING max(number) FILTER (at_ms < since_ms) > min(number) FILTER (at_ms >= since_ms AND number > 0)""",
    )
    for table, change in (("grid_cuts", f"since_ms = {_EVER}"), ("grid_tips", "most_number = 0")):
        whole = f"temp.grid_whole AS whole WHERE {same('cut', 'whole')}"
        con.execute(f"UPDATE temp.{table} AS cut SET {change} FROM {whole}")
    _make(
        con,
        "grid_again",
        f"""
        WITH trades AS (
            SELECT leg, {_TRADE.replace("fee", "e.fee")} FROM {known} AS e JOIN temp.grid_cuts USING ({listed()})
            WHERE {COUNTS} AND {AT_MS} >= since_ms
                AND exchange_ts >= make_timestamp((SELECT min(since_ms) FROM temp.grid_cuts) * 1000)),
        {PLACING}
        SELECT leg, seq, at_ms, number, closes, price, qty, exchange_ts, exec_id, fee, era, placed_ms,
            row_number() OVER (PARTITION BY leg ORDER BY placed_ms, number, seq) AS step
        FROM placed""",
    )
    opened, closed = (f"epoch_ms({name})" for name in ("opened_at", "closed_at"))
    _make(
        con,
        "grid_undone",
        f"""
        SELECT {listed("pair")}, open_seq AS seq, any_value(open_place) AS place, sum(pair.qty) AS unmatched
        FROM {PAIRS} AS pair JOIN temp.grid_cuts AS cut ON {same("pair", "cut")}
        WHERE {closed} >= since_ms AND {opened} < since_ms GROUP BY ALL""",
    )
    for table, since in (
        (PAIRS, f"AND {closed} >= since_ms"),
        (LOTS, "AND epoch_ms(exchange_ts) >= since_ms"),
        (LEVELS, ""),
    ):
        con.execute(f"DELETE FROM {table} AS kept USING temp.grid_cuts AS cut WHERE {same('kept', 'cut')} {since}")
    its_lot = f"{same('lot', 'undone')} AND lot.seq = undone.seq"
    added = "unmatched = lot.unmatched + undone.unmatched"
    con.execute(f"UPDATE {LOTS} AS lot SET {added} FROM temp.grid_undone AS undone WHERE {its_lot}")
    con.execute(f"DELETE FROM temp.grid_undone AS undone USING {LOTS} AS lot WHERE {its_lot}")
    if _any(con, "grid_undone"):
        _make(con, "grid_of", f"SELECT e.* FROM {known} AS e SEMI JOIN temp.grid_undone USING (account, seq)")
        _charge(con, "grid_of")
        con.execute(f"""
            INSERT INTO {LOTS} BY NAME SELECT undone.*, price, qty, fee, exchange_ts
            FROM temp.grid_undone AS undone JOIN temp.grid_charged USING (account, seq)""")


def _number(con: duckdb.DuckDBPyConnection, *, is_cut: bool) -> None:
    """`grid_items`: what is to be matched, each with its place in its leg, behind all places that were given before."""
    columns = "leg, seq, at_ms, number, closes, price, qty, exchange_ts, exec_id, fee, era, step"
    source = f"SELECT {columns}, at_ms AS placed_ms FROM temp.grid_fresh"
    if is_cut:
        source += f" ANTI JOIN temp.grid_cuts USING (leg) UNION ALL SELECT {columns}, placed_ms FROM temp.grid_again"
    _make(
        con,
        "grid_items",
        f"""
        SELECT new.* EXCLUDE (exec_id, step) REPLACE (coalesce(TRY(new.fee + added.fee), new.fee) AS fee),
            coalesce(places, 0) + step AS place
        FROM ({source}) AS new JOIN temp.grid_tips AS tips USING (leg)
        LEFT JOIN (
            SELECT account, exec_id, {ADDED_FEE} AS fee FROM {CORRECTIONS}
            WHERE {"true" if is_cut else "exec_id IN (SELECT exec_id FROM temp.grid_fresh)"} GROUP BY ALL) AS added
        ON added.account = tips.account AND added.exec_id = new.exec_id""",
    )


def _match(con: duckdb.DuckDBPyConnection) -> None:
    """`grid_new`: pairs of `grid_items` with each other and with the lots; `grid_matched`: what they took."""
    _make(
        con,
        "grid_all",
        f"""
        SELECT leg, place, seq, closes, qty AS part, price, qty, fee, exchange_ts FROM temp.grid_items
        UNION ALL
        SELECT leg, place, seq, false, unmatched, price, qty, fee, exchange_ts
        FROM {LOTS} JOIN temp.grid_tips USING ({listed()})""",
    )
    _make(
        con,
        "grid_matched",
        f"""
        WITH items AS (
            SELECT leg, place, closes, CASE WHEN closes THEN -part ELSE part END AS change FROM temp.grid_all),
        {MATCHING}
        SELECT * FROM matched""",
    )
    _make(
        con,
        "grid_new",
        f"""
        SELECT {listed("tips")}, matched.qty, opens.price AS open_price, closes.price AS close_price,
            {PROFIT.format(direction="direction", qty="matched.qty")} AS profit,
            {FEES.format(qty="matched.qty")} AS fees, opens.exchange_ts AS opened_at, closes.exchange_ts AS closed_at,
            opens.seq AS open_seq, closes.seq AS close_seq, open_place
        FROM temp.grid_matched AS matched JOIN temp.grid_tips AS tips USING (leg)
        JOIN temp.grid_all AS opens ON opens.leg = matched.leg AND opens.place = open_place
        JOIN temp.grid_all AS closes ON closes.leg = matched.leg AND closes.place = close_place
        ORDER BY closes.exchange_ts, closes.seq""",
    )


def _keep_lots(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM {LOTS} AS lot USING temp.grid_tips AS tip WHERE {same('lot', 'tip')}")
    con.execute(f"""
        INSERT INTO {LOTS} BY NAME
        SELECT {listed()}, place, seq, part - coalesce(taken, 0) AS unmatched, price, qty, fee, exchange_ts
        FROM temp.grid_all JOIN temp.grid_tips USING (leg) LEFT JOIN (
            SELECT leg, open_place AS place, sum(qty) AS taken FROM temp.grid_matched GROUP BY ALL) USING (leg, place)
        WHERE NOT closes AND part > coalesce(taken, 0)""")


def _keep_legs(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"DELETE FROM {LEGS} AS kept USING temp.grid_tips AS tip WHERE {same('kept', 'tip')}")
    con.execute(f"""
        INSERT INTO {LEGS} BY NAME
        SELECT {listed()}, new.places, new.last_ms, new.last_number,
            greatest(newest_number, CASE WHEN newest = 0 THEN tip.most_number END) AS most_number,
            placed.ms AS placed_ms, placed.number AS placed_number, placed.seq AS placed_seq
        FROM temp.grid_tips AS tip JOIN (
            SELECT leg, max(place) AS places, max(at_ms) AS last_ms,
                arg_max(number, {{'at': at_ms, 'seq': seq}}) AS last_number,
                coalesce(max(number) FILTER (era = newest), 0) AS newest_number, any_value(newest) AS newest,
                max({{'ms': placed_ms, 'number': number, 'seq': seq}}) AS placed
            FROM temp.grid_items JOIN (SELECT leg, max(era) AS newest FROM temp.grid_items GROUP BY leg) USING (leg)
            GROUP BY leg) AS new USING (leg)""")


def _level_again(con: duckdb.DuckDBPyConnection) -> None:
    """Add the pairs of the legs in `grid_cuts` up anew."""
    con.execute(f"DELETE FROM {LEVELS} AS level USING temp.grid_cuts AS cut WHERE {same('level', 'cut')}")
    pairs = f"(SELECT {PAIRS}.* FROM {PAIRS} SEMI JOIN temp.grid_cuts USING ({listed()}))"
    con.execute(f"INSERT INTO {LEVELS} BY NAME {levels_of(pairs)}")


def _charge(con: duckdb.DuckDBPyConnection, table: str, columns: str = "") -> None:
    """`grid_charged`: executions of a table with their fees as corrected."""
    _make(
        con,
        "grid_charged",
        f"""
        SELECT of.* {columns} REPLACE (coalesce(TRY(of.fee + added.fee), of.fee) AS fee) FROM temp.{table} AS of
        LEFT JOIN (
            SELECT account, exec_id, {ADDED_FEE} AS fee FROM {CORRECTIONS}
            WHERE exec_id IN (SELECT exec_id FROM temp.{table}) GROUP BY ALL) AS added
        ON added.account = of.account AND added.exec_id = of.exec_id""",
    )


def _make(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")


def _any(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(f"SELECT 1 FROM temp.{table} LIMIT 1").fetchone() is not None
