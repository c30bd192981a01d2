"""Checks of a request before it becomes an order: link id, position, price band. Pure.

Requests are fitted to account and market, or refused with `ApiError`. Nothing here changes an account.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import STOP_OF_CREATE_TYPE
from gridbot.paper.api_error import ApiError
from gridbot.paper.ledger.exchange_state import ExchangeState

__all__ = ["Admission"]

ZERO = Decimal(0)
MAX_ACTIVE_ORDERS = 500
_UNTRIGGERED, _TRIGGERED = OrderStatus.UNTRIGGERED, OrderStatus.TRIGGERED
SAME_SIDE = "reduce-only order has same side with current position"


class Admission:
    """Checks requests against the accounts and markets of an exchange."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state

    def check_link_id(self, account: Account, link_id: str, now_ms: int) -> None:
        """Refuse an id that an open order has, or one that ended less than `link_id_retention_s` ago had."""
        if not link_id:
            return
        taken = link_id in account.by_link
        kept_ms = self._state.config.link_id_retention_s * 1000
        if kept_ms and not taken:
            ended = account.closed.of_link(link_id)
            taken = ended is not None and now_ms - ended.updated_ms < kept_ms
        if taken:
            raise ApiError(110072, "OrderLinkedID is duplicate")

    @staticmethod
    def check_capacity(account: Account, symbol: str) -> None:
        """Refuse one more active order than a symbol may have; those that wait for a trigger are not active."""
        orders = account.open_by_symbol.get(symbol)
        if orders is None or len(orders) < MAX_ACTIVE_ORDERS:
            return
        if sum(not order.is_waiting for order in orders.values()) >= MAX_ACTIVE_ORDERS:
            raise ApiError(110020, "Not allowed to have more than 500 active orders")

    @staticmethod
    def closable(account: Account, request: NewOrder) -> Decimal:
        """What an order on the closing side may still close: position less resting closing orders."""
        leg = account.leg(request.symbol, request.position_idx)
        size = leg.size if request.side is leg.direction.close_side else ZERO
        side = request.side
        for other in account.closing.get((request.symbol, request.position_idx), {}).values():
            if other.side is side:
                status = other.status
                if status is not _UNTRIGGERED and status is not _TRIGGERED:  # it does not wait
                    size -= other.qty - other.cum_qty if other.cum_qty else other.qty
        return size

    def is_closing(self, account: Account, request: NewOrder) -> bool:
        """Check position index and reduce-only flag against the mode; True for what may only close."""
        hedge = self._state.is_hedge(account, request.symbol)
        if hedge != (request.position_idx in (1, 2)):
            raise ApiError(10001, "position idx not match position mode")
        closing = request.reduce_only or request.close_all
        if hedge:
            direction = Direction.from_position_idx(request.position_idx)
            on_closing_side = request.side is direction.close_side
            if closing and not on_closing_side:
                raise ApiError(110017, SAME_SIDE)
            closing = on_closing_side
        return closing

    def fit_to_position(self, account: Account, request: NewOrder) -> tuple[NewOrder, bool]:
        """Clamp a closing order to what it can close; one that closes everything does not ask what rests."""
        if not self.is_closing(account, request):
            return request, False
        leg = account.leg(request.symbol, request.position_idx)
        room = self.closable(account, request)
        if request.close_all and request.side is leg.direction.close_side:
            room = leg.size
        if room <= 0:
            raise ApiError(110017, _why_no_room(leg, request))
        maximum = self._state.markets[request.symbol].listing.max_qty(market=request.price is None)
        step = self._state.markets[request.symbol].instrument.qty_step
        if request.create_type in STOP_OF_CREATE_TYPE:  # a position's stop closes it whatever its size
            maximum = room
        qty = min(room, maximum if request.close_all else request.qty)
        if not qty % step:  # what is left of a leg after its lot grew is no whole one
            qty = qty.quantize(step)
        return (request if qty == request.qty else replace(request, qty=qty)), True

    def split(self, request: NewOrder) -> list[NewOrder]:
        """A reduce-only quantity beyond the maximum of one order becomes several; the first one has the link id."""
        maximum = self._state.markets[request.symbol].listing.max_qty(market=request.price is None)
        if request.qty <= maximum or not request.reduce_only:
            return [request]
        whole, rest = divmod(request.qty, maximum)
        quantities = [maximum] * int(whole) + ([rest] if rest else [])
        step = self._state.markets[request.symbol].instrument.qty_step
        parts = [replace(request, qty=qty.quantize(step), order_link_id="") for qty in quantities]
        return [replace(parts[0], order_link_id=request.order_link_id), *parts[1:]]

    def fit_to_band(self, account: Account, request: NewOrder) -> NewOrder:
        """Move a limit price into the dynamic band, or refuse it when the account asked for that."""
        if request.price is None:
            return request
        limit = self._state.markets[request.symbol].in_band(request.side, request.price)
        if limit == request.price:
            return request
        if not account.reprice:
            raise ApiError(110003, "Order price is out of permissible range")
        return replace(request, price=limit)


def _why_no_room(leg: Leg, request: NewOrder) -> str:
    if not leg.size:
        return "current position is zero, cannot fix reduce-only order qty"
    return "orderQty will be truncated to zero" if request.side is leg.direction.close_side else SAME_SIDE
