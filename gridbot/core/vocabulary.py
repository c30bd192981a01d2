"""Basic terms: sides, directions, and what an order does to a position.

They are `StrEnum`s: they can be compared with text and sent as text. The values of `Side` are the exchange's own.

Asking an enum for a member by its name (`Side.BUY`) costs as much as ten other steps of the interpreter. So what is
done for each price or order has the members that it compares with as constants of its module, and what follows from a
member is an attribute of it.
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

    position_idx: int
    """Bybit's positionIdx: 1 for long, 2 for short."""
    open_side: Side
    """Side that makes this leg bigger (the other side closes it)."""
    close_side: Side
    """Side that makes this leg smaller; always sent reduce-only."""

    def __init__(self, value: str) -> None:
        is_long = value == "long"
        self.position_idx = 1 if is_long else 2
        self.open_side, self.close_side = (Side.BUY, Side.SELL) if is_long else (Side.SELL, Side.BUY)

    @property
    def opposite(self) -> Direction:
        return Direction.SHORT if self is Direction.LONG else Direction.LONG

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
        opens_long = side is _BUY
        return _LONG if opens_long != reduce_only else _SHORT


_BUY, _LONG, _SHORT = Side.BUY, Direction.LONG, Direction.SHORT
