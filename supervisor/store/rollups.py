"""Small tables that answer what would otherwise read the whole history. The writer keeps them in the same transaction
as the rows they come from, so they are exactly as complete as those: after kill -9, after rejects, after a rebuild.

    daily_sums        executions added up per UTC day, leg, kind: behind pnl_daily, pnl_by_strategy, fees
    removed_sums      the part of daily_sums whose executions went by retention; `rebuild` cannot add those up again
    latest_positions  the newest row of each leg: behind positions
    live_orders       the newest row of each order that is not over: behind open_orders

Sums are DECIMAL, volume with 18 decimals: exact for every instrument there is. An amount that no market has (an
execution of 500 million USDT, a fee or profit of 10^20) is left out of the sums: an overflow would stop the writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["KEPT_SQLS", "REMOVED_SUMS", "ROLLUPS", "ROLLUP_SOURCES", "Rollup", "merge_sqls"]

FINAL_STATES: Final = "'filled', 'cancelled', 'rejected'"

ORDER_KEY: Final = "coalesce(nullif({0}.order_link_id, ''), {0}.order_id)"
"""What an order is known by: our wire id, or the exchange's id for those of others."""


@dataclass(frozen=True, slots=True)
class Rollup:
    """A table kept up to date with `source`.

    `select` makes the contribution of new rows (`{rows}` is where they are), one row per key; `on` matches it, called
    new, with a row of the table; `actions` says what happens then. `columns` None: those of the source.
    """

    name: str
    source: str
    doc: str
    select: str
    on: str
    actions: str
    columns: str | None = None

    def merge_sql(self, rows: str) -> str:
        """Statement that takes in the rows of a table."""
        return f"MERGE INTO {self.name} USING ({self.select.format(rows=rows)}) AS new ON {self.on} {self.actions}"


_MOST_VALUE: Final = "CAST(500000000 AS DECIMAL(38, 24))"
"""A product of two DECIMAL(38, 12) has 24 decimals, its sum holds 10^14. Rounding each costs more than all the rest."""

_MOST_MONEY: Final = "CAST(1e20 AS DECIMAL(38, 12))"

_SUM_KEYS: Final = ("day", "account", "strategy", "symbol", "direction", "shadow", "exec_type", "is_maker")
_SUMS: Final = ("executions", "volume", "realised_pnl", "fee")


def _sums(name: str, doc: str) -> Rollup:
    added = ", ".join(f"{column} = coalesce(TRY({name}.{column} + new.{column}), {name}.{column})" for column in _SUMS)
    return Rollup(
        name,
        "executions",
        doc,
        select=f"""
            SELECT CAST(exchange_ts AS DATE) AS day, {", ".join(_SUM_KEYS[1:])}, count(*) AS executions,
                CAST(coalesce(sum(TRY(price * qty)) FILTER (abs(TRY(price * qty)) < {_MOST_VALUE}), 0)
                    AS DECIMAL(38, 18)) AS volume,
                coalesce(sum(realised_pnl) FILTER (abs(realised_pnl) < {_MOST_MONEY}), 0) AS realised_pnl,
                coalesce(sum(fee) FILTER (abs(fee) < {_MOST_MONEY}), 0) AS fee, max(seq) AS last_seq
            FROM {{rows}} GROUP BY ALL""",
        on=" AND ".join(f"{name}.{key} = new.{key}" for key in _SUM_KEYS),
        actions=f"""
            WHEN MATCHED THEN UPDATE SET {added}, last_seq = greatest({name}.last_seq, new.last_seq)
            WHEN NOT MATCHED THEN INSERT BY NAME""",
        columns="""
            day DATE NOT NULL, account VARCHAR NOT NULL, strategy VARCHAR NOT NULL, symbol VARCHAR NOT NULL,
            direction VARCHAR NOT NULL, shadow BOOLEAN NOT NULL, exec_type VARCHAR NOT NULL, is_maker BOOLEAN NOT NULL,
            executions BIGINT NOT NULL, volume DECIMAL(38, 18) NOT NULL, realised_pnl DECIMAL(38, 12) NOT NULL,
            fee DECIMAL(38, 12) NOT NULL, last_seq BIGINT NOT NULL""",
    )


ROLLUPS: Final = (
    _sums("daily_sums", "Executions added up per UTC day and kind; kept by the writer, read it through pnl_daily."),
    Rollup(
        "latest_positions",
        "position_events",
        "Newest row of each leg; kept by the writer, read it through positions.",
        select="""
            SELECT * FROM {rows}
            QUALIFY row_number() OVER (PARTITION BY account, symbol, direction, shadow ORDER BY seq DESC) = 1""",
        on=" AND ".join(f"latest_positions.{key} = new.{key}" for key in ("account", "symbol", "direction", "shadow")),
        actions="WHEN MATCHED THEN UPDATE BY NAME WHEN NOT MATCHED THEN INSERT BY NAME",
    ),
    Rollup(
        "live_orders",
        "orders",
        "Newest row of each order that is not over; kept by the writer, read it through open_orders.",
        select=f"""
            SELECT * FROM {{rows}} AS rows WHERE NOT shadow
            QUALIFY row_number() OVER (PARTITION BY account, {ORDER_KEY.format("rows")} ORDER BY seq DESC) = 1""",
        on=f"live_orders.account = new.account AND {ORDER_KEY.format('live_orders')} = {ORDER_KEY.format('new')}",
        actions=f"""
            WHEN MATCHED AND lower(new.state) IN ({FINAL_STATES}) THEN DELETE
            WHEN MATCHED THEN UPDATE BY NAME
            WHEN NOT MATCHED AND lower(new.state) NOT IN ({FINAL_STATES}) THEN INSERT BY NAME""",
    ),
)

REMOVED_SUMS: Final = _sums(
    "removed_sums", "The part of daily_sums whose executions were removed because of their age."
)

_KEPT: Final = "(SELECT * FROM old.{0} WHERE account = ? AND {1} < ?) AS new"

KEPT_SQLS: Final = (
    *(
        (
            rollup.name,
            f"MERGE INTO {rollup.name} USING {_KEPT.format(rollup.name, 'seq')} ON {rollup.on} "
            "WHEN NOT MATCHED THEN INSERT BY NAME",
        )
        for rollup in ROLLUPS
        if rollup.columns is None
    ),
    *(
        (
            REMOVED_SUMS.name,
            f"MERGE INTO {sums.name} USING {_KEPT.format(REMOVED_SUMS.name, 'last_seq')} ON {sums.on} {sums.actions}",
        )
        for sums in (REMOVED_SUMS, ROLLUPS[0])
    ),
)
"""For `rebuild`: take over from the database `old` what its rows, which are copied, no longer tell.

Each is a table of `old` and a statement with an account and the number of its first record that is not copied. What
retention removed although it is still in a kept journal comes again from there.
"""

ROLLUP_SOURCES: Final = frozenset(rollup.source for rollup in ROLLUPS)


def merge_sqls(source: str, rows: str) -> list[str]:
    """Statements that take new rows of a record table, which are in the table `rows`, into its rollups."""
    return [rollup.merge_sql(rows) for rollup in ROLLUPS if rollup.source == source]
