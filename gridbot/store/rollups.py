"""Small tables that answer what would otherwise read the whole history. The writer keeps them in the same transaction
as the rows they come from, so they are exactly as complete as those: after kill -9, after rejects, after a rebuild.

    daily_sums        executions and their corrections added up per UTC day of the execution, leg, kind: behind
                      pnl_daily, pnl_by_strategy, fees
    removed_sums      the part of daily_sums whose executions went by retention; `rebuild` cannot add those up again
    latest_positions  the newest row of each leg: behind positions
    live_orders       the newest row of each order that is not over: behind open_orders

Each is the table of its name with `_stored` behind it; the name itself is a view, which adds what has landed only
(`gridbot.store.stored_views`).

Sums are DECIMAL, volume with 18 decimals: exact for every instrument there is. An amount that no market has (an
execution of 500 million USDT, a fee or profit of 10^20) is left out of the sums: an overflow would stop the writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gridbot.store.sql_columns import as_stored

__all__ = [
    "KEPT_SQLS",
    "NEW_CORRECTIONS",
    "NEW_SUMS",
    "REMOVED_SUMS",
    "ROLLUPS",
    "ROLLUP_SOURCES",
    "SUMMED",
    "SUM_COLUMNS",
    "SUM_KEYS",
    "Rollup",
]


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table kept up to date with the record table `source`.

    `templates` are the statements that add new rows, which are in the table `{rows}`. `columns` None: those of the
    source. `same` and `newest`, of one that keeps newest rows: which of the `kept` ones a `new` one replaces, and the
    query of the new ones that are kept.
    """

    name: str
    source: str
    doc: str
    templates: tuple[str, ...]
    columns: str | None = None
    same: str = ""
    newest: str = ""

    @property
    def table(self) -> str:
        """Where its rows are."""
        return as_stored(self.name)

    def statements(self, rows: str) -> list[str]:
        """Statements that add the rows of a table, or of a query in parentheses."""
        return [template.format(rows=rows) for template in self.templates]


# -- sums -------------------------------------------------------------------------------------------------------------

_MOST_VALUE: Final = "CAST(500000000 AS DECIMAL(38, 24))"
"""A product of two DECIMAL(38, 12) has 24 decimals, its sum holds 10^14. Rounding each costs more than all the rest."""

_MOST_MONEY: Final = "CAST(1e20 AS DECIMAL(38, 12))"

SUMMED: Final = ("executions", "volume", "realised_pnl", "fee")
SUM_COLUMNS: Final = """
        day DATE NOT NULL, account VARCHAR NOT NULL, strategy VARCHAR NOT NULL, symbol VARCHAR NOT NULL,
        direction VARCHAR NOT NULL, shadow BOOLEAN NOT NULL, exec_type VARCHAR NOT NULL, is_maker BOOLEAN NOT NULL,
        executions BIGINT NOT NULL, volume DECIMAL(38, 18) NOT NULL, realised_pnl DECIMAL(38, 12) NOT NULL,
        fee DECIMAL(38, 12) NOT NULL, last_seq BIGINT NOT NULL"""
SUM_KEYS: Final = ("day", "account", "strategy", "symbol", "direction", "shadow", "exec_type", "is_maker")

NEW_SUMS: Final = f"""
    SELECT CAST(exchange_ts AS DATE) AS day, {", ".join(SUM_KEYS[1:])}, count(*) AS executions,
        CAST(coalesce(sum(TRY(price * qty)) FILTER (abs(TRY(price * qty)) < {_MOST_VALUE}), 0)
            AS DECIMAL(38, 18)) AS volume,
        coalesce(sum(realised_pnl) FILTER (abs(realised_pnl) < {_MOST_MONEY}), 0) AS realised_pnl,
        coalesce(sum(fee) FILTER (abs(fee) < {_MOST_MONEY}), 0) AS fee, max(seq) AS last_seq
    FROM {{rows}} GROUP BY ALL"""


NEW_CORRECTIONS: Final = f"""
    SELECT CAST(exchange_ts AS DATE) AS day, {", ".join(SUM_KEYS[1:])}, 0 AS executions, 0 AS volume,
        coalesce(sum(realised_pnl) FILTER (abs(realised_pnl) < {_MOST_MONEY}), 0) AS realised_pnl,
        coalesce(sum(fee) FILTER (abs(fee) < {_MOST_MONEY}), 0) AS fee, max(seq) AS last_seq
    FROM {{rows}} GROUP BY ALL"""


def _merge_sums(of: str, new: str) -> str:
    """Statement that adds the sums of a query to those of a rollup."""
    name = as_stored(of)
    matches = " AND ".join(f"{name}.{key} = new.{key}" for key in SUM_KEYS)
    added = ", ".join(f"{column} = coalesce(TRY({name}.{column} + new.{column}), {name}.{column})" for column in SUMMED)
    return f"""
        MERGE INTO {name} USING ({new}) AS new ON {matches}
        WHEN MATCHED THEN UPDATE SET {added}, last_seq = greatest({name}.last_seq, new.last_seq)
        WHEN NOT MATCHED THEN INSERT BY NAME"""


def _sums(name: str, doc: str, source: str = "executions", new: str = NEW_SUMS) -> Rollup:
    return Rollup(
        name,
        source,
        doc,
        (_merge_sums(name, new),),
        SUM_COLUMNS,
    )


# -- newest rows ------------------------------------------------------------------------------------------------------

_LEG: Final = " AND ".join(f"kept.{key} = new.{key}" for key in ("account", "symbol", "direction", "shadow"))

_ORDER: Final = " AND ".join(
    f"{one.format('kept')} = {one.format('new')}"
    for one in ("{0}.account", "coalesce(nullif({0}.order_link_id, ''), CAST({0}.order_id AS VARCHAR), '')")
)
"""An order is known by our wire id, or by the exchange's id when it is not ours."""


def _newest(name: str, source: str, doc: str, same: str, newest: str) -> Rollup:
    """Rows of the query `newest` instead of those that are the `same`. (MERGE takes three times as long to plan.)"""
    table = as_stored(name)
    delete = f"DELETE FROM {table} AS kept USING {{rows}} AS new WHERE {same}"
    return Rollup(name, source, doc, (delete, f"INSERT INTO {table} BY NAME {newest}"), same=same, newest=newest)


_DAILY_DOC: Final = (
    "Executions and their corrections added up per UTC day and kind; kept by the writer, read it through pnl_daily."
)

ROLLUPS: Final = (
    _sums("daily_sums", _DAILY_DOC),
    _sums("daily_sums", _DAILY_DOC, "corrections", NEW_CORRECTIONS),
    _newest(
        "latest_positions",
        "position_events",
        "Newest row of each leg; kept by the writer, read it through positions.",
        _LEG,
        """
        SELECT * FROM {rows}
        QUALIFY row_number() OVER (PARTITION BY account, symbol, direction, shadow ORDER BY seq DESC) = 1""",
    ),
    _newest(
        "live_orders",
        "orders",
        "Newest row of each order that is not over; kept by the writer, read it through open_orders.",
        f"NOT new.shadow AND {_ORDER}",
        """
        SELECT * FROM (
            SELECT * FROM {rows} WHERE NOT shadow
            QUALIFY row_number() OVER (
                PARTITION BY account, coalesce(nullif(order_link_id, ''), CAST(order_id AS VARCHAR), '')
                ORDER BY seq DESC) = 1)
        WHERE lower(state) NOT IN ('filled', 'cancelled', 'rejected')""",
    ),
)

REMOVED_SUMS: Final = _sums(
    "removed_sums", "The part of daily_sums whose executions were removed because of their age."
)

ROLLUP_SOURCES: Final = frozenset(rollup.source for rollup in ROLLUPS)


def _keep_newest(name: str, same: str) -> tuple[str, str]:
    return (
        name,
        f"""
        INSERT INTO {as_stored(name)} BY NAME SELECT * FROM {{rows}} AS new WHERE account = ? AND seq < ?
        AND NOT EXISTS (SELECT 1 FROM {as_stored(name)} AS kept WHERE {same})""",
    )


_OLD_SUMS: Final = "SELECT * FROM {rows} WHERE account = ? AND last_seq < ?"

KEPT_SQLS: Final = (
    _keep_newest("latest_positions", _LEG),
    _keep_newest("live_orders", _ORDER),
    ("removed_sums", _merge_sums("daily_sums", _OLD_SUMS)),
    ("removed_sums", _merge_sums("removed_sums", _OLD_SUMS)),
)
"""For `rebuild`: take over from the database `old` what its rows, which are copied, no longer tell.

Each is the name of a rollup and a statement with the `{rows}` that the old file has of it (a table, or a query in
parentheses, in the form of today), an account and the number of its first record that is not copied. What retention
removed although it is still in a kept journal comes again from there.
"""
