"""An order before it exists."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Side
from gridbot.orders.proposal import Proposal, proposal_of
from tests.orders.helpers import make_order


def test_another_try_proposes_the_same_order_again() -> None:
    """Level, price, quantity and id stay; how far the price is away says nothing any more."""
    order = make_order(side=Side.SELL, qty="0.020")
    order.post_only = False
    assert proposal_of(order) == Proposal(
        side=order.side,
        direction=order.direction,
        ticks=1000,
        price=Decimal("100.0"),
        qty=Decimal("0.020"),
        reduce_only=True,
        level_distance=Decimal(0),
        post_only=False,
    )
    assert proposal_of(order).notional == 2
