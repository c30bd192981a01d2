"""How fills are matched to pairs, as SQL: from all executions, or from those that are new and what was still open.

A closing fill takes the newest opening fill that is still unmatched at its depth of the position (last in, first out).
So what has to be known of the past of a leg is short: the openings that are left, in their order, and how far its order
had come. That is kept (`gridbot.store.grid_keeping`); from all executions the same comes by `grid_trades_sql`, which is
what the check compares with. Only functions of DuckDB 1.4, as in `gridbot.store.views`.

What the exchange numbered later happened later: it is placed at the time that its numbers had reached, though the clock
was set back since. Numbers that begin anew count by themselves, as in `core.exchange_sequence`.
"""

from __future__ import annotations

from typing import Final

from gridbot.core.exchange_sequence import CLOCK_STEP_MS

__all__ = [
    "ADDED_FEE",
    "AT_MS",
    "COUNTS",
    "ERAS",
    "FEES",
    "KEYS",
    "LEG",
    "MATCHING",
    "NUMBER",
    "PLACING",
    "PLACING_SOON",
    "PROFIT",
    "RISKY",
    "grid_trades_sql",
    "listed",
    "same",
]

LEG: Final = ("account", "strategy", "symbol", "direction")
KEYS: Final = (*LEG, "shadow")
"""What tells legs apart. Statements sort and join by a number per leg: by these texts it takes twice as long."""

COUNTS: Final = (
    "exec_type = 'Trade' AND qty > 0 "
    "AND coalesce(abs(TRY(price * qty)) < CAST(50000000000000 AS DECIMAL(38, 24)), false) "
    "AND coalesce(abs(TRY(fee * qty)) < CAST(10000000000000 AS DECIMAL(38, 24)), false) "
    "AND greatest(qty, abs(fee)) < CAST(1e18 AS DECIMAL(38, 12))"
)
"""Which executions are matched: trades, but for amounts that no market has and that would overflow, alone (a price of
zero has any quantity) or added up: a pair's profit is less than its fills are worth, and 26 digits have room for the
sum of a great many. One sum that overflows would keep all records out of the store."""

ADDED_FEE: Final = "coalesce(sum(fee) FILTER (abs(fee) < CAST(1e20 AS DECIMAL(38, 12))), 0)"
"""What corrections add to a fee."""

AT_MS: Final = "date_diff('millisecond', TIMESTAMP '1970-01-01', exchange_ts)"
NUMBER: Final = "greatest(exchange_seq, 0)"

ERAS: Final = f"""
    begun AS (
        SELECT *, number BETWEEN 1 AND lag(number) OVER time - 1 AND at_ms - lag(at_ms) OVER time > {CLOCK_STEP_MS}
            AS anew
        FROM trades WINDOW time AS (PARTITION BY leg ORDER BY at_ms, seq)),
    counted AS (
        SELECT *, count(CASE WHEN anew THEN 1 END) OVER (
            PARTITION BY leg ORDER BY at_ms, seq ROWS UNBOUNDED PRECEDING) AS era
        FROM begun)"""
"""Of `trades` (leg, seq, at_ms, number and more) how often the exchange has begun to count anew before."""

PLACING: Final = f"""
    {ERAS},
    reached AS (
        SELECT *, max(at_ms) FILTER (number > 0) OVER (
            PARTITION BY leg, era ORDER BY number, at_ms, seq ROWS UNBOUNDED PRECEDING) AS reached_ms
        FROM counted),
    placed AS (
        SELECT *, CASE WHEN number > 0 AND reached_ms - at_ms <= {CLOCK_STEP_MS} THEN reached_ms ELSE at_ms
            END AS placed_ms
        FROM reached)"""
"""From `trades` their places in time. One that a lower number follows only later than the step of a clock, in its era,
is at its own time whatever comes, and so is one that such a number follows too.

(`count(*) FILTER` over a window takes time by the square of a leg's executions, in DuckDB 2.0.)"""

PLACING_SOON: Final = f"""
    odd AS MATERIALIZED (
        SELECT DISTINCT leg FROM (
            SELECT leg, number, lag(number) OVER (PARTITION BY leg ORDER BY at_ms, seq) AS before
            FROM trades WHERE number > 0)
        WHERE number < before),
    {
    PLACING.replace("FROM trades ", "FROM trades SEMI JOIN odd USING (leg) ").replace(
        "placed AS (", "placed_oddly AS ("
    )
},
    placed AS (
        SELECT * EXCLUDE (anew, era, reached_ms) FROM placed_oddly
        UNION ALL BY NAME SELECT *, at_ms AS placed_ms FROM trades ANTI JOIN odd USING (leg))"""
"""The same, at less than half of the cost: where no number of a leg is lower than one before it, each of its executions
is at its own time, and three windows over all columns would only say so."""

RISKY: Final = f"""coalesce(number > min(CASE WHEN number > 0 THEN number END) OVER (
    PARTITION BY leg ORDER BY at_ms RANGE BETWEEN 1 FOLLOWING AND {CLOCK_STEP_MS} FOLLOWING), false)"""
"""Of `trades`: that one comes later, within the step of a clock, and has a lower number. Where there is no such one,
each is at its own time, whatever the numbers of those that come more than that step later. Where there is, one that
comes more than that step later, in the same era, with a lower number too, settles it: at its own time from then on."""

MATCHING: Final = """
    slopes AS (
        SELECT leg, place, closes, least(size_after, size_after - change) AS low,
            greatest(size_after, size_after - change) AS high
        FROM (SELECT *, sum(change) OVER (PARTITION BY leg ORDER BY place ROWS UNBOUNDED PRECEDING) AS size_after
            FROM items)),
    rounds AS (
        SELECT 0 AS round, CAST(0 AS BIGINT) AS hill, leg, place, closes, low, high, high AS foot FROM slopes
        UNION ALL (
        WITH begun AS (
            SELECT *, lag(leg) OVER legs IS DISTINCT FROM leg OR (NOT closes AND lag(closes) OVER legs) AS begins
            FROM rounds WHERE low < foot WINDOW legs AS (ORDER BY leg, place)),
        hills AS (
            SELECT round, leg, place, closes, low, foot AS high, count(CASE WHEN begins THEN 1 END) OVER (
                ORDER BY leg, place ROWS UNBOUNDED PRECEDING) AS hill
            FROM begun),
        feet AS (
            SELECT hill,
                greatest(min(CASE WHEN closes THEN low END), min(CASE WHEN NOT closes THEN low END)) AS foot
            FROM hills GROUP BY hill HAVING bool_or(closes) AND NOT bool_and(closes))
        SELECT round + 1, hill, leg, place, closes, low, high, least(high, foot)
        FROM hills JOIN feet USING (hill))),
    facing AS (
        SELECT leg, low,
            CASE WHEN lead(hill) OVER sizes = hill AND lead(round) OVER sizes = round
                THEN lead(low) OVER sizes ELSE high END AS high,
            last_value(CASE WHEN NOT closes THEN place END IGNORE NULLS) OVER sizes AS open_place,
            last_value(CASE WHEN closes THEN place END IGNORE NULLS) OVER sizes AS close_place
        FROM (SELECT * REPLACE (greatest(low, foot) AS low) FROM rounds WHERE foot < high)
        WINDOW sizes AS (ORDER BY round, hill, low)),
    matched AS (
        SELECT leg, open_place, close_place, CAST(high - low AS DECIMAL(38, 12)) AS qty FROM facing WHERE low < high)"""
"""From `items` (leg, place in its order, closes, change of the size) pairs: of which opening a close took how much.
For a `WITH RECURSIVE`.

Drawn over time the size of a position is a line of hills: openings go up, closes down. Down to the higher one of a
hill's two feet each close takes the opening that faces it, at the same sizes. What is left of a hill is one slope, and
with its neighbours it makes the hills of the next round, of which there are half as many at most; what has nothing left
to face it is left out. So it takes time by executions and rounds, whatever the sizes are.
"""

PROFIT: Final = """CAST(CASE WHEN {direction} = 'long' THEN closes.price - opens.price ELSE opens.price - closes.price
    END * {qty} AS DECIMAL(38, 12))"""

FEES: Final = """CAST(
    CASE WHEN {qty} = opens.qty THEN opens.fee ELSE coalesce(TRY(opens.fee * {qty}), 0) / opens.qty END
    + CASE WHEN {qty} = closes.qty THEN closes.fee ELSE coalesce(TRY(closes.fee * {qty}), 0) / closes.qty END
    AS DECIMAL(38, 12))"""


def listed(of: str = "", keys: tuple[str, ...] = KEYS) -> str:
    """The columns that tell legs apart, of a table."""
    return ", ".join(f"{of}.{key}" if of else key for key in keys)


def same(one: str, other: str, keys: tuple[str, ...] = KEYS) -> str:
    """That two rows are of one leg."""
    return " AND ".join(f"{one}.{key} = {other}.{key}" for key in keys)


def grid_trades_sql(which: str, ids: str = "order_link_id, exec_id", more: str = "") -> str:
    """Query of matched pairs from all executions. `which`: a condition on `shadow`, and perhaps on others of the legs,
    as SQL. `ids`: columns of the two executions that are told of a pair, with `open_` and `close_` in front of their
    names; `more`: further columns of the leg, each followed by a comma.

    DuckDB does not know how many rows `matched` has. Where it may choose, it can join openings with closes by their leg
    alone, which takes time and memory by the square of a leg's executions: so each join is of two, and done.
    """
    names = [name.strip() for name in ids.split(",")]
    listed_ids = ", ".join(f"executions.{name}" for name in names)
    told = ", ".join(
        f"{side}s.{name} AS {side}_{name.removeprefix('order_')}" for name in names for side in ("open", "close")
    )
    return f"""
        WITH RECURSIVE legs AS MATERIALIZED (
            SELECT *, CAST(row_number() OVER () AS INTEGER) AS leg
            FROM (SELECT DISTINCT {listed()} FROM daily_sums WHERE exec_type = 'Trade' AND {which})),
        added AS (
            SELECT account, exec_id, {ADDED_FEE} AS fee FROM corrections GROUP BY ALL ),
        trades AS (
            SELECT leg, executions.seq, {AT_MS} AS at_ms, {NUMBER} AS number, closed_size > 0 AS closes, qty
            FROM executions JOIN legs USING ({listed()}) WHERE {COUNTS} AND {which}),
        {PLACING},
        items AS (
            SELECT leg, seq, closes, CASE WHEN closes THEN -qty ELSE qty END AS change,
                row_number() OVER (PARTITION BY leg ORDER BY placed_ms, number, seq) AS place
            FROM placed),
        {MATCHING},
        charged AS (
            SELECT leg, executions.seq, executions.direction, price, qty, exchange_ts, {listed_ids},
                coalesce(TRY(executions.fee + added.fee), executions.fee) AS fee
            FROM executions JOIN legs USING ({listed()}) LEFT JOIN added USING (account, exec_id)
            WHERE exec_type = 'Trade' AND {which}),
        opened AS MATERIALIZED (
            SELECT matched.leg, matched.qty, close_place, opening.seq AS open_row
            FROM matched JOIN items AS opening ON opening.leg = matched.leg AND opening.place = open_place),
        pairs AS MATERIALIZED (
            SELECT opened.leg, qty, open_row, closing.seq AS close_row
            FROM opened JOIN items AS closing ON closing.leg = opened.leg AND closing.place = close_place),
        begun_pairs AS MATERIALIZED (
            SELECT pairs.leg, pairs.qty, close_row, opens
            FROM pairs JOIN charged AS opens ON opens.leg = pairs.leg AND opens.seq = open_row),
        priced AS (
            SELECT begun_pairs.leg, begun_pairs.qty, opens.price AS open_price, closes.price AS close_price,
                {PROFIT.format(direction="closes.direction", qty="begun_pairs.qty")} AS profit,
                {FEES.format(qty="begun_pairs.qty")} AS fees,
                opens.exchange_ts AS opened_at, closes.exchange_ts AS closed_at, {told}
            FROM begun_pairs JOIN charged AS closes ON closes.leg = begun_pairs.leg AND closes.seq = close_row)
        SELECT {listed(keys=LEG)}, {more} qty, open_price, close_price, profit, fees, profit - fees AS net_profit,
            opened_at, closed_at, {
        ", ".join(f"{side}_{name.removeprefix('order_')}" for name in names for side in ("open", "close"))
    }
        FROM priced JOIN legs USING (leg)"""
