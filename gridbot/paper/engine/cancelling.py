"""Cancels, by the account or by the exchange. Pure."""

from __future__ import annotations

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.stops.stop_orders import StopOrders

__all__ = ["Cancelling"]


class Cancelling:
    """Ends open orders."""

    def __init__(self, settlement: Settlement, stop_orders: StopOrders, outbox: Outbox) -> None:
        self._settlement = settlement
        self._stop_orders = stop_orders
        self._outbox = outbox

    def cancel(self, account: Account, order: Order, now_ms: int) -> None:
        """End an open order, and with a stop the other one of its pair, because the account asked for it."""
        kind = "CancelByUser"
        self._settlement.end(account, order, now_ms, cancel_type=kind, reason="EC_PerCancelRequest")
        self._stop_orders.end_sibling(account, order, kind, now_ms)
        self._outbox.flush()

    def cancel_all(self, account: Account, cancel_type: str, now_ms: int, *, symbol: str = "") -> None:
        """End all orders of an account, or those of a symbol, for a reason of the exchange's own."""
        for order in account.resting_on(symbol) if symbol else list(account.open.values()):
            self._settlement.end(account, order, now_ms, cancel_type=cancel_type)
        self._outbox.flush()
