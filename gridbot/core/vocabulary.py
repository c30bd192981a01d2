"""Basic terms: sides, directions, and what an order does to a position.

They are `StrEnum`s: they can be compared with text and sent as text. The values of `Side` are the exchange's own.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["SETTLE_COIN", "Direction", "Side"]

SETTLE_COIN = "USDT"
"""What linear contracts are settled in: the coin of every amount that has no other."""


class Side(StrEnum):
    """Side of an order."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class Direction(StrEnum):
    """Leg of a hedge-mode pair: `long` is positionIdx 1, `short` is positionIdx 2."""

    LONG = "long"
    SHORT = "short"

    @property
    def position_idx(self) -> int:
        """Bybit's positionIdx: 1 for long, 2 for short."""
        return 1 if self is Direction.LONG else 2

    @property
    def opposite(self) -> Direction:
        return Direction.SHORT if self is Direction.LONG else Direction.LONG

    @property
    def open_side(self) -> Side:
        """Side that makes this leg bigger (the other side closes it)."""
        return Side.BUY if self is Direction.LONG else Side.SELL

    @property
    def close_side(self) -> Side:
        """Side that makes this leg smaller; always sent reduce-only."""
        return Side.SELL if self is Direction.LONG else Side.BUY

    @classmethod
    def from_position_idx(cls, idx: int) -> Direction:
        """Raise ValueError for 0 (one-way mode) and anything else that is not a hedge leg."""
        if idx == 1:
            return cls.LONG
        if idx == 2:
            return cls.SHORT
        raise ValueError(f"expected positionIdx 1 (long) or 2 (short), got {idx}; is the symbol in hedge mode?")

    @classmethod
    def of_order(cls, side: Side, *, reduce_only: bool) -> Direction:
        """The leg an order changes, from its side and whether it closes (incident L41)."""
        opens_long = side is Side.BUY
        return cls.LONG if opens_long != reduce_only else cls.SHORT
