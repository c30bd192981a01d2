"""Fills with what follows from them: the stops of the position, and the stops an order brought along. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.ledger.settlement import Deal, Settlement
from gridbot.paper.stops.attached_stops import AttachedStops
from gridbot.paper.stops.stop_orders import StopOrders

__all__ = ["Fills"]

ZERO = Decimal(0)


class Fills:
    """The only way in which orders are filled."""

    def __init__(self, settlement: Settlement, stop_orders: StopOrders, attached_stops: AttachedStops) -> None:
        self._settlement = settlement
        self._stop_orders = stop_orders
        self._attached_stops = attached_stops

    def book(self, account: Account, order: Order, deal: Deal) -> None:
        """Book a fill, then let the position's stops follow it."""
        execution = self._settlement.fill(account, order, deal)
        if not self._stop_orders.are_none:
            self._stop_orders.fit(account, account.leg(order.symbol, order.request.position_idx), deal.now_ms)
        if order.request.attached is not None:
            self._attached_stops.place(account, order, execution)

    def book_resting(self, account: Account, order: Order, deal: Deal) -> None:
        """Book a fill of a resting order; one that closes never closes more than there is (one-way mode)."""
        if not order.is_open:  # an earlier fill of the same trade ended it
            return
        room = deal.qty
        if order.closing:
            leg = account.leg(order.symbol, order.request.position_idx)
            room = min(room, leg.size if order.side is leg.direction.close_side else ZERO)
        if room > 0:
            self.book(account, order, deal if room == deal.qty else replace(deal, qty=room))
        if room < deal.qty and order.is_open:
            self._settlement.end(account, order, deal.now_ms, cancel_type="CancelByReduceOnly")
