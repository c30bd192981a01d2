"""Stops as they are asked for: of a position (`position/trading-stop`), or attached to an order. Pure.

What an order brings along is placed when it fills: `Full` sets or moves the stops of the whole position with the first
fill, `Partial` makes a pair for what was filled, which grows with the order's further fills.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account, Leg
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, StopPrice, TpslMode, TradingStop, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.conditional import watched
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.stops.stop_orders import StopOrders

__all__ = ["PositionStops"]

MAX_PARTS = 20
PAIR = (StopKind.TAKE_PROFIT, StopKind.STOP_LOSS)


class PositionStops(StopOrders):
    """Sets stops."""

    def set_stops(self, account: Account, leg: Leg, wanted: TradingStop, now_ms: int) -> None:
        """Set, move, remove and add; nothing changes when one of them is refused."""
        if not leg.size:
            raise ApiError(10001, "can not set tp/sl/ts for zero position")
        present = {kind: self.stop_of(account, leg, kind) for kind in wanted.whole}
        changes = {kind: stop for kind, stop in wanted.whole.items() if not _stands(present[kind], stop)}
        if not changes and not wanted.parts:
            raise ApiError(34040, "not modified")
        market = self.markets[leg.symbol]
        for kind, stop in [*changes.items(), *wanted.parts.items()]:
            if isinstance(stop, Trail):
                _check_trail(stop, leg.direction, market)
            elif stop is not None:
                _check_side(kind, stop, leg.direction, watched(stop.by, market), f"??{stop.by}")
        for kind in wanted.parts:
            self._check_part(account, leg, kind, wanted.qty)
        if wanted.parts:
            self._check_room(account, leg)
        self._change(account, leg, present, changes, now_ms)
        self._bind(
            [self._add_stop(account, leg, kind, part, now_ms, qty=wanted.qty) for kind, part in wanted.parts.items()]
        )
        self._touch(account, leg)
        self._flush()

    def _change(
        self,
        account: Account,
        leg: Leg,
        present: Mapping[StopKind, Order | None],
        changes: Mapping[StopKind, StopPrice | Trail | None],
        now_ms: int,
    ) -> None:
        """Stops of the whole position; changing one of a pair alone unbinds it."""
        one_sided = sum(kind in changes for kind in PAIR) == 1
        for kind, stop in changes.items():
            old = present[kind]
            if old is not None and one_sided and kind in PAIR:
                self._unbind(account, old)
            if stop is None and old is not None:
                self._end(account, old, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByUser")
            elif stop is not None and old is not None:
                self._move_stop(account, leg, old, stop, now_ms)
            elif stop is not None:
                self._add_stop(account, leg, kind, stop, now_ms)
        if changes.keys() >= set(PAIR):
            self._bind([order for kind in PAIR if (order := self.stop_of(account, leg, kind)) is not None])

    def _check_attached(self, request: NewOrder, attached: Attached) -> None:
        """Refuse stops on the wrong side of where the order would be filled: its limit, its trigger, or the market."""
        market, price = self.markets[request.symbol], request.price
        if price is None and request.trigger is not None:
            price = request.trigger.price
        position = Direction.LONG if request.side is Side.BUY else Direction.SHORT
        for kind, stop in attached.stops():
            if price is not None:
                _check_side(kind, stop, position, price, "")
            else:
                _check_side(kind, stop, position, watched(stop.by, market), f"??{stop.by}")

    def _check_count(self, account: Account, request: NewOrder, attached: Attached) -> None:
        if attached.mode is TpslMode.PARTIAL:
            self._check_room(account, self.leg(account, request.symbol, request.position_idx))

    def _check_room(self, account: Account, leg: Leg) -> None:
        """Refuse one more partial pair than a position may have; those that open orders will make count."""
        pairs = {
            min(order.order_id, order.sibling_id or order.order_id)
            for order in self.stops_of(account, leg)
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

    def _filled(self, account: Account, order: Order, leg: Leg, execution: Execution) -> None:
        super()._filled(account, order, leg, execution)
        attached, opened = order.request.attached, execution.qty - execution.closed_size
        if attached is None or not opened:
            return
        if attached.mode is TpslMode.PARTIAL:
            self._attach_part(account, leg, order, attached, opened, execution.time_ms)
        elif not order.children:
            self._attach_whole(account, leg, order, attached, execution.time_ms)

    def _attach_whole(self, account: Account, leg: Leg, parent: Order, attached: Attached, now_ms: int) -> None:
        stops = []
        for kind, wanted in attached.stops():
            stop = self.stop_of(account, leg, kind)
            if stop is None:
                stop = self._add_stop(account, leg, kind, wanted, now_ms, parent=parent.link_id)
            else:
                self._unbind(account, stop)
                self._move_stop(account, leg, stop, wanted, now_ms, parent.link_id)
            stops.append(stop)
        self._bind(stops)
        parent.children = tuple(stop.order_id for stop in stops)

    def _attach_part(
        self, account: Account, leg: Leg, parent: Order, attached: Attached, opened: Decimal, now_ms: int
    ) -> None:
        """Let the pair of an order grow; a new one if it has none that waits."""
        pair = [stop for each in parent.children if (stop := account.open.get(each)) is not None and stop.is_waiting]
        if pair:
            for stop in pair:
                self._resize(account, stop, stop.qty + opened, now_ms)
            return
        stops = [
            self._add_stop(account, leg, kind, wanted, now_ms, qty=opened, parent=parent.link_id)
            for kind, wanted in attached.stops()
        ]
        self._bind(stops)
        parent.children = tuple(stop.order_id for stop in stops)


def _stands(order: Order | None, wanted: StopPrice | Trail | None) -> bool:
    """True when a stop is already where it is wanted."""
    if order is None or wanted is None:
        return order is None and wanted is None
    trigger, trail = order.request.trigger, order.request.trail
    if isinstance(wanted, Trail):
        return trail is not None and (trail.distance, trail.active_price) == (wanted.distance, wanted.active_price)
    return trigger is not None and (trigger.price, trigger.by) == (wanted.price, wanted.by)


def _check_side(kind: StopKind, stop: StopPrice, position: Direction, base: Decimal, what: str) -> None:
    """Refuse a stop that would be triggered at the price `base`, with the exchange's texts."""
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
    """Refuse an active price that has been passed, and a distance that leads to no price."""
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
