"""What the page asks of the records, in SQL: a statement for each question of `row_catalogue`. Pure.

Nothing that a browser sends becomes SQL but as a quoted name or a time, in the places that a statement has for it. It
is the one that an operator can paste into `gridbot-supervisor sql`.

    account, strategy    rows of these; empty: of all
    since, until         UTC; `until` is not part of the span
    limit                the newest so many rows; series have at most so many points, spread over the span
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gridbot.commands.targets import Addressed
from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.schema import quote
from supervisor.store import record_questions
from supervisor.store.record_questions import Asked

__all__ = [
    "Wanted",
    "commands",
    "comparisons",
    "equity",
    "fills",
    "funding",
    "incidents",
    "latency",
    "levels",
    "pairs",
    "prices",
    "refusals",
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a question is wanted."""

    account: str = ""
    strategy: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1000

    @property
    def asked(self) -> Asked:
        """The same for the questions of `pnl`, `fills` and the others."""
        addressed = (Addressed(self.account, self.strategy),) if self.account else None
        return Asked(addressed, self.since, self.until)

    def where(self, time: str) -> str:
        """A condition on account, strategy and the column `time`."""
        alone = f" AND strategy = {quote(self.strategy)}" if self.strategy and not self.account else ""
        return self.asked.where(time) + alone

    def of_account(self, time: str) -> str:
        """The same of what has no strategy."""
        return Wanted(self.account, "", self.since, self.until).where(time)


def _newest(select: str, table: str, wanted: str, time: str, limit: int) -> str:
    """The newest rows, the oldest of them first."""
    return (
        f"SELECT * FROM (SELECT {select}, seq FROM {table} WHERE {wanted} ORDER BY {time} DESC, account, seq DESC "
        f"LIMIT {limit}) ORDER BY {time}, account, seq"
    )


def fills(wanted: Wanted) -> str:
    """The newest trades, also those of shadow strategies."""
    return record_questions.fills(wanted.asked, wanted.limit)


def equity(wanted: Wanted) -> str:
    """The last value of each of `limit` equal parts of the span, and how far it is below the highest until then."""
    before = Wanted(wanted.account, "", None, wanted.since).where("local_ts") if wanted.since else "false"
    return f"""
        WITH points AS (
            SELECT account, coin, seq, local_ts, equity, wallet_balance, unrealised_pnl, total_initial_margin,
                total_maintenance_margin, available_balance
            FROM wallets WHERE equity IS NOT NULL AND {wanted.of_account("local_ts")}),
        span AS (SELECT epoch_us(min(local_ts)) AS first_us, epoch_us(max(local_ts)) AS last_us FROM points),
        parts AS (
            SELECT account, coin, (epoch_us(local_ts) - first_us) * {wanted.limit} // (last_us - first_us + 1) AS part,
                max(equity) AS highest, arg_max(points, seq) AS newest
            FROM points, span GROUP BY ALL),
        earlier AS (
            SELECT account, coin, max(equity) AS highest FROM wallets WHERE equity IS NOT NULL AND {before}
            GROUP BY ALL)
        SELECT newest.local_ts AS ts, account, newest.equity, newest.wallet_balance,
            newest.unrealised_pnl AS unrealised,
            greatest(coalesce(earlier.highest, newest.equity),
                max(parts.highest) OVER (PARTITION BY account, coin ORDER BY part)) - newest.equity AS drawdown,
            newest.total_initial_margin AS initial_margin, newest.total_maintenance_margin AS maintenance_margin,
            newest.available_balance AS available, newest.seq AS seq
        FROM parts LEFT JOIN earlier USING (account, coin) ORDER BY ts, account"""


def refusals(wanted: Wanted) -> str:
    """Orders that the gate or the exchange refused."""
    return f"""
        SELECT * FROM (
            SELECT local_ts AS ts, account, strategy, symbol, direction, side, price, qty, 'gate' AS refused_by,
                NULL AS ret_code, reason, seq
            FROM intents WHERE verdict = 'refused' AND {wanted.where("local_ts")}
            UNION ALL
            SELECT local_ts, account, strategy, symbol, direction, side, price, qty, 'exchange', ret_code, reason, seq
            FROM orders WHERE state = 'rejected' AND NOT shadow AND {wanted.where("local_ts")}
            ORDER BY ts DESC, account, seq DESC LIMIT {wanted.limit}) ORDER BY ts, account, seq"""


def latency(wanted: Wanted) -> str:
    """From the decision to the order in the book, on our clock; only decisions of the span."""
    mine = wanted.where("local_ts")
    late = f" AND {Wanted(wanted.account, '', wanted.since).where('local_ts')}"
    return f"""
        SELECT * FROM (
            SELECT decided.local_ts AS ts, decided.account, decided.strategy, decided.symbol, decided.direction,
                decided.side, decided.price, decided.qty, decided.order_link_id,
                date_diff('microsecond', decided.local_ts, opened.open_at) / 1000 AS to_open_ms, opened.attempts,
                decided.seq
            FROM (SELECT * FROM intents
                WHERE action = 'place' AND verdict = 'sent' AND order_link_id <> '' AND {mine}) AS decided
            JOIN (SELECT account, order_link_id, min(local_ts) FILTER (state = 'open') AS open_at,
                    max(attempt) AS attempts
                FROM orders WHERE NOT shadow AND order_link_id <> ''{late} GROUP BY ALL) AS opened
                USING (account, order_link_id)
            WHERE open_at IS NOT NULL ORDER BY ts DESC, account, seq DESC LIMIT {wanted.limit})
        ORDER BY ts, account, seq"""


def incidents(wanted: Wanted) -> str:
    """How incidents began, got worse and ended."""
    return _newest(
        "local_ts AS ts, account, strategy, level, phase, key, left(text, 2000) AS text, began_at, count",
        *("alerts", wanted.where("local_ts"), "ts", wanted.limit),
    )


def commands(wanted: Wanted) -> str:
    """What an account was told, and what the supervisor was told about it."""
    mine = Wanted("", "", wanted.since, wanted.until).where("local_ts")
    if wanted.account:
        account, place = quote(wanted.account), quote(f"{wanted.account}/{wanted.strategy}")
        about = f"target = {account} OR starts_with(target, {place})"
        mine += f" AND (account = {account} OR ({is_supervisor_sql()} AND ({about})))"
        mine += f" AND target IN ({account}, {place})" if wanted.strategy else ""
    return _newest(
        "local_ts AS ts, account, who, name, target, ok, left(result, 2000) AS result, "
        "left(CAST(args AS VARCHAR), 2000) AS args",
        *("operator_commands", mine, "ts", wanted.limit),
    )


def prices(wanted: Wanted) -> str:
    """Of each of so many parts of the span the lowest, the highest and the newest price, of the strategy's symbol."""
    parts = max(1, wanted.limit // 3)
    symbols = f"SELECT account, symbol FROM latest_positions WHERE {wanted.asked.where()}"
    return f"""
        WITH points AS (
            SELECT account, symbol, seq, local_ts AS ts, last_price, mark_price FROM tickers
            SEMI JOIN ({symbols}) AS ours USING (account, symbol) WHERE {wanted.of_account("local_ts")}),
        span AS (SELECT epoch_us(min(ts)) AS first_us, epoch_us(max(ts)) AS last_us FROM points),
        parts AS (
            SELECT account, symbol,
                [arg_min(points, last_price), arg_max(points, last_price), arg_max(points, seq)] AS ends
            FROM points, span
            GROUP BY account, symbol, (epoch_us(ts) - first_us) * {parts} // (last_us - first_us + 1))
        SELECT DISTINCT point.ts AS ts, account, symbol, point.last_price AS last_price, point.mark_price AS mark_price,
            point.seq AS seq
        FROM (SELECT account, symbol, unnest(ends) AS point FROM parts) ORDER BY ts, account, seq"""


def funding(wanted: Wanted) -> str:
    """What was paid (negative: received) for positions, in USDT."""
    return _newest(
        "exchange_ts AS ts, account, strategy, symbol, direction, position_size, mark_price, paid",
        *("funding", wanted.where("exchange_ts"), "ts", wanted.limit),
    )


def comparisons(wanted: Wanted) -> str:
    """The passes that compared an account with the exchange."""
    return _newest(
        "local_ts AS ts, account, reason, ok, executions, adopted, looked_up, foreign_orders, took_ms, "
        "left(error, 2000) AS error",
        *("reconciles", wanted.of_account("local_ts"), "ts", wanted.limit),
    )


_TRADES: Final = "SELECT *, false AS shadow FROM grid_trades UNION ALL SELECT *, true FROM shadow_grid_trades"


def pairs(wanted: Wanted) -> str:
    """Matched pairs of the grid, by when they were closed."""
    return f"""
        SELECT * FROM (
            SELECT closed_at AS ts, account, strategy, symbol, direction, qty, open_price, close_price, profit, fees,
                net_profit, opened_at, open_link_id, close_link_id, open_exec_id, close_exec_id, shadow
            FROM ({_TRADES}) WHERE {wanted.where("closed_at")}
            ORDER BY ts DESC, close_exec_id, open_exec_id LIMIT {wanted.limit})
        ORDER BY ts, close_exec_id, open_exec_id"""


def levels(wanted: Wanted) -> str:
    """Of the pairs that were closed in the span."""
    return f"""
        SELECT account, strategy, symbol, direction, open_price AS level, count(*) AS pairs, sum(qty) AS qty,
            sum(profit) AS profit, sum(fees) AS fees, sum(net_profit) AS net_profit, max(closed_at) AS last_closed_at,
            shadow FROM ({_TRADES}) WHERE {wanted.where("closed_at")}
        GROUP BY ALL ORDER BY account, strategy, symbol, direction, level LIMIT {wanted.limit}"""
