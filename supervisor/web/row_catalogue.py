"""The questions that the page may ask of the records: each has a name, its columns with units, and its SQL.

A new question is a row of `CATALOGUE`, and a statement in `row_statements`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from supervisor.web import row_statements as statements
from supervisor.web.row_statements import Wanted

__all__ = ["CATALOGUE", "RowQuestion"]


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
            statements.fills,
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
            statements.equity,
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
            statements.refusals,
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
            statements.latency,
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
            statements.pairs,
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
            statements.levels,
            _PAIRED,
            _PAIRS,
        ),
        RowQuestion(
            "prices",
            "Prices of the strategy's symbol: of each part of the span the lowest, the highest and the newest.",
            {"ts": "UTC", "account": "", "symbol": "", "last_price": "USDT", "mark_price": "USDT", "seq": ""},
            statements.prices,
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
            statements.funding,
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
            statements.incidents,
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
            statements.commands,
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
            statements.comparisons,
        ),
    )
}
