"""Orders that wait for a price outside the books, and which of them are stops of a position. Pure."""

from __future__ import annotations

from collections.abc import Collection

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import StopKind

__all__ = ["WaitingOrders"]


class WaitingOrders:
    """Waiting orders of all accounts. A leg's figures of its stops are kept here, too."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, dict[str, tuple[Account, Order]]] = {}
        self._stops: dict[tuple[str, str, int], dict[str, Order]] = {}  # by account, symbol, position index

    def on(self, symbol: str) -> Collection[tuple[Account, Order]]:
        """(account, order) of a symbol, oldest first."""
        waiting = self._by_symbol.get(symbol)
        return waiting.values() if waiting else ()

    def conditional_count(self, account: Account, symbol: str) -> int:
        """How many orders an account has waiting on a symbol; stops of positions do not count."""
        return sum(
            owner is account and order.request.create_type == "CreateByStopOrder" for owner, order in self.on(symbol)
        )

    @property
    def has_no_stops(self) -> bool:
        """Whether no position of any account has a stop that waits."""
        return not self._stops

    def stops_of(self, account: Account, leg: Leg) -> list[Order]:
        """The waiting stops of a position, oldest first."""
        if not self._stops:
            return []
        return list(self._stops.get((account.name, leg.symbol, leg.position_idx), {}).values())

    def stop_of(self, account: Account, leg: Leg, kind: StopKind) -> Order | None:
        """The waiting stop of a kind of which a position has one."""
        return next((order for order in self.stops_of(account, leg) if order.stop_kind is kind), None)

    def add(self, account: Account, order: Order) -> None:
        self._by_symbol.setdefault(order.symbol, {})[order.order_id] = account, order
        if order.stop_kind is not None:
            self._stops.setdefault(_key(account, order), {})[order.order_id] = order
            self.show(account, order)

    def remove(self, account: Account, order: Order) -> None:
        del self._by_symbol[order.symbol][order.order_id]
        if order.stop_kind is not None:
            key = _key(account, order)
            del self._stops[key][order.order_id]
            if not self._stops[key]:
                del self._stops[key]
            self.show(account, order, gone=True)

    def show(self, account: Account, order: Order, *, gone: bool = False) -> None:
        """Let the position's row show where a stop of the whole position is now."""
        leg = account.leg(order.symbol, order.request.position_idx)
        trail, trigger = order.request.trail, order.request.trigger
        price = None if gone or trigger is None else trigger.price
        match order.stop_kind:
            case StopKind.TAKE_PROFIT:
                leg.take_profit = price
            case StopKind.STOP_LOSS:
                leg.stop_loss = price
            case StopKind.TRAILING:
                leg.trailing_stop = None if gone or trail is None else trail.distance
        account.changes.leg(leg)


def _key(account: Account, order: Order) -> tuple[str, str, int]:
    return account.name, order.symbol, order.request.position_idx
