"""The face of the exchange: orders in, fills and refusals out. Pure: time comes in, pushes go out as a list.

Every call either raises `ApiError` and changes nothing, or does its work and leaves in the outbox what the private
streams have to say about it, in the order in which it happened.

The parts, each given those that it uses (who changes what: `state` accounts and ids, `resting` the books, `waiting` the
orders outside them, `settlement` money and positions, `outbox` the pushes):

    placing, amending ──> conditional ──> taking ──> fills ──> attached stops, stop orders ──> settlement
    cancelling ─────────────────────────────────────────────────> stop orders ───────────────> settlement
    liquidation ──> cancelling, fills       all of them ──> state, resting, waiting, outbox
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from gridbot.core.margin import LegMargin
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, NewOrder, Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import TradingStop
from gridbot.paper.engine.admission import Admission
from gridbot.paper.engine.amending import Amending
from gridbot.paper.engine.call_auction import CallAuction
from gridbot.paper.engine.cancelling import Cancelling
from gridbot.paper.engine.conditional import ConditionalOrders
from gridbot.paper.engine.fills import Fills
from gridbot.paper.engine.liquidation import Liquidator
from gridbot.paper.engine.listing_changes import ListingChanges
from gridbot.paper.engine.placing import Placing
from gridbot.paper.engine.taking import Taking
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.resting_orders import RestingOrders
from gridbot.paper.ledger.settlement import Deal, Settlement
from gridbot.paper.ledger.strange_executions import StrangeExecutions
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.market.announced import Announced
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.settings import PaperConfig
from gridbot.paper.stops.attached_stops import AttachedStops
from gridbot.paper.stops.position_settings import PositionSettings
from gridbot.paper.stops.position_stops import PositionStops
from gridbot.paper.stops.stop_orders import StopOrders
from gridbot.paper.worth.valuation import Totals, Valuation

__all__ = ["Exchange"]

ZERO = Decimal(0)


class Exchange:
    """All accounts on all symbols.

    To be read: `config`, `markets`, `accounts` (by name), `by_key` (by API key), `started_ms`, `state` for the rest.
    `outbox` and `liquidator` keep what the streams have to say until it is taken; `positions` changes leverage and
    position mode, `listing` what a symbol and a leg take; `auction` is the call auction before a launch; `resting` are
    the orders in the books; `shown_to` is the newest number of before its clock went back; `strange` makes executions
    without order or market; `announced` is what is told of maintenance and contracts.
    """

    def __init__(
        self,
        config: PaperConfig,
        markets: Mapping[str, SymbolMarket],
        run_id: str,
        now_ms: int,
        make_outbox: Callable[[Valuation, int], Outbox] = Outbox,
    ) -> None:
        state = ExchangeState(config, markets, run_id, now_ms)
        self.state = state
        self.config, self.markets, self.started_ms = config, state.markets, now_ms
        self.accounts, self.by_key = state.accounts, state.by_key
        self.announced = Announced(state.listings)
        self.shown_to, self._seen_ms = 0, now_ms
        outbox = self.outbox = make_outbox(state.valuation, config.fault_seed)
        resting = self.resting = RestingOrders(state.markets, config.matching)
        waiting = self._waiting = WaitingOrders()
        settlement = self._settlement = Settlement(state, resting, waiting, outbox)
        stop_orders = StopOrders(state, waiting, settlement, outbox)
        admission = Admission(state)
        fills = self._fills = Fills(settlement, stop_orders, AttachedStops(waiting, stop_orders))
        taking = self._taking = Taking(state, resting, settlement, fills, outbox)
        conditional = ConditionalOrders(state, admission, waiting, settlement, stop_orders, taking, outbox)
        self._conditional = conditional
        self.strange = StrangeExecutions(state, settlement, outbox)
        self.auction = CallAuction(state, resting, fills, outbox)
        self.listing = ListingChanges(state, admission, self.strange, self.auction, outbox, self.announced)
        self._placing = Placing(state, admission, waiting, conditional, settlement, taking, self.listing, outbox)
        self._amending = Amending(state, admission, resting, waiting, taking, outbox)
        self._stops = PositionStops(state, waiting, settlement, stop_orders, outbox)
        self._cancelling = Cancelling(settlement, stop_orders, outbox)
        self.liquidator = Liquidator(state, self._cancelling, fills, outbox)
        self.positions = PositionSettings(state, outbox)

    def totals(self, account: Account) -> Totals:
        return self.state.valuation.totals(account)

    def place(self, account: Account, request: NewOrder, now_ms: int) -> Order:
        """Accept an order, let it take liquidity if it may, and rest what is left; the first one if it is split."""
        return self._placing.place(account, request, now_ms)

    def check(self, account: Account, request: NewOrder, now_ms: int) -> tuple[Order, LegMargin]:
        """The order that a request would become, and the margin it would add. Places nothing."""
        return self._placing.check(account, request, now_ms)

    def amend(self, account: Account, order: Order, change: Amendment, now_ms: int) -> None:
        """Change quantity, price, trigger or attached stops of an open order."""
        self.auction.check_change(order.symbol, cancels=False)
        self._amending.amend(account, order, change, now_ms)

    def cancel(self, account: Account, order: Order, now_ms: int) -> None:
        """End an open order, and with a stop the other one of its pair."""
        self.auction.check_change(order.symbol, cancels=True)
        self._cancelling.cancel(account, order, now_ms)

    def cancel_all(self, account: Account, cancel_type: str, now_ms: int) -> None:
        """End all orders of an account for a reason of the exchange's own."""
        self._cancelling.cancel_all(account, cancel_type, now_ms)

    def set_stops(self, account: Account, leg: Leg, wanted: TradingStop, now_ms: int) -> None:
        """Set, move, remove and add stops of a position."""
        self._stops.set_stops(account, leg, wanted, now_ms)

    def stops_of(self, account: Account, leg: Leg) -> list[Order]:
        """The waiting stops of a position, oldest first."""
        return self._waiting.stops_of(account, leg)

    def trade(self, symbol: str, side: Side, ticks: int, size: Decimal, now_ms: int) -> PublicTrade | None:
        """A public trade happened (size 0: only the price moved). Fill what it fills; before a launch nothing. On a
        contract that is over none can happen."""
        market = self.markets[symbol]
        if market.listing.is_over:
            return None
        if not market.listing.matches:
            market.apply(side, ticks, ZERO, now_ms)
            return None
        trade = market.apply(side, ticks, size, now_ms)
        fills = self.resting.trade(symbol, side, ticks, size)
        for account, order, qty in fills:
            self._fills.book_resting(account, order, Deal(qty, order.price, now_ms, is_maker=True))
        if fills:
            self.outbox.flush()
        self._conditional.trigger_due(symbol, now_ms)
        return trade

    def change_rules(self, symbol: str, *, tick_size: Decimal | None = None, qty_step: Decimal | None = None) -> None:
        """Change a symbol's tick (USDT) or lot (base coin), as Bybit does now and then; what rests stays as it is."""
        self.markets[symbol].change_rules(tick_size=tick_size, qty_step=qty_step)
        self.state.listings.changed(symbol)
        self.resting.rebuild(symbol)

    def reject_orders(self, reason: str) -> None:
        """Accept orders, and reject them at once for this reason of the engine's, until it is empty."""
        self._taking.reject_all(reason)

    def on_time(self, now_ms: int) -> None:
        """Mark prices, deliveries and fundings that are due, liquidations. Call it several times a second."""
        if now_ms < self._seen_ms:
            self.shown_to = self.state.ids.last
        self._seen_ms = now_ms
        for symbol, market in self.markets.items():
            market.revalue(now_ms)
            self.listing.on_time(symbol, now_ms)
            if market.listing.matches:
                self._conditional.trigger_due(symbol, now_ms)
            while market.funding_due(now_ms):
                self.settle_funding(symbol, market.funding_rate, now_ms)
        for account in self.accounts.values():
            if any(leg.size for leg in account.legs.values()):
                self.liquidator.liquidate_if_due(account, now_ms)

    def settle_funding(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Longs pay `size * mark * rate` now, shorts receive it."""
        self._settlement.settle_funding(symbol, rate, now_ms)

    def restore(self, account: Account, order: Order) -> None:
        """Take an open order of an earlier run back: to wait, or into the book at the end of its queue."""
        reserved, order.reserved = order.reserved, ZERO
        account.reserve(order, self.state.valuation.order_margin(account, order)._replace(initial=reserved))
        account.add_open(order)
        if order.is_waiting:
            self._waiting.add(account, order)
        elif not self.markets[order.symbol].listing.is_collecting:
            self.resting.add(account, order, self.markets[order.symbol].instrument.ticks(order.price))
