"""Checks of stops: side of the price, quantity, number. Pure.

Everything raises `ApiError` with the exchange's texts and changes nothing.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, StopPrice, TpslMode, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["check_attached", "check_attached_count", "check_part", "check_room", "check_stop"]

ZERO = Decimal(0)
MAX_PARTS = 20


def check_stop(kind: StopKind, stop: StopPrice | Trail, position: Direction, market: SymbolMarket) -> None:
    """A stop of a position that the present price would trigger, or a trailing distance that leads to no price."""
    if isinstance(stop, Trail):
        _check_trail(stop, position, market)
    else:
        _check_side(kind, stop, position, market.watched(stop.by), f"??{stop.by}")


def check_attached(request: NewOrder, attached: Attached, market: SymbolMarket) -> None:
    """Stops on the wrong side of where the order would be filled: its limit, its trigger, or the market."""
    price = request.price
    if price is None and request.trigger is not None:
        price = request.trigger.price
    position = Direction.LONG if request.side is Side.BUY else Direction.SHORT
    for kind, stop in attached.stops():
        if price is not None:
            _check_side(kind, stop, position, price, "")
        else:
            _check_side(kind, stop, position, market.watched(stop.by), f"??{stop.by}")


def check_attached_count(waiting: WaitingOrders, account: Account, request: NewOrder, attached: Attached) -> None:
    """One more partial pair than the position of an order may have."""
    if attached.mode is TpslMode.PARTIAL:
        check_room(waiting, account, account.leg(request.symbol, request.position_idx))


def check_room(waiting: WaitingOrders, account: Account, leg: Leg) -> None:
    """One more partial pair than a position may have; those that open orders will make count."""
    pairs = {
        min(order.order_id, order.sibling_id or order.order_id)
        for order in waiting.stops_of(account, leg)
        if order.stop_kind is not None and order.stop_kind.is_partial
    }
    coming = sum(
        order.request.attached is not None
        and order.request.attached.mode is TpslMode.PARTIAL
        and order.request.position_idx == leg.position_idx
        and not order.children
        for order in account.resting_on(leg.symbol)
    )
    if len(pairs) + coming >= MAX_PARTS:
        raise ApiError(110061, f"Not allowed to have more than {MAX_PARTS} TP/SLs under Partial tpSlMode")


def check_part(waiting: WaitingOrders, account: Account, leg: Leg, kind: StopKind, more: Decimal) -> None:
    """Partial stops of a kind that together would close more than the position."""
    taken = sum((order.qty for order in waiting.stops_of(account, leg) if order.stop_kind is kind), ZERO)
    if taken + more > leg.size:
        raise ApiError(
            110058,
            "Insufficient number of remaining position size to set take profit and stop loss: "
            f"at most {leg.size - taken:f} left, got {more:f}",
        )


def _check_side(kind: StopKind, stop: StopPrice, position: Direction, base: Decimal, what: str) -> None:
    above = kind.direction(position) == 1
    if stop.price > base if above else stop.price < base:
        return
    if kind.is_profit:
        name, should = "TakeProfit", "be higher than" if above else "be lower than"
    else:
        name, should = "StopLoss", "greater" if above else "lower"
    side = position.open_side.value
    raise ApiError(10001, f"{name}:{stop.price:f} set for {side} position should {should} base_price:{base:f}{what}")


def _check_trail(trail: Trail, position: Direction, market: SymbolMarket) -> None:
    long = position is Direction.LONG
    active, last, side = trail.active_price, market.last, position.open_side.value
    if active is not None and (active <= last if long else active >= last):
        should = "higher" if long else "lower"
        raise ApiError(
            10001,
            f"TrailingProfit:{active:f} set for {side} position should be {should} than base_price:{last:f}??LastPrice",
        )
    if trail.first_trigger(position, last) <= 0:
        raise ApiError(10001, f"TrailingStop:{trail.distance:f} set for {side} position should be lower than {last:f}")
