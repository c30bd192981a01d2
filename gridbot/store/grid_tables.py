"""The tables in which matched pairs are kept as rows are written, and the views that show them with what has landed.

    grid_pairs    a matched pair; its executions by their numbers, since their ids would double the size of all
    grid_levels   the pairs added up by the price at which they were opened
    grid_lots     openings that are not closed yet, as far as they are not
    grid_legs     up to where each leg is matched, and what its next execution has to come behind

`gridbot.store.grid_keeping` owns what is in them. What has landed only always comes behind all that is kept
(`gridbot.store.grid_order`), so the views match it with the lots.
"""

from __future__ import annotations

from typing import Final

from gridbot.store.grid_sql import (
    ADDED_FEE,
    AT_MS,
    COUNTS,
    FEES,
    KEYS,
    LEG,
    MATCHING,
    NUMBER,
    PROFIT,
    grid_trades_sql,
    listed,
    same,
)
from gridbot.store.kept_ids import rows_query
from gridbot.store.sql_columns import as_stored
from gridbot.store.stored_views import landed_query
from gridbot.store.view_type import View

__all__ = [
    "GRID_DOCS",
    "GRID_TABLES",
    "GRID_VIEWS",
    "LANDED_PAIRS",
    "LEGS",
    "LEVELS",
    "LOTS",
    "PAIRS",
    "VIEWS_FROM_ROWS",
    "levels_of",
    "merge_levels",
]

PAIRS: Final = as_stored("grid_pairs")
LEVELS: Final = as_stored("grid_levels")
LOTS: Final = as_stored("grid_lots")
LEGS: Final = as_stored("grid_legs")

_KEY_COLUMNS: Final = ", ".join(f"{key} {'BOOLEAN' if key == 'shadow' else 'VARCHAR'} NOT NULL" for key in KEYS)
_MONEY: Final = "DECIMAL(38, 12) NOT NULL"

GRID_TABLES: Final = {
    PAIRS: f"""
        {_KEY_COLUMNS}, qty {_MONEY}, open_price {_MONEY}, close_price {_MONEY}, profit {_MONEY}, fees {_MONEY},
        opened_at TIMESTAMP NOT NULL, closed_at TIMESTAMP NOT NULL, open_seq BIGINT NOT NULL, close_seq BIGINT NOT NULL,
        open_place BIGINT NOT NULL""",
    LEVELS: f"""
        {_KEY_COLUMNS}, level {_MONEY}, pairs BIGINT NOT NULL, qty {_MONEY}, profit {_MONEY}, fees {_MONEY},
        last_closed_at TIMESTAMP NOT NULL""",
    LOTS: f"""
        {_KEY_COLUMNS}, place BIGINT NOT NULL, seq BIGINT NOT NULL, unmatched {_MONEY}, price {_MONEY}, qty {_MONEY},
        fee {_MONEY}, exchange_ts TIMESTAMP NOT NULL""",
    LEGS: f"""
        {_KEY_COLUMNS}, places BIGINT NOT NULL, last_ms BIGINT NOT NULL, last_number BIGINT NOT NULL,
        most_number BIGINT NOT NULL, placed_ms BIGINT NOT NULL, placed_number BIGINT NOT NULL,
        placed_seq BIGINT NOT NULL""",
}
"""Their columns. A place counts the executions of a leg in the exchange's order; it has gaps."""

GRID_DOCS: Final = {
    PAIRS: "Matched pairs; kept by the writer, read them through grid_trades.",
    LEVELS: "Matched pairs by the price of their opening; kept by the writer, read them through grid_levels.",
    LOTS: "Openings that are not matched yet, as far as they are not; kept by the writer.",
    LEGS: "Up to where each leg is matched; kept by the writer.",
}

_PAIR: Final = "qty, open_price, close_price, profit, fees, opened_at, closed_at, open_seq, close_seq"

LANDED_PAIRS: Final = View(
    "grid_pairs_landed",
    "Matched pairs whose close has landed only; read grid_trades.",
    f"""
    WITH added AS (SELECT account, exec_id, {ADDED_FEE} AS fee FROM ({rows_query("corrections")}) GROUP BY ALL),
    trades AS MATERIALIZED (
        SELECT {listed()}, seq, {AT_MS} AS at_ms, {NUMBER} AS number, closed_size > 0 AS closes, qty, price,
            coalesce(TRY(landed.fee + added.fee), landed.fee) AS fee, exchange_ts
        FROM (SELECT * FROM ({landed_query("executions")}) WHERE {COUNTS}) AS landed
            LEFT JOIN added USING (account, exec_id)),
    legs AS (
        SELECT *, row_number() OVER () AS leg FROM (SELECT DISTINCT {listed()} FROM trades)),
    executed AS MATERIALIZED (
        SELECT leg, 1 AS later, row_number() OVER (PARTITION BY leg ORDER BY at_ms, number, seq) AS step, seq, closes,
            qty AS part, price, qty, fee, exchange_ts
        FROM trades JOIN legs USING ({listed()})
        UNION ALL
        SELECT leg, 0, place, seq, false, unmatched, price, qty, fee, exchange_ts
        FROM {LOTS} JOIN legs USING ({listed()})),
    numbers AS MATERIALIZED (
        SELECT *, row_number() OVER (PARTITION BY leg ORDER BY later, step) AS place FROM executed),
    items AS (SELECT leg, place, closes, CASE WHEN closes THEN -part ELSE part END AS change FROM numbers),
    {MATCHING}
    SELECT {listed("legs")}, matched.qty AS qty, opens.price AS open_price, closes.price AS close_price,
        {PROFIT.format(direction="direction", qty="matched.qty")} AS profit, {FEES.format(qty="matched.qty")} AS fees,
        opens.exchange_ts AS opened_at, closes.exchange_ts AS closed_at, opens.seq AS open_seq, closes.seq AS close_seq
    FROM matched JOIN legs USING (leg)
    JOIN numbers AS opens ON opens.leg = matched.leg AND opens.place = open_place
    JOIN numbers AS closes ON closes.leg = matched.leg AND closes.place = close_place""",
)


def _trades(name: str, doc: str, which: str) -> View:
    return View(
        name,
        doc,
        f"""
        SELECT {listed("pairs", LEG)}, pairs.qty, open_price, close_price, profit, fees, profit - fees AS net_profit,
            opened_at, closed_at, opens.order_link_id AS open_link_id, closes.order_link_id AS close_link_id,
            opens.exec_id AS open_exec_id, closes.exec_id AS close_exec_id
        FROM (
            SELECT {listed()}, {_PAIR} FROM {PAIRS} WHERE {which}
            UNION ALL SELECT {listed()}, {_PAIR} FROM grid_pairs_landed WHERE {which}) AS pairs
        LEFT JOIN executions AS opens ON opens.account = pairs.account AND opens.seq = open_seq
        LEFT JOIN executions AS closes ON closes.account = pairs.account AND closes.seq = close_seq""",
    )


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
        ON {same("kept", "new")} AND kept.level = new.level
        WHEN MATCHED THEN UPDATE SET pairs = kept.pairs + new.pairs, {added},
            last_closed_at = greatest(kept.last_closed_at, new.last_closed_at)
        WHEN NOT MATCHED THEN INSERT BY NAME"""


def levels_of(pairs: str) -> str:
    """Query of the pairs of a table, or of a query in parentheses, added up by level."""
    return f"""
        SELECT {listed()}, open_price AS level, count(*) AS pairs, sum(qty) AS qty, sum(profit) AS profit,
            sum(fees) AS fees, max(closed_at) AS last_closed_at
        FROM {pairs} GROUP BY ALL"""
