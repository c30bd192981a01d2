"""Which executions a step takes, for `gridbot.store.grid_keeping`: all that wait of some legs, or the first of one.

Constants in the statements have DuckDB pass over row groups of other times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import duckdb

from gridbot.core.exchange_sequence import CLOCK_STEP_MS
from gridbot.store.grid_patience import MORE
from gridbot.store.grid_sql import AT_MS, COUNTS, ERAS, KEYS, NUMBER, RISKY, same
from gridbot.store.kept_ids import ODD
from gridbot.store.sql_columns import as_stored, quote

__all__ = ["Tail", "make", "one", "take_all", "take_some", "time_sql"]

EXECUTIONS: Final = as_stored("executions")
MS: Final = 1000
"""In microseconds: the exchange's times have no less."""


@dataclass(frozen=True, slots=True)
class Tail:
    row: int
    keys: tuple[Any, ...]
    since_us: int
    since_seq: int
    last_us: int
    is_cut: bool
    executions: int

    @property
    def name(self) -> str:
        account, strategy, symbol, direction, shadow = self.keys
        return f"{account}/{strategy} {symbol} {direction}{' (shadow)' if shadow else ''}"

    @property
    def is_leg(self) -> str:
        """Condition on executions."""
        values = (str(value).lower() if isinstance(value, bool) else quote(value) for value in self.keys)
        return " AND ".join(f"{key} = {value}" for key, value in zip(KEYS, values, strict=True))


_CHUNK: Final = f"""
    e.seq, {AT_MS} AS at_ms, {NUMBER} AS number, e.closed_size > 0 AS closes, e.price, e.qty, e.exchange_ts, e.exec_id,
    e.{ODD}, e.order_link_id, e.fee"""


def take_all(con: duckdb.DuckDBPyConnection, tails: list[Tail]) -> None:
    accounts = {tail.keys[0] for tail in tails}
    few = f"AND e.account IN ({', '.join(map(quote, accounts))})" if len(accounts) <= 8 else ""
    make(
        con,
        "grid_chunk",
        f"""
        SELECT leg, {_CHUNK}
        FROM {EXECUTIONS} AS e JOIN temp.grid_picked AS picked ON {same("e", "picked")}
            AND (e.exchange_ts > since_at OR (e.exchange_ts = since_at AND e.seq > since_seq))
        WHERE {COUNTS} AND e.exchange_ts >= {time_sql(min(tail.since_us for tail in tails))} {few}""",
    )


def take_some(con: duckdb.DuckDBPyConnection, tail: Tail, at_once: int) -> tuple[int, int] | None:
    """The first executions of a leg, up to the place that is returned; None: all of them."""
    leg = f"FROM {EXECUTIONS} AS e WHERE {COUNTS} AND {tail.is_leg} AND {_behind('e', tail.since_us, tail.since_seq)}"
    since_us = tail.since_us
    if tail.executions > at_once and tail.since_us < 0:
        since_us = one(con, f"SELECT coalesce(epoch_us(min(exchange_ts)), {tail.last_us}) {leg}")[0]
    while True:
        upto_us, few = _time_of_some(con, leg, tail, since_us, at_once)
        make(
            con,
            "grid_chunk",
            f"SELECT 1::INTEGER AS leg, {_CHUNK} {leg} AND e.exchange_ts <= {time_sql(upto_us)} "
            + ("" if few else f"ORDER BY exchange_ts, seq LIMIT {at_once}"),
        )
        if few and upto_us >= tail.last_us:
            return None
        if (upto := _last_place(con, tail)) != NOWHERE:
            return upto
        at_once *= MORE


def _time_of_some(
    con: duckdb.DuckDBPyConnection, leg: str, tail: Tail, since_us: int, at_once: int
) -> tuple[int, bool]:
    """Up to when (us) about so many executions of `leg` are; False: up to then there are many more, and no time in
    between is known to have some: in one moment, or in a burst behind a silence."""
    span_us = max(MS, (tail.last_us - since_us) * at_once // max(1, tail.executions))
    many_us: int | None = None
    while True:
        upto_us = min(since_us + span_us, tail.last_us)
        [count] = one(con, f"SELECT count(*) {leg} AND e.exchange_ts <= {time_sql(upto_us)}")
        if count > 2 * at_once:
            if span_us <= MS:
                return upto_us, False
            many_us, span_us = upto_us, max(MS, span_us * at_once // count // MS * MS)
        elif many_us is not None and count == 0:
            return many_us, False
        elif many_us is None and upto_us < tail.last_us and (count == 0 or count < at_once // 4):
            span_us *= MORE
        else:
            return upto_us, True


NOWHERE: Final = (-1, -1)


def _last_place(con: duckdb.DuckDBPyConnection, tail: Tail) -> tuple[int, int]:
    """The last place of the chunk where a checkpoint may stand (`grid_tables`); the chunk is cut to it. Or NOWHERE."""
    last_at, last_seq, highest, tie = one(
        con,
        """
        SELECT epoch_us(max(exchange_ts)), arg_max(seq, {'at': exchange_ts, 'seq': seq}), max(number),
            max({'at': exchange_ts, 'number': number}).number
        FROM temp.grid_chunk""",
    )
    leg = f"FROM {EXECUTIONS} AS e WHERE {COUNTS} AND {tail.is_leg}"
    [at_once] = one(con, f"SELECT min({NUMBER}) {leg} AND exchange_ts = {time_sql(last_at)} AND seq > {last_seq}")
    lower, near = one(
        con,
        f"SELECT min(exchange_seq), min(exchange_seq) FILTER (exchange_ts <= {time_sql(last_at + MS * CLOCK_STEP_MS)}) "
        f"{leg} AND exchange_ts >= {time_sql(last_at)} AND exchange_seq BETWEEN 1 AND {highest - 1} "
        f"AND {_behind('e', last_at, last_seq)}",
    )
    follows = at_once is None or at_once >= tie
    if lower is None and follows:
        return int(last_at), int(last_seq)
    lower, near = (highest if found is None else found for found in (lower, near))
    found = one(
        con,
        f"""
        WITH trades AS (FROM temp.grid_chunk), {ERAS},
        risks AS (SELECT *, {RISKY} AS risky FROM counted)
        SELECT epoch_us(max(exchange_ts)), arg_max(seq, {{'at': exchange_ts, 'seq': seq}}) FROM (
            SELECT exchange_ts, seq, at_ms, era, lead(exchange_ts) OVER time AS next_at,
                max(number) OVER (so_far ROWS UNBOUNDED PRECEDING) AS before,
                min(CASE WHEN number > 0 THEN number END) OVER (
                    time ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS after,
                max(number) OVER (
                    ORDER BY at_ms RANGE BETWEEN {CLOCK_STEP_MS} PRECEDING AND CURRENT ROW) AS before_near,
                lowest_risky,
                min(CASE WHEN number > 0 AND at_ms > last_risky_ms + {CLOCK_STEP_MS} THEN number END) OVER (
                    PARTITION BY era, last_risky_ms ORDER BY exchange_ts, seq ROWS UNBOUNDED PRECEDING) AS settles
            FROM (
                SELECT *, max(CASE WHEN risky THEN at_ms END) OVER so_far AS last_risky_ms,
                    min(CASE WHEN risky THEN number END) OVER so_far AS lowest_risky
                FROM risks WINDOW so_far AS (PARTITION BY era ORDER BY exchange_ts, seq ROWS UNBOUNDED PRECEDING))
            WINDOW time AS (ORDER BY exchange_ts, seq), so_far AS (PARTITION BY era ORDER BY exchange_ts, seq))
        WHERE coalesce(next_at > exchange_ts, {follows}) AND (
            before <= least({lower}, coalesce(after, {lower}))
            OR ((lowest_risky IS NULL OR settles < lowest_risky)
                AND (era > 0 OR NOT (SELECT risky FROM temp.grid_picked))
                AND (before_near <= {near} OR at_ms + {CLOCK_STEP_MS} < {last_at // MS})))""",
    )
    if found[0] is None:
        return NOWHERE
    con.execute(f"DELETE FROM temp.grid_chunk WHERE {_behind('grid_chunk', *found)}")
    return int(found[0]), int(found[1])


def _behind(of: str, at: int, seq: int) -> str:
    """Condition on what is behind a place."""
    time = f"{of}.exchange_ts"
    return f"{time} >= {time_sql(at)} AND ({time} > {time_sql(at)} OR {of}.seq > {seq})"


def time_sql(at_us: int) -> str:
    return f"make_timestamp({at_us})"


def make(con: duckdb.DuckDBPyConnection, name: str, query: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")


def _count(con: duckdb.DuckDBPyConnection, table: str) -> int:
    [count] = one(con, f"SELECT count(*) FROM temp.{table}")
    return int(count)


def one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    return con.execute(query).fetchone()
