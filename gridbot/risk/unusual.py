"""What follows for a strategy from an execution that is no fill of an order. Pure.

    type                                      told as         strategy
    Trade, BlockTrade, FutureSpread           -               goes on (somebody traded)
    Funding                                   -               goes on
    AdlTrade, BustTrade                       reduced         paused: the exchange took part of a leg
    Delivery                                  reduced         paused: the contract is settled
    Dividend, Settle, SessionSettlePnL        unusual         goes on: money only
    MovePosition, splits, any other word      reduced         paused: nobody knows what it did to a leg

A row of money that says that it closed something is one that nobody knows, too. Whatever is told, the position is read
again: the exchange's row is what tells.
"""

from __future__ import annotations

from typing import NamedTuple

from gridbot.core import ExecType, ExecutionEvent
from gridbot.risk.holds import Who

__all__ = ["Unusual", "unusual"]


class Unusual(NamedTuple):
    """`kind` and `level` of the incident, what happened in words, and who pauses the strategy, if anybody does."""

    kind: str
    level: str
    text: str
    pauses: Who | None


def unusual(execution: ExecutionEvent) -> Unusual | None:
    """None for a trade or a funding."""
    kind, word = execution.exec_type, execution.exec_word or execution.exec_type
    leg = f"our {execution.direction}"
    if kind is ExecType.FUNDING or (kind.moves_legs and not kind.only_closes):
        return None
    if kind is ExecType.DELIVERY:
        text = f"the exchange has settled {leg} of {execution.qty} at {execution.price} ({word}): the contract is over"
        return Unusual("reduced", "error", text, Who.EXCHANGE)
    if kind.only_closes:
        return Unusual("reduced", "error", f"the exchange reduced {leg} by {execution.qty} ({word})", Who.LIQUIDATION)
    if kind.is_understood and not execution.is_close:
        money, told = (execution.realised or 0) - execution.fee, execution.realised is not None or execution.fee
        amounts = [f"{money:+f} USDT"] if told else []
        amounts += [f"{-fee:+f} {coin}" for coin, fee in execution.other_fees]
        amount = " and ".join(amounts) or "an amount that its transaction log will tell"
        return Unusual("unusual", "warning", f"the exchange booked {amount} ({word})", None)
    by = f" by {execution.qty}" if execution.qty else ""
    text = f"the exchange may have changed a leg of ours{by}, in a way that is not known here ({word!r:.40})"
    return Unusual("reduced", "error", text, Who.EXCHANGE)
