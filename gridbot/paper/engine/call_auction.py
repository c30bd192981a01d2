"""The call auction before a contract's launch: orders are collected, then matched at one price. Pure.

The modelled book takes part, as everywhere here: what stands in it is on the other side of the accounts' orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.fills import Fills
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.resting_orders import RestingOrders
from gridbot.paper.ledger.settlement import Deal
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.outbox import Outbox

__all__ = ["CallAuction", "Interest", "clearing", "shares"]

ZERO = Decimal(0)
DEPTH = 50
"""Levels of the modelled book on each side that take part."""
NO_CHANGES = "You cannot create, modify or cancel an order during call auction"


@dataclass(frozen=True, slots=True)
class Interest:
    """What somebody would buy or sell at a price in ticks or a better one; what is `first` at a price goes first."""

    side: Side
    ticks: int
    qty: Decimal
    first: int = 0


def clearing(interests: Sequence[Interest], near: int) -> tuple[int, Decimal] | None:
    """(price in ticks, quantity): the price at which most is matched, of those the one that leaves least over, of
    those the one nearest to `near`, of those the lower one. None when nothing meets."""
    at: dict[Side, defaultdict[int, Decimal]] = {side: defaultdict(Decimal) for side in Side}
    for each in interests:
        at[each.side][each.ticks] += each.qty
    best: tuple[Decimal, Decimal, int, int] | None = None
    buys, sells = sum(at[Side.BUY].values(), ZERO), ZERO  # of those who buy at a price, and who sell there
    for ticks in sorted(at[Side.BUY].keys() | at[Side.SELL].keys()):
        sells += at[Side.SELL][ticks]
        rank = (-min(buys, sells), abs(buys - sells), abs(ticks - near), ticks)
        best = rank if best is None else min(best, rank)
        buys -= at[Side.BUY][ticks]
    return None if best is None or not best[0] else (best[3], -best[0])


def shares(interests: Sequence[Interest], side: Side, ticks: int, qty: Decimal) -> list[Decimal]:
    """What each of a side gets at the price: the best price first, at one price the first one."""
    worst = -1 if side is Side.BUY else 1
    wanted = [n for n, each in enumerate(interests) if each.side is side and (each.ticks - ticks) * worst <= 0]
    got = [ZERO] * len(interests)
    for number in sorted(wanted, key=lambda n: (interests[n].ticks * worst, interests[n].first)):
        got[number] = min(qty, interests[number].qty)
        qty -= got[number]
    return got


class CallAuction:
    """Orders of an auction are open and in no book; they take part with those that were in the book before."""

    def __init__(self, state: ExchangeState, resting: RestingOrders, fills: Fills, outbox: Outbox) -> None:
        self._state = state
        self._resting = resting
        self._fills = fills
        self._outbox = outbox

    def check(self, request: NewOrder) -> None:
        """Refuse what an auction does not take: what is no plain limit order, or is priced too far away."""
        market = self._state.markets[request.symbol]
        if request.price is None or request.time_in_force != "GTC":
            raise ApiError(110098, "Only Good-Till-Canceled (GTC) orders are supported during Call Auction")
        if request.trigger is not None or request.attached is not None:
            raise ApiError(110099, "You cannot set TP/SL or trigger orders during the Call Auction")
        lowest, highest = _allowed(market, request.side)
        if not lowest <= request.price <= highest:
            raise ApiError(110003, "Order price exceeds the allowable range.")

    def check_change(self, symbol: str, *, cancels: bool) -> None:
        """Refuse an amend, and in the later phases a cancel."""
        if self.holds(symbol) or (not cancels and self._state.markets[symbol].listing.is_collecting):
            raise ApiError(110095, NO_CHANGES)

    def holds(self, symbol: str) -> bool:
        """True in the phases in which nothing can be cancelled."""
        return self._state.markets[symbol].listing.phase in ("CallAuctionNoCancel", "CrossMatching")

    def indicate(self, symbol: str) -> None:
        """Say what would be matched now."""
        market = self._state.markets[symbol]
        found = clearing(self._interests(market, self._orders(symbol)), market.last_ticks)
        market.pre_open = None if found is None else (market.instrument.price(found[0]), found[1])

    def cross(self, symbol: str, now_ms: int) -> None:
        """The auction ends: match at one price; what is left rests in the book."""
        market, orders = self._state.markets[symbol], self._orders(symbol)
        market.pre_open = None
        interests = self._interests(market, orders)
        found = clearing(interests, market.last_ticks)
        if found is not None:
            ticks, qty = found
            market.apply(Side.BUY, ticks, qty, now_ms)
            for side in Side:
                for (account, order), share in zip(orders, shares(interests, side, ticks, qty), strict=False):
                    if share:
                        deal = Deal(share, market.instrument.price(ticks), now_ms, is_maker=True)
                        self._fills.book_resting(account, order, deal)
        for account, order in orders:
            if not order.is_open:
                continue
            if order in self._resting:
                self._resting.shrink(order)
            else:
                self._resting.add(account, order, market.instrument.ticks(order.price))
        self._outbox.flush()

    def _orders(self, symbol: str) -> list[tuple[Account, Order]]:
        every = ((account, order) for account in self._state.accounts.values() for order in account.resting_on(symbol))
        return [(account, order) for account, order in every if not order.is_waiting]

    def _interests(self, market: SymbolMarket, orders: Iterable[tuple[Account, Order]]) -> list[Interest]:
        """The orders in their order, then the modelled book, which was there before them."""
        interests = [
            Interest(order.side, market.instrument.ticks(order.price), order.unfilled, order.number)
            for _, order in orders
        ]
        buys, sells = market.depth.levels(DEPTH)
        return [
            *interests,
            *(Interest(Side.BUY, ticks, market.depth.level_qty(ticks)) for ticks in buys),
            *(Interest(Side.SELL, ticks, market.depth.level_qty(ticks)) for ticks in sells),
        ]


def _allowed(market: SymbolMarket, side: Side) -> tuple[Decimal, Decimal]:
    """Lowest and highest price of the phase, as documented."""
    highest = market.instrument.max_price
    if market.listing.phase == "CallAuction":
        return (market.last if market.pre_open is None else market.pre_open[0]) / 2, highest
    if side is Side.BUY:
        return market.last / 2, market.mark * Decimal("1.1")
    return market.mark * Decimal("0.9"), highest
