"""The tables in which matched pairs are kept behind the rows, and the views that show them with what is not kept yet.

    grid_pairs        a matched pair, with all that is shown of it: to look its ids up among the executions takes longer
                      with each that there is, also where nobody asks for ids
    grid_levels       the pairs added up by the price at which they were opened, in parts of a leg's time
    grid_checkpoints  up to where a leg is matched: the openings left there, and what the next has to come behind
    grid_tails        the legs with stored executions behind their newest checkpoint

A checkpoint is a place in a leg's time (the exchange's time, then our number), and stands only while every execution
behind it comes behind all before it by the exchange's numbers too. Where no numbers before it contradict times, that is
asked of what comes within the step of a clock only (`grid_sql.PLACING`): numbers may begin anew. So what is behind the
newest is matched by itself, with the openings that it left: that is what the views do with the tails, and with what has
landed only. A commit takes away the checkpoints that its executions contradict (`gridbot.store.grid_marks`); pairs that
closed behind the newest one do not count any more, until `gridbot.store.grid_keeping` has come there and removes them.
"""

from __future__ import annotations

from typing import Final

from gridbot.core.exchange_sequence import CLOCK_STEP_MS
from gridbot.store.grid_sql import (
    ADDED_FEE,
    AT_MS,
    COUNTS,
    FEES,
    KEYS,
    LEG,
    MATCHING,
    NUMBER,
    PLACING_SOON,
    PROFIT,
    grid_trades_sql,
    listed,
    same,
)
from gridbot.store.kept_ids import ODD, rows_query, text_of
from gridbot.store.newest_rows import newest_apart
from gridbot.store.sql_columns import as_stored
from gridbot.store.stored_views import landed_query
from gridbot.store.view_type import View

__all__ = [
    "CHECKPOINTS",
    "CLOCK_STEP",
    "EVER",
    "GRID_DOCS",
    "GRID_TABLES",
    "GRID_VIEWS",
    "IDS_OF_PAIR",
    "LANDED_PAIRS",
    "LEVELS",
    "LOT",
    "OF_VERSION_7",
    "PAIRS",
    "TAILS",
    "VIEWS_FROM_ROWS",
    "levels_of",
    "merge_levels",
]

PAIRS: Final = as_stored("grid_pairs")
LEVELS: Final = as_stored("grid_levels")
CHECKPOINTS: Final = as_stored("grid_checkpoints")
TAILS: Final = as_stored("grid_tails")
OF_VERSION_7: Final = (as_stored("grid_legs"), as_stored("grid_lots"))
"""Tables that only that version had."""

_KEY_COLUMNS: Final = ", ".join(f"{key} {'BOOLEAN' if key == 'shadow' else 'VARCHAR'} NOT NULL" for key in KEYS)
_AMOUNT: Final = "DECIMAL(38, 12)"
_MONEY: Final = f"{_AMOUNT} NOT NULL"
LOT: Final = (
    f"STRUCT(seq BIGINT, unmatched {_AMOUNT}, price {_AMOUNT}, qty {_AMOUNT}, fee {_AMOUNT}, exchange_ts TIMESTAMP, "
    f"exec_id UUID, {ODD} VARCHAR, order_link_id VARCHAR)"
)
"""An opening that is not closed yet, and how much of it is not."""

CLOCK_STEP: Final = f"INTERVAL {CLOCK_STEP_MS} MILLISECOND"

EVER: Final = "TIMESTAMP '0001-01-01'"
"""Before everything."""

GRID_TABLES: Final = {
    PAIRS: f"""
        {_KEY_COLUMNS}, qty {_MONEY}, open_price {_MONEY}, close_price {_MONEY}, net_profit {_MONEY}, fees {_MONEY},
        opened_at TIMESTAMP NOT NULL, closed_at TIMESTAMP NOT NULL, open_seq BIGINT NOT NULL,
        close_seq BIGINT NOT NULL, open_link_id VARCHAR NOT NULL, close_link_id VARCHAR NOT NULL,
        open_exec_id UUID NOT NULL, close_exec_id UUID NOT NULL, {ODD} VARCHAR""",
    LEVELS: f"""
        {_KEY_COLUMNS}, level {_MONEY}, pairs BIGINT NOT NULL, qty {_MONEY}, profit {_MONEY}, fees {_MONEY},
        last_closed_at TIMESTAMP NOT NULL, part BIGINT NOT NULL""",
    CHECKPOINTS: f"""
        {_KEY_COLUMNS}, part BIGINT NOT NULL, upto_at TIMESTAMP NOT NULL, upto_seq BIGINT NOT NULL,
        highest BIGINT NOT NULL, tie BIGINT NOT NULL, risky BOOLEAN NOT NULL, executions BIGINT NOT NULL,
        began BIGINT NOT NULL,
        lots {LOT}[] NOT NULL""",
    TAILS: f"""
        {_KEY_COLUMNS}, since_at TIMESTAMP NOT NULL, since_seq BIGINT NOT NULL, part BIGINT NOT NULL,
        is_cut BOOLEAN NOT NULL, last_at TIMESTAMP NOT NULL, highest BIGINT NOT NULL, executions BIGINT NOT NULL,
        error VARCHAR""",
}
"""Their columns.

Of a pair the profit after fees, which nearly every question wants: each column that is read for it costs 4 ns a pair.
Of a checkpoint: `part` counts those of a leg from 1, and the sums by level that end with it have it too; the highest of
the exchange's numbers of the last half minute (where it is risky: of what is) and of those at this very time; whether
an execution up to here is placed later than its own time (risky: a lower number may still change that); executions
up to here, and up to where
the part began; the openings that are left, the oldest first. Of a tail: behind which place it is (from the
beginning: EVER), whether pairs that do not count may be behind it, its last time and highest number, roughly its
executions, and the error for which it is not matched.
"""

IDS_OF_PAIR: Final = f"""
    opens.order_link_id AS open_link_id, closes.order_link_id AS close_link_id,
    opens.exec_id AS open_exec_id, closes.exec_id AS close_exec_id,
    CASE WHEN opens.{ODD} IS NOT NULL OR closes.{ODD} IS NOT NULL THEN CAST(json_object(
        'open_exec_id', {text_of("exec_id", "opens.")}, 'close_exec_id', {text_of("exec_id", "closes.")}) AS VARCHAR)
        END AS {ODD}"""
"""Of a pair the columns that are of its two executions, `opens` and `closes`."""

GRID_DOCS: Final = {
    PAIRS: "Matched pairs; kept by the writer, read them through grid_trades.",
    LEVELS: "Matched pairs by the price of their opening; kept by the writer, read them through grid_levels.",
    CHECKPOINTS: "Up to where each leg is matched, and the openings that are left there; kept by the writer.",
    TAILS: "Legs with executions that are not matched yet; the views match them. Kept by the writer.",
}

_TRADE: Final = f"""
    {listed()}, seq, {AT_MS} AS at_ms, {NUMBER} AS number, closed_size > 0 AS closes, qty, price, fee, exchange_ts,
    exec_id, order_link_id"""

_CORRECTED: Final = rows_query("corrections", only=("account", "exec_id", "fee"))
_READ: Final = (
    *(*KEYS, "seq", "exchange_ts", "exchange_seq", "closed_size", "qty", "price", "fee"),
    *("exec_type", "exec_id", "order_link_id"),
)
"""Columns of executions that pairs are made of: each more costs a question its parsing, and the view stands parsed."""

LANDED_PAIRS: Final = View(
    "grid_pairs_landed",
    "Matched pairs that are not kept yet; read grid_trades.",
    f"""
    WITH RECURSIVE tails AS MATERIALIZED (SELECT * FROM {TAILS} WHERE error IS NULL),
    added AS (SELECT account, exec_id, {ADDED_FEE} AS fee FROM ({_CORRECTED}) GROUP BY ALL),
    executed AS (
        SELECT {_TRADE} FROM ({landed_query("executions", only=_READ)}) AS landed
        ANTI JOIN (SELECT * FROM {TAILS} WHERE error IS NOT NULL) AS failed USING ({listed()})
        WHERE {COUNTS}
        UNION ALL
        SELECT {_TRADE} FROM ({rows_query("executions", only=_READ)}) AS stored
        SEMI JOIN tails ON {same("stored", "tails")}
            AND (exchange_ts > since_at OR (exchange_ts = since_at AND seq > since_seq))
        WHERE {COUNTS} AND exchange_ts >= (SELECT coalesce(min(since_at), TIMESTAMP '9999-01-01') FROM tails)),
    charged AS MATERIALIZED (
        SELECT executed.* REPLACE (coalesce(TRY(executed.fee + added.fee), executed.fee) AS fee)
        FROM executed LEFT JOIN added USING (account, exec_id)),
    legs AS MATERIALIZED (
        SELECT *, row_number() OVER () AS leg FROM (SELECT DISTINCT {listed()} FROM charged)),
    trades AS (SELECT leg, charged.* EXCLUDE ({listed()}) FROM charged JOIN legs USING ({listed()})),
    {PLACING_SOON},
    newest AS (
        SELECT leg, lots FROM {CHECKPOINTS} JOIN legs USING ({listed()})
        QUALIFY row_number() OVER (PARTITION BY leg ORDER BY part DESC) = 1),
    waiting AS (
        SELECT leg, seq, closes, qty AS part, price, qty, fee, exchange_ts, exec_id, order_link_id,
            row_number() OVER (PARTITION BY leg ORDER BY placed_ms, number, seq) AS place
        FROM placed
        UNION ALL
        SELECT leg, lot.seq, false, lot.unmatched, lot.price, lot.qty, lot.fee, lot.exchange_ts,
            {text_of("exec_id", "lot.")}, lot.order_link_id, nth - len(lots)
        FROM (SELECT leg, lots, unnest(lots) AS lot, generate_subscripts(lots, 1) AS nth FROM newest)
        WHERE lot.unmatched < 1e18),
    numbers AS MATERIALIZED (FROM waiting),
    items AS (SELECT leg, place, closes, CASE WHEN closes THEN -part ELSE part END AS change FROM numbers),
    {MATCHING},
    opens AS MATERIALIZED (
        SELECT matched.leg, close_place, matched.qty AS pair_qty, price, numbers.qty, fee, exchange_ts, order_link_id,
            exec_id
        FROM matched JOIN numbers ON numbers.leg = matched.leg AND numbers.place = open_place)
    SELECT {listed("legs")}, pair_qty AS qty, opens.price AS open_price, closes.price AS close_price,
        TRY({PROFIT.format(direction="direction", qty="pair_qty")}) AS profit,
        TRY({FEES.format(qty="pair_qty")}) AS fees,
        opens.exchange_ts AS opened_at, closes.exchange_ts AS closed_at, opens.order_link_id AS open_link_id,
        closes.order_link_id AS close_link_id, opens.exec_id AS open_exec_id, closes.exec_id AS close_exec_id
    FROM opens JOIN legs USING (leg)
    JOIN numbers AS closes ON closes.leg = opens.leg AND closes.place = close_place
    WHERE profit IS NOT NULL AND fees IS NOT NULL""",
)
"""DuckDB does not know how many rows `matched` has. Where it may choose, it joins openings with closes by their leg
alone, which takes time by the square of a leg's executions. So it may not. Of `opens` it leaves out the columns that
nobody asks for, such as ids, which have to be made of numbers; of a value with all columns it would not.

Amounts of kept openings that no market has (a damaged file) cost their pairs, not the question: a step notes the leg
later."""


def _pair(profits: str) -> str:
    return f"""
    {listed(keys=LEG)}, qty, open_price, close_price, {profits}, opened_at, closed_at, open_link_id, close_link_id"""


_AS_KEPT: Final = f"SELECT kept.* FROM {PAIRS} AS kept"
_FIRST_CUT: Final = f"(SELECT coalesce(min(since_at), TIMESTAMP '9999-01-01') FROM {TAILS} WHERE is_cut)"
_COUNTS: Final = f"""
    ANTI JOIN (SELECT * FROM {TAILS} WHERE is_cut) AS cut ON {same("kept", "cut")}
        AND (kept.closed_at > cut.since_at OR (kept.closed_at = cut.since_at AND kept.close_seq > cut.since_seq))"""
"""Of pairs behind the first cut those that count: a join reads what tells legs apart also where nobody asks for it."""


def _trades(name: str, doc: str, which: str) -> View:
    profits = "profit, fees, profit - fees AS net_profit"
    landed = f"SELECT {_pair(profits)}, open_exec_id, close_exec_id FROM grid_pairs_landed WHERE {which}"
    whole = newest_apart(_AS_KEPT, PAIRS, f"{which} AND closed_at < {_FIRST_CUT}")
    cut = f"{_AS_KEPT} {_COUNTS} WHERE {which} AND closed_at >= {_FIRST_CUT}"
    kept = f"""
        SELECT {_pair("net_profit + fees AS profit, fees, net_profit")},
            {text_of("open_exec_id")} AS open_exec_id, {text_of("close_exec_id")} AS close_exec_id
        FROM ({whole} UNION ALL {cut})"""
    return View(name, doc, f"{landed} UNION ALL {kept}")


_TRADES_DOC: Final = (
    "Matched pairs: a closing fill with the newest opening fill that was still unmatched at its depth of the "
    "position (last in, first out), both prices, both fees, corrected. profit is before, net_profit after fees. "
    "The order is the exchange's, also when its clock was set back by up to 30 seconds."
)
_SHADOW_DOC: Final = "Hypothetical pairs of shadow strategies, matched as those of grid_trades."
_LEVELS_DOC: Final = "Profit of the matched pairs by the price at which they were opened."
_SUMMED: Final = """
    sum(qty) AS qty, sum(profit) AS profit, sum(fees) AS fees, sum(profit) - sum(fees) AS net_profit,
    max(last_closed_at) AS last_closed_at"""

GRID_VIEWS: Final = (
    _trades("grid_trades", _TRADES_DOC, "NOT shadow"),
    _trades("shadow_grid_trades", _SHADOW_DOC, "shadow"),
    View(
        "grid_levels",
        _LEVELS_DOC,
        f"""
        SELECT {listed(keys=LEG)}, level, CAST(sum(pairs) AS BIGINT) AS pairs, {_SUMMED}
        FROM (
            SELECT {listed(keys=LEG)}, level, pairs, qty, profit, fees, last_closed_at FROM {LEVELS} WHERE NOT shadow
            UNION ALL
            SELECT {listed(keys=LEG)}, open_price, 1, qty, profit, fees, closed_at FROM grid_pairs_landed
            WHERE NOT shadow)
        GROUP BY ALL""",
    ),
)
"""They take the place of what `grid_trades_sql` says of all executions."""

VIEWS_FROM_ROWS: Final = (
    View("grid_trades", _TRADES_DOC, grid_trades_sql("NOT shadow")),
    View("shadow_grid_trades", _SHADOW_DOC, grid_trades_sql("shadow")),
    View(
        "grid_levels",
        _LEVELS_DOC,
        f"""
        SELECT {listed(keys=LEG)}, open_price AS level, count(*) AS pairs, sum(qty) AS qty, sum(profit) AS profit,
            sum(fees) AS fees, sum(net_profit) AS net_profit, max(closed_at) AS last_closed_at
        FROM grid_trades GROUP BY ALL""",
    ),
)
"""The same of executions for which nothing is kept, such as those of a whole fleet."""


def merge_levels(pairs: str) -> str:
    """Statement that adds the pairs of a table to the levels."""
    added = ", ".join(
        f"{name} = coalesce(TRY(kept.{name} + new.{name}), kept.{name})" for name in ("qty", "profit", "fees")
    )
    return f"""
        MERGE INTO {LEVELS} AS kept USING ({levels_of(pairs)}) AS new
        ON {same("kept", "new")} AND kept.level = new.level AND kept.part = new.part
        WHEN MATCHED THEN UPDATE SET pairs = kept.pairs + new.pairs, {added},
            last_closed_at = greatest(kept.last_closed_at, new.last_closed_at)
        WHEN NOT MATCHED THEN INSERT BY NAME"""


def levels_of(pairs: str) -> str:
    """Query of the pairs of a table, each with its part, or of a query in parentheses, added up by level."""
    return f"""
        SELECT {listed()}, open_price AS level, count(*) AS pairs, sum(qty) AS qty, sum(profit) AS profit,
            sum(fees) AS fees, max(closed_at) AS last_closed_at, part
        FROM {pairs} GROUP BY ALL"""
