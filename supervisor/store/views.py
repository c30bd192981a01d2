"""The public face of the database: views people think in. `docs/sql.md` shows each with an example.

Amounts are USDT unless a column says otherwise; shadow strategies have views of their own and appear in no other.
Within an account `seq` orders everything, so "newest" means highest `seq`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True, slots=True)
class View:
    """Name, documentation and query of a view. Later views may use earlier ones."""

    name: str
    doc: str
    sql: str


_FILL_COLUMNS: Final = """
    account, strategy, symbol, direction, side, price, qty, CAST(price * qty AS DECIMAL(38, 12)) AS value, fee,
    realised_pnl, closed_size, is_maker, exchange_ts, order_link_id, order_id, exec_id, source, local_ts, run_id, seq"""

_POSITION_COLUMNS: Final = """
    account, strategy, symbol, direction, size, entry_price, mark_price, liq_price, leverage, unrealised_pnl, rule,
    multiplier_buy, multiplier_sell, exchange_ts, local_ts, run_id, seq"""

_CLOSED_STATES: Final = "'filled', 'cancelled', 'rejected', 'denied'"


def _fills(shadow: str) -> str:
    return f"SELECT {_FILL_COLUMNS} FROM executions WHERE exec_type = 'Trade' AND {shadow}"


def _positions(shadow: str) -> str:
    return f"""SELECT {_POSITION_COLUMNS} FROM position_events WHERE {shadow}
    QUALIFY row_number() OVER (PARTITION BY account, symbol, direction ORDER BY seq DESC) = 1"""


VIEWS: Final = (
    View(
        "runs",
        "One row per life of a worker: when it started, how and when it ended. state is running, ended or crashed; a "
        "run whose process was killed stays running until the account's next start closes it.",
        """
        SELECT account, about_run_id AS run_id, max(environment) AS environment, max(version) AS version,
            min(local_ts) FILTER (event = 'start') AS started_at,
            CASE arg_max(event, seq) WHEN 'start' THEN 'running' WHEN 'end' THEN 'ended'
                ELSE arg_max(event, seq) END AS state,
            max(CASE event WHEN 'end' THEN local_ts WHEN 'crashed' THEN coalesce(last_heartbeat, local_ts) END)
                AS ended_at,
            arg_max(reason, seq) AS reason, arg_min(pid, seq) AS pid, arg_min(config_hash, seq) AS config_hash,
            arg_min(config, seq) AS config
        FROM run_events GROUP BY account, about_run_id""",
    ),
    View("fills", "Trades of real orders, one row per execution, each exactly once.", _fills("NOT shadow")),
    View("shadow_fills", "Hypothetical trades of shadow strategies.", _fills("shadow")),
    View("positions", "Newest state of each account, symbol and direction.", _positions("NOT shadow")),
    View("shadow_positions", "Newest hypothetical positions of shadow strategies.", _positions("shadow")),
    View(
        "open_orders",
        "Orders whose newest state is not final, by account and order.",
        f"""
        SELECT account, strategy, symbol, direction, side, price, qty, cum_exec_qty, reduce_only, state, order_link_id,
            order_id, attempt, exchange_ts, local_ts, run_id, seq
        FROM (
            SELECT * FROM orders WHERE NOT shadow
            QUALIFY row_number() OVER (
                PARTITION BY account, coalesce(nullif(order_link_id, ''), order_id) ORDER BY seq DESC) = 1)
        WHERE lower(state) NOT IN ({_CLOSED_STATES})""",
    ),
    View(
        "pnl_by_strategy",
        "Per account, strategy and symbol: fills, volume, realised before fees, fees, funding and what is left. "
        "Funding is positive when paid.",
        """
        SELECT account, strategy, symbol, count(*) FILTER (exec_type = 'Trade') AS fills,
            coalesce(sum(CAST(price * qty AS DECIMAL(38, 12))) FILTER (exec_type = 'Trade'), 0) AS volume,
            sum(realised_pnl) AS realised_pnl,
            coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
            coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
            sum(realised_pnl) - sum(fee) AS net_pnl
        FROM executions WHERE NOT shadow GROUP BY ALL""",
    ),
    View(
        "pnl_daily",
        "The same per UTC day of the execution.",
        """
        SELECT CAST(exchange_ts AS DATE) AS day, account, strategy, symbol,
            count(*) FILTER (exec_type = 'Trade') AS fills,
            coalesce(sum(CAST(price * qty AS DECIMAL(38, 12))) FILTER (exec_type = 'Trade'), 0) AS volume,
            sum(realised_pnl) AS realised_pnl,
            coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0) AS fees,
            coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
            sum(realised_pnl) - sum(fee) AS net_pnl
        FROM executions WHERE NOT shadow GROUP BY ALL""",
    ),
)
