"""SQL of an account's money over a span. Pure."""

from __future__ import annotations

from typing import Final

from gridbot.core.execution_types import ExecType
from gridbot.report.span_sql import AT, Span

__all__ = ["balances", "hours_of_equity", "hours_of_money", "money", "money_outside", "pairs", "wallet_curve"]

_TRADED: Final = ", ".join(f"'{word}'" for word in ExecType if word.moves_legs)
_OTHER: Final = f"exec_type NOT IN ('Funding', {_TRADED})"
"""Money that the exchange booked without a trade: a dividend, a settlement, what nobody knows yet."""

_SUMS: Final = f"""
    count(*) FILTER (exec_type = 'Trade') AS fills,
    count(*) FILTER (exec_type = 'Trade' AND is_maker) AS maker_fills,
    coalesce(sum(CAST(TRY(price * qty) AS DECIMAL(38, 12))) FILTER (exec_type = 'Trade'), 0) AS volume,
    coalesce(sum(realised_pnl) FILTER (NOT ({_OTHER})), 0) AS realised,
    coalesce(sum(fee) FILTER (exec_type <> 'Funding' AND NOT ({_OTHER})), 0) AS fees,
    coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0) AS funding,
    coalesce(sum(realised_pnl - fee) FILTER ({_OTHER}), 0) AS other"""


def balances(span: Span) -> str:
    """The newest balance up to the beginning, the first after it, the last before the end."""
    columns = f"seq, epoch_ms({AT}) AS at_ms, wallet_balance, equity, unrealised_pnl"
    usdt = f"FROM wallets WHERE {span.account} AND coin = 'USDT' AND equity IS NOT NULL"
    return f"""
        (SELECT 'before' AS place, {columns} {usdt} AND {AT} <= {span.start} ORDER BY seq DESC LIMIT 1)
        UNION ALL (SELECT 'first', {columns} {usdt} AND {AT} > {span.start} AND {AT} < {span.end}
            ORDER BY seq LIMIT 1)
        UNION ALL (SELECT 'last', {columns} {usdt} AND {AT} < {span.end} ORDER BY seq DESC LIMIT 1)"""


def wallet_curve(span: Span) -> str:
    """Balances, with what all live legs are worth then: the sum of each leg's changes of value up to that row."""
    value = "coalesce(CAST(TRY(size * coalesce(mark_price, entry_price, 0)) AS DECIMAL(38, 12)), 0)"
    rows = f"""
        SELECT wallets.seq AS seq, epoch_ms({AT}) AS at_ms, equity,
            max(equity) OVER (ORDER BY wallets.seq) - equity AS drawdown, coalesce(notional, 0) AS notional,
            CASE WHEN equity > 0 THEN coalesce(notional, 0) / equity END AS exposed,
            CASE WHEN equity > 0 THEN total_maintenance_margin / equity END AS bound,
            total_initial_margin, total_maintenance_margin
        FROM (SELECT * FROM wallets WHERE {span.within()} AND coin = 'USDT' AND equity IS NOT NULL) AS wallets
        ASOF LEFT JOIN (
            SELECT seq, sum(change) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS notional FROM (
                SELECT seq, {value} - lag({value}, 1, 0)
                    OVER (PARTITION BY symbol, direction ORDER BY seq) AS change
                FROM position_events WHERE {span.account} AND NOT shadow AND local_ts < {span.end})) AS legs
        ON legs.seq <= wallets.seq"""
    columns = "equity, drawdown, notional, exposed, bound, total_initial_margin, total_maintenance_margin"
    return span.thinned(rows, columns, ("equity", "drawdown", "exposed", "bound"))


def hours_of_equity(span: Span) -> str:
    return f"""
        SELECT epoch_ms(date_trunc('hour', {AT})) AS hour_ms, arg_min(equity, seq) AS first_equity,
            arg_max(equity, seq) AS last_equity
        FROM wallets WHERE {span.within()} AND coin = 'USDT' AND equity IS NOT NULL GROUP BY 1 ORDER BY 1"""


def money(span: Span) -> str:
    return f"""
        SELECT strategy, symbol, direction, shadow, {_SUMS},
            epoch_ms(min(exchange_ts) FILTER (exec_type = 'Trade')) AS first_ms,
            epoch_ms(max(exchange_ts) FILTER (exec_type = 'Trade')) AS last_ms,
            arg_min(price, exchange_ts) FILTER (exec_type = 'Trade') AS first_price,
            arg_max(price, exchange_ts) FILTER (exec_type = 'Trade') AS last_price
        FROM corrected_executions WHERE {span.within("exchange_ts")} GROUP BY ALL ORDER BY ALL"""


def money_outside(span: Span) -> str:
    """What executions of the span changed that no balance of it can show: before the first, after the last."""
    first = f"(SELECT min({AT}) FROM wallets WHERE {span.within()} AND coin = 'USDT' AND equity IS NOT NULL)"
    before = f"""(SELECT max({AT}) FROM wallets WHERE {span.account} AND coin = 'USDT' AND equity IS NOT NULL
        AND {AT} <= {span.start})"""
    last = first.replace("min(", "max(")
    return f"""
        SELECT count(*) AS executions, coalesce(sum(realised_pnl - fee), 0) AS net
        FROM corrected_executions WHERE {span.within("exchange_ts")} AND NOT shadow
            AND (exchange_ts <= coalesce({before}, {first}) OR exchange_ts > {last})"""


def hours_of_money(span: Span) -> str:
    return f"""
        SELECT strategy, shadow, epoch_ms(date_trunc('hour', exchange_ts)) AS hour_ms, {_SUMS}
        FROM corrected_executions WHERE {span.within("exchange_ts")} GROUP BY ALL ORDER BY ALL"""


def pairs(span: Span, *, shadow: bool) -> str:
    """Matched pairs, closed in the span, twice: by level, and by hour (then `level` is NULL)."""
    trades = "shadow_grid_trades" if shadow else "grid_trades"
    closed = f"closed_at >= {span.start} AND closed_at < {span.end}{span.own}"
    return f"""
        SELECT strategy, symbol, direction, open_price AS level, epoch_ms(hour) AS hour_ms, count(*) AS pairs,
            sum(profit) AS profit, sum(fees) AS fees
        FROM (SELECT *, date_trunc('hour', closed_at) AS hour FROM {trades} WHERE {span.account} AND {closed})
        GROUP BY GROUPING SETS ((strategy, symbol, direction, open_price), (strategy, symbol, hour))
        ORDER BY ALL"""
