"""What an execution may be: Bybit's `execType` as a closed vocabulary, and what each word does to a leg. Pure.

Only what is known to be a trade moves a leg. Everything else is money until the exchange's position says more:

    type                                     legs                 money
    Trade, BlockTrade, FutureSpread          by `closedSize`      price and fee
    AdlTrade, BustTrade, Delivery            close, all of it     price and fee; there may be no order
    Funding                                  none                 `execFee`: positive paid
    any other, known or not                  none                 `execPnl` and `execFee`
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ExecType"]

_TRADES = ("Trade", "BlockTrade", "FutureSpread")
_CLOSES = ("AdlTrade", "BustTrade", "Delivery")
_RIDDLES = ("MovePosition", "ForwardSplitSettle", "ReverseSplitSettle", "CorporateAction", "Unknown")


class ExecType(StrEnum):
    """Bybit's `execType`. Only `TRADE` is a fill of one of our orders. A word that is not here is `UNKNOWN`."""

    TRADE = "Trade"
    ADL = "AdlTrade"
    FUNDING = "Funding"
    BUST = "BustTrade"
    DELIVERY = "Delivery"
    SETTLE = "Settle"
    SESSION_SETTLE = "SessionSettlePnL"
    BLOCK = "BlockTrade"
    FUTURE_SPREAD = "FutureSpread"
    MOVE_POSITION = "MovePosition"
    DIVIDEND = "Dividend"
    FORWARD_SPLIT = "ForwardSplitSettle"
    REVERSE_SPLIT = "ReverseSplitSettle"
    CORPORATE_ACTION = "CorporateAction"
    UNKNOWN = "Unknown"

    @classmethod
    def _missing_(cls, value: object) -> ExecType | None:
        return cls.UNKNOWN if isinstance(value, str) else None

    moves_legs: bool
    """Whether its size is bought or sold."""
    only_closes: bool
    """Whether all of it reduces a position, whatever the row says of its closed size (which may be empty)."""
    is_understood: bool
    """False where nobody knows what it does to a position."""

    def __init__(self, value: str) -> None:
        self.only_closes = value in _CLOSES
        self.moves_legs = self.only_closes or value in _TRADES
        self.is_understood = value not in _RIDDLES
