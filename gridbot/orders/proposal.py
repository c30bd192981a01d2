"""An order as it is proposed to the gate, before it exists. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from gridbot.core import Direction, Side
from gridbot.orders.order import TrackedOrder

__all__ = ["Proposal", "proposal_of"]

ZERO = Decimal(0)


class Proposal(NamedTuple):
    """`price` in USDT, `qty` in base coin. `level_distance` is a ratio to the last price: opens go nearest first."""

    side: Side
    direction: Direction
    ticks: int
    price: Decimal
    qty: Decimal
    reduce_only: bool
    level_distance: Decimal = ZERO
    post_only: bool = True

    @property
    def notional(self) -> Decimal:
        """Value at its own price, in USDT."""
        return self.qty * self.price


def proposal_of(order: TrackedOrder) -> Proposal:
    """The proposal that an order came from, for another try of the same order."""
    return Proposal(
        side=order.side,
        direction=order.direction,
        ticks=order.ticks,
        price=order.price,
        qty=order.qty,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
    )
