"""Stops that an order brings along: they are placed when it fills. Pure.

`Full` sets or moves the stops of the whole position with the first fill. `Partial` makes a pair for what was filled,
which grows with the order's further fills.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import Attached, TpslMode
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.stops.stop_orders import StopOrders, bind, unbind

__all__ = ["AttachedStops"]


class AttachedStops:
    """Places the stops of filled orders."""

    def __init__(self, waiting: WaitingOrders, stop_orders: StopOrders) -> None:
        self._waiting = waiting
        self._stop_orders = stop_orders

    def place(self, account: Account, order: Order, execution: Execution) -> None:
        """Place what the order brings along for the part of an execution that opened something."""
        attached, opened = order.request.attached, execution.qty - execution.closed_size
        if attached is None or not opened:
            return
        leg = account.leg(order.symbol, order.request.position_idx)
        if attached.mode is TpslMode.PARTIAL:
            self._place_part(account, leg, order, attached, opened, execution.time_ms)
        elif not order.children:
            self._place_whole(account, leg, order, attached, execution.time_ms)

    def _place_whole(self, account: Account, leg: Leg, parent: Order, attached: Attached, now_ms: int) -> None:
        stops = []
        for kind, wanted in attached.stops():
            stop = self._waiting.stop_of(account, leg, kind)
            if stop is None:
                stop = self._stop_orders.add(account, leg, kind, wanted, now_ms, parent=parent.link_id)
            else:
                unbind(account, stop)
                self._stop_orders.move(account, leg, stop, wanted, now_ms, parent.link_id)
            stops.append(stop)
        bind(stops)
        account.set_children(parent, stops)

    def _place_part(
        self, account: Account, leg: Leg, parent: Order, attached: Attached, opened: Decimal, now_ms: int
    ) -> None:
        """Let the pair of an order grow; a new one if it has none that waits."""
        pair = [stop for each in parent.children if (stop := account.open.get(each)) is not None and stop.is_waiting]
        if pair:
            for stop in pair:
                self._stop_orders.resize(account, stop, stop.qty + opened, now_ms)
            return
        stops = [
            self._stop_orders.add(account, leg, kind, wanted, now_ms, qty=opened, parent=parent.link_id)
            for kind, wanted in attached.stops()
        ]
        bind(stops)
        account.set_children(parent, stops)
