"""The questions that the page may ask of the records: each has a name, its columns with units, and its SQL.

Nothing that a browser sends becomes SQL but as a quoted name or a time, in the places that a question has for it. A new
question is a row of `CATALOGUE`. Its statement is the one that an operator can paste into `gridbot-supervisor sql`.

    account, strategy    rows of these; empty: of all
    since, until         UTC; `until` is not part of the span
    limit                the newest so many rows; series have at most so many points, spread over the span
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gridbot.commands.targets import Addressed
from gridbot.doors.pseudo_account import is_supervisor_sql
from gridbot.store.schema import quote
from supervisor.store import record_questions
from supervisor.store.record_questions import Asked

__all__ = ["CATALOGUE", "RowQuestion", "Wanted"]


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


@dataclass(frozen=True, slots=True)
class RowQuestion:
    """`columns` name what comes, in order, with the unit or meaning of each. `statement` makes the SQL.

    `copied`: tables whose rows are copied before, of this account and strategy (for what takes longer than the file may
    be held); `views` are those that the statement then reads.
    """

    name: str
    doc: str
    columns: dict[str, str]
    statement: Callable[[Wanted], str]
    copied: tuple[str, ...] = ()
    views: tuple[str, ...] = ()


def _newest(select: str, table: str, wanted: str, time: str, limit: int) -> str:
    """The newest rows, the oldest of them first."""
    return (
        f"SELECT * FROM (SELECT {select}, seq FROM {table} WHERE {wanted} ORDER BY {time} DESC, account, seq DESC "
        f"LIMIT {limit}) ORDER BY {time}, account, seq"
    )


def _fills(wanted: Wanted) -> str:
    return record_questions.fills(wanted.asked, wanted.limit)


def _equity(wanted: Wanted) -> str:
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


def _refusals(wanted: Wanted) -> str:
    return f"""
        SELECT * FROM (
            SELECT local_ts AS ts, account, strategy, symbol, direction, side, price, qty, 'gate' AS refused_by,
                NULL AS ret_code, reason, seq
            FROM intents WHERE verdict = 'refused' AND {wanted.where("local_ts")}
            UNION ALL
            SELECT local_ts, account, strategy, symbol, direction, side, price, qty, 'exchange', ret_code, reason, seq
            FROM orders WHERE state = 'rejected' AND NOT shadow AND {wanted.where("local_ts")}
            ORDER BY ts DESC, account, seq DESC LIMIT {wanted.limit}) ORDER BY ts, account, seq"""


def _latency(wanted: Wanted) -> str:
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


def _incidents(wanted: Wanted) -> str:
    return _newest(
        "local_ts AS ts, account, strategy, level, phase, key, left(text, 2000) AS text, began_at, count",
        *("alerts", wanted.where("local_ts"), "ts", wanted.limit),
    )


def _commands(wanted: Wanted) -> str:
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


def _prices(wanted: Wanted) -> str:
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


def _funding(wanted: Wanted) -> str:
    return _newest(
        "exchange_ts AS ts, account, strategy, symbol, direction, position_size, mark_price, paid",
        *("funding", wanted.where("exchange_ts"), "ts", wanted.limit),
    )


def _comparisons(wanted: Wanted) -> str:
    return _newest(
        "local_ts AS ts, account, reason, ok, executions, adopted, looked_up, foreign_orders, took_ms, "
        "left(error, 2000) AS error",
        *("reconciles", wanted.of_account("local_ts"), "ts", wanted.limit),
    )


_TRADES: Final = "SELECT *, false AS shadow FROM grid_trades UNION ALL SELECT *, true FROM shadow_grid_trades"


def _pairs(wanted: Wanted) -> str:
    return f"""
        SELECT * FROM (
            SELECT closed_at AS ts, account, strategy, symbol, direction, qty, open_price, close_price, profit, fees,
                net_profit, opened_at, open_link_id, close_link_id, open_exec_id, close_exec_id, shadow
            FROM ({_TRADES}) WHERE {wanted.where("closed_at")}
            ORDER BY ts DESC, close_exec_id, open_exec_id LIMIT {wanted.limit})
        ORDER BY ts, close_exec_id, open_exec_id"""


def _levels(wanted: Wanted) -> str:
    """Of the pairs that were closed in the span."""
    return f"""
        SELECT account, strategy, symbol, direction, open_price AS level, count(*) AS pairs, sum(qty) AS qty,
            sum(profit) AS profit, sum(fees) AS fees, sum(net_profit) AS net_profit, max(closed_at) AS last_closed_at,
            shadow FROM ({_TRADES}) WHERE {wanted.where("closed_at")}
        GROUP BY ALL ORDER BY account, strategy, symbol, direction, level LIMIT {wanted.limit}"""


_WHO: Final = {"account": "", "strategy": "", "symbol": ""}
_ORDER: Final = {"direction": "long, short: the leg", "side": "Buy, Sell", "price": "USDT", "qty": "base coin"}
_SHADOW: Final = {"shadow": "hypothetical: of a shadow strategy"}
_OF_PAIR: Final = {"open_link_id": "", "close_link_id": "", "open_exec_id": "", "close_exec_id": "", **_SHADOW}
_TS: Final = {"ts": "UTC, when it was recorded"}
_PAIRED: Final = ("executions", "corrections", "daily_sums")
_PAIRS: Final = ("grid_trades", "shadow_grid_trades")

CATALOGUE: Final = {
    question.name: question
    for question in (
        RowQuestion(
            "fills",
            "Trades, also those of shadow strategies: `money` says whose.",
            {
                "exchange_ts": "UTC, of the exchange",
                "money": "real, demo, testnet, paper, shadow",
                **_WHO,
                **_ORDER,
                "value": "USDT",
                "fee": "USDT, positive: paid",
                "realised": "USDT before fees",
                "maker": "added liquidity",
                "exec_id": "",
                "seq": "number within the account",
            },
            _fills,
        ),
        RowQuestion(
            "equity",
            "Equity over the span, and how far it is below its highest so far.",
            {
                "ts": "UTC",
                "account": "",
                "equity": "USDT",
                "wallet_balance": "USDT",
                "unrealised": "USDT",
                "drawdown": "USDT below the highest equity so far",
                "initial_margin": "USD",
                "maintenance_margin": "USD",
                "available": "USD",
                "seq": "number within the account",
            },
            _equity,
        ),
        RowQuestion(
            "refusals",
            "What was not placed and why: refused by our gate, or rejected by the exchange.",
            {
                **_TS,
                **_WHO,
                **_ORDER,
                "refused_by": "gate, exchange",
                "ret_code": "of the exchange",
                "reason": "",
                "seq": "number within the account",
            },
            _refusals,
        ),
        RowQuestion(
            "latency",
            "How long orders took from the decision until they were known to be open, on our clock.",
            {
                "ts": "UTC, of the decision",
                **_WHO,
                **_ORDER,
                "order_link_id": "",
                "to_open_ms": "milliseconds",
                "attempts": "",
                "seq": "number within the account",
            },
            _latency,
        ),
        RowQuestion(
            "pairs",
            "Closing fills with the opening fill that each closes; profit before fees.",
            {
                "ts": "UTC, of the close",
                **_WHO,
                "direction": "long, short",
                "qty": "base coin",
                "open_price": "USDT",
                "close_price": "USDT",
                "profit": "USDT before fees",
                "fees": "USDT of both",
                "net_profit": "USDT",
                "opened_at": "UTC",
                **_OF_PAIR,
            },
            _pairs,
            _PAIRED,
            _PAIRS,
        ),
        RowQuestion(
            "levels",
            "Profit of the pairs that were closed in the span, by the price at which they were opened.",
            {
                **_WHO,
                "direction": "long, short",
                "level": "USDT",
                "pairs": "",
                "qty": "base coin",
                "profit": "USDT before fees",
                "fees": "USDT",
                "net_profit": "USDT",
                "last_closed_at": "UTC",
                **_SHADOW,
            },
            _levels,
            _PAIRED,
            _PAIRS,
        ),
        RowQuestion(
            "prices",
            "Prices of the strategy's symbol: of each part of the span the lowest, the highest and the newest.",
            {"ts": "UTC", "account": "", "symbol": "", "last_price": "USDT", "mark_price": "USDT", "seq": ""},
            _prices,
        ),
        RowQuestion(
            "funding",
            "Funding payments.",
            {
                "ts": "UTC, of the exchange",
                **_WHO,
                "direction": "long, short",
                "position_size": "base coin",
                "mark_price": "USDT",
                "paid": "USDT, positive: paid",
                "seq": "number within the account",
            },
            _funding,
        ),
        RowQuestion(
            "incidents",
            "Alerts as they were told: a beginning, a higher level, an end.",
            {
                **_TS,
                "account": "_supervisor: the fleet",
                "strategy": "",
                "level": "INFO (an end), WARNING, ERROR, CRITICAL",
                "phase": "begun, worse, ended",
                "key": "",
                "text": "",
                "began_at": "UTC",
                "count": "",
                "seq": "number within the account",
            },
            _incidents,
        ),
        RowQuestion(
            "commands",
            "Commands of operators, also refused ones.",
            {
                **_TS,
                "account": "_supervisor: recorded by the supervisor",
                "who": "",
                "name": "",
                "target": "ACCOUNT, ACCOUNT/STRATEGY, a process; empty: all",
                "ok": "carried out",
                "result": "",
                "args": "JSON",
                "seq": "number within the account",
            },
            _commands,
        ),
        RowQuestion(
            "comparisons",
            "Comparisons with the exchange.",
            {
                **_TS,
                "account": "",
                "reason": "",
                "ok": "the exchange could be read",
                "executions": "missed ones",
                "adopted": "orders",
                "looked_up": "orders",
                "foreign_orders": "orders",
                "took_ms": "milliseconds",
                "error": "",
                "seq": "number within the account",
            },
            _comparisons,
        ),
    )
}
