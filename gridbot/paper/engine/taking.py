"""Orders that meet the market: what they take, what rests, and what self-match prevention does. Pure.

Orders meet the modelled market only. An order whose `smpType` is not None looks, while it takes, for resting orders of
its own account on the other side, and what its setting says happens to the first one it reaches:

    CancelMaker: the resting order ends, the taker goes on      CancelTaker: the taker ends, what it took stays
    CancelBoth: both end
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.engine.fills import Fills
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.resting_orders import RestingOrders
from gridbot.paper.ledger.settlement import Deal, Settlement
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.outbox import Outbox

__all__ = ["Taking"]

ZERO = Decimal(0)
MAX_TAKER_LEVELS = 500


class Taking:
    """Lets accepted orders into the market."""

    def __init__(
        self, state: ExchangeState, resting: RestingOrders, settlement: Settlement, fills: Fills, outbox: Outbox
    ) -> None:
        self._state = state
        self._resting = resting
        self._settlement = settlement
        self._fills = fills
        self._outbox = outbox
        self._rejects_for = ""

    def reject_all(self, reason: str) -> None:
        """From now on every order that was accepted is rejected for this reason of the engine's; "": none any more."""
        self._rejects_for = reason

    def enter(self, account: Account, order: Order, now_ms: int) -> None:
        """Let an accepted order take liquidity, rest, or end."""
        if self._rejects_for:
            self._settlement.end(account, order, now_ms, status=OrderStatus.REJECTED, reason=self._rejects_for)
            return
        market = self._state.markets[order.symbol]
        ticks = market.instrument.ticks(order.price)
        tif = "IOC" if order.is_market else order.request.time_in_force
        taken_before = order.cum_qty
        rivals = self._rivals(account, order, market)
        if rivals or market.depth.crosses(order.side, ticks):
            if tif in ("PostOnly", "RPI"):  # retail price improvement is post-only, too
                self._settlement.end(account, order, now_ms, reason="EC_PostOnlyWillTakeLiquidity")
                return
            self._take(account, order, market, rivals, now_ms)
            if not order.is_open:
                return
        if tif in ("IOC", "FOK"):
            reason = "EC_NoImmediateQtyToFill" if tif == "IOC" else "EC_NoEnoughQtyToFill"
            self._settlement.end(account, order, now_ms, reason=reason)
            return
        self._resting.add(account, order, ticks)
        if order.cum_qty == taken_before:
            self._outbox.order_changed(account, order)

    def _take(
        self, account: Account, order: Order, market: SymbolMarket, rivals: list[tuple[int, Order]], now_ms: int
    ) -> None:
        """Execute against the modelled depth, level by level, up to the limit price (market: as deep as needed)."""
        steps = _reachable(order, market)
        towards = 1 if order.side is Side.BUY else -1
        if order.request.time_in_force == "FOK" and not order.is_market:
            if sum((qty for _, qty in steps), ZERO) < order.unfilled:
                return
            if rivals and order.request.smp_type != "CancelMaker" and (steps[-1][0] - rivals[0][0]) * towards >= 0:
                steps = []  # it would meet its own order before it is whole
        for ticks, qty in steps:
            while rivals and (ticks - rivals[0][0]) * towards >= 0:
                if not self._prevent(account, order, rivals.pop(0)[1], now_ms):
                    return
            deal = Deal(qty, market.instrument.price(ticks), now_ms, is_maker=False)
            self._fills.book(account, order, deal)
        if order.is_open and not order.is_market:
            for _, rival in rivals:
                if not self._prevent(account, order, rival, now_ms):
                    return

    def _rivals(self, account: Account, order: Order, market: SymbolMarket) -> list[tuple[int, Order]]:
        """(ticks, order) of the account's own resting orders that this one could meet, nearest first."""
        if order.request.smp_type == "None":
            return []
        buys = order.side is Side.BUY
        rivals = [
            (market.instrument.ticks(other.price), other)
            for other in account.resting_on(order.symbol)
            if other.side is not order.side
            and other in self._resting
            and (order.is_market or (other.price <= order.price if buys else other.price >= order.price))
        ]
        rivals.sort(key=lambda rival: (rival[0] if buys else -rival[0], rival[1].number))
        return rivals

    def _prevent(self, account: Account, order: Order, rival: Order, now_ms: int) -> bool:
        """Two orders of an account meet: end those that the taker's setting names. True when the taker goes on."""
        if not rival.is_open:  # a fill of the taker uncovered it
            return True
        kind = order.request.smp_type
        for ended, other in ((rival, order), (order, rival)):
            if kind == "CancelBoth" or (kind == "CancelMaker") is (ended is rival):
                ended.smp_order_id = other.order_id
                self._settlement.end(account, ended, now_ms, cancel_type="CancelBySmp", reason="EC_BySelfMatch")
        return order.is_open


def _reachable(order: Order, market: SymbolMarket) -> list[tuple[int, Decimal]]:
    """(ticks, quantity) that an order would take of each price, best first."""
    left = order.unfilled
    step = 1 if order.side is Side.BUY else -1
    ticks = market.depth.ask_ticks if order.side is Side.BUY else market.depth.bid_ticks
    limit = _furthest_ticks(order, market)
    levels: list[tuple[int, Decimal]] = []
    for _ in range(MAX_TAKER_LEVELS):
        if left <= 0 or ticks <= 0 or (limit is not None and (limit - ticks) * step < 0):
            break
        qty = min(left, market.depth.level_qty(ticks))
        levels.append((ticks, qty))
        left -= qty
        ticks += step
    return levels


def _furthest_ticks(order: Order, market: SymbolMarket) -> int | None:
    """Worst price that an order may take, None when any will do."""
    if not order.is_market:
        return market.instrument.ticks(order.price)
    slippage = order.request.slippage
    if slippage is None:
        return None
    buys = order.side is Side.BUY
    tick_size = market.instrument.tick_size
    price = slippage.furthest(order.side, market.depth.ask if buys else market.depth.bid, tick_size)
    return int((price / tick_size).to_integral_value(ROUND_FLOOR if buys else ROUND_CEILING))
