"""The exchange's engine: orders in, fills and refusals out. Pure: time comes in, pushes go out as a list.

Every call either raises `ApiError` and changes nothing, or does its work and appends to the outbox what the private
streams have to say about it, in the order in which it happened.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account, Leg, Transfer
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.amending import Amending
from gridbot.paper.engine.liquidation import Liquidation, liquidate_if_due
from gridbot.paper.engine.pair_margin import fee_to_close, tier_for
from gridbot.paper.ledger.exchange_state import Push
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket

__all__ = ["Exchange", "Push"]

ZERO = Decimal(0)
MAX_ACTIVE_ORDERS = 500


class Exchange(Amending):
    """All accounts on all symbols."""

    def set_leverage(self, account: Account, symbol: str, leverage: Decimal, now_ms: int) -> None:
        if leverage == self.leverage(account, symbol):
            raise ApiError(110043, "leverage not modified")
        if not 1 <= leverage <= self.markets[symbol].instrument.max_leverage:
            raise ApiError(110013, "cannot set leverage gt maxLeverage by risk limit")
        before = account.leverage.get(symbol)
        account.leverage[symbol] = leverage
        orders = account.resting_on(symbol)
        for order in orders:
            account.reserve(order, self._cost(account, order))
        if self.totals(account).available < 0 and (before is None or leverage < before):
            account.leverage[symbol] = before or self.config.default_leverage
            for order in orders:
                account.reserve(order, self._cost(account, order))
            raise ApiError(110007, "ab not enough for new leverage")
        for leg in self.legs(account, symbol):
            leg.updated_ms = now_ms
            self._touch(account, leg)
        self._flush()

    def switch_mode(self, account: Account, symbol: str, *, hedge: bool) -> None:
        if self.is_hedge(account, symbol) is hedge:
            raise ApiError(110025, "Position mode is not modified")
        if any(leg.size for (name, _), leg in account.legs.items() if name == symbol):
            raise ApiError(110024, "You have an existing position, so the position mode cannot be switched")
        if account.open_by_symbol.get(symbol):
            raise ApiError(110028, "You have existing open orders, so the position mode cannot be switched")
        account.hedge[symbol] = hedge

    def place(self, account: Account, request: NewOrder, now_ms: int) -> Order:
        """Accept an order, let it take liquidity if it may, and rest what is left; the first one if it is split."""
        market = self.markets[request.symbol]
        self._check_request(account, request, now_ms)
        if request.trigger is not None:
            return self._place_waiting(account, request, request.trigger, now_ms)
        self._check_capacity(account, request.symbol)
        request, closing = self._fit_to_position(account, request)
        first, *others = self._split(self._fit_to_band(account, request, market))
        placed = self._accept(account, first, closing, market, now_ms)
        for request in others:
            if self._closable(account, request) >= request.qty:
                self._accept(account, request, closing, market, now_ms)
        self._flush()
        return placed

    def check(self, account: Account, request: NewOrder, now_ms: int) -> tuple[Order, Decimal, Decimal]:
        """The order that a request would become, the initial and maintenance margin it would add. Places nothing."""
        market = self.markets[request.symbol]
        self._check_request(account, request, now_ms)
        self._check_capacity(account, request.symbol)
        request, closing = self._fit_to_position(account, request)
        request = self._fit_to_band(account, request, market)
        order = self._new_order(request, closing, market, now_ms)
        initial = self._cost(account, order)
        if not initial:
            return order, initial, initial
        leverage = self.leverage(account, request.symbol)
        tier = tier_for(market.instrument.tiers, order.qty * order.price)
        fee = fee_to_close(order.direction, order.qty, order.price, leverage, self.config.taker_fee)
        return order, initial, order.qty * order.price * tier.mm_rate + fee

    def _check_request(self, account: Account, request: NewOrder, now_ms: int) -> None:
        self._check_link_id(account, request.order_link_id, now_ms)
        if request.attached is not None:
            self._check_attached(request, request.attached)
            self._check_count(account, request, request.attached)

    def _check_capacity(self, account: Account, symbol: str) -> None:
        """Refuse one more active order than a symbol may have; those that wait for a trigger are not active."""
        orders = account.open_by_symbol.get(symbol)
        if orders is None or len(orders) < MAX_ACTIVE_ORDERS:
            return
        if sum(not order.is_waiting for order in orders.values()) >= MAX_ACTIVE_ORDERS:
            raise ApiError(110020, "Not allowed to have more than 500 active orders")

    def _accept(self, account: Account, request: NewOrder, closing: bool, market: SymbolMarket, now_ms: int) -> Order:
        order = self._new_order(request, closing, market, now_ms)
        cost = self._cost(account, order)
        if cost > 0:
            if cost > self.totals(account).available:
                raise ApiError(110007, "ab not enough for new order")
            account.reserve(order, cost)
        account.add_open(order)
        self._enter(account, order, market, now_ms)
        return order

    def cancel(
        self,
        account: Account,
        order: Order,
        now_ms: int,
        *,
        cancel_type: str = "CancelByUser",
        reason: str = "EC_PerCancelRequest",
    ) -> None:
        """End an open order, and with a stop the other one of its pair."""
        self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type=cancel_type, reason=reason)
        self._end_sibling(account, order, cancel_type, now_ms)
        self._flush()

    def open_order(self, account: Account, symbol: str, order_id: str, link_id: str) -> Order:
        """The open order meant by a cancel or amend; 110001 when there is none."""
        order = account.find(order_id, link_id)
        if order is None or not order.is_open or order.symbol != symbol:
            raise ApiError(110001, "order not exists or too late to cancel")
        return order

    def trade(self, symbol: str, side: Side, ticks: int, size: Decimal, now_ms: int) -> PublicTrade | None:
        """A public trade happened (size 0: only the price moved). Fill what it fills."""
        trade = self.markets[symbol].apply(side, ticks, size, now_ms)
        fills = self.books[symbol].trade(side, ticks, size)
        if fills:
            for fill in fills:
                account, order = self._owners[fill.order_id]
                self._fill_resting(account, order, fill.qty, now_ms)
            self._flush()
        if self._waiting:
            self._trigger_due(symbol, now_ms)
        return trade

    def on_time(self, now_ms: int) -> None:
        """What time alone brings: marks, fundings that are due, liquidations. Call it several times a second."""
        for symbol, market in self.markets.items():
            market.revalue(now_ms)
            self._trigger_due(symbol, now_ms)
            while market.funding_due(now_ms):
                self.settle_funding(symbol, market.funding_rate, now_ms)
        for account in self.accounts.values():
            if any(leg.size for leg in account.legs.values()):
                liquidate_if_due(self, account, now_ms)

    def cancel_all(self, account: Account, cancel_type: str, now_ms: int) -> None:
        """End all orders of an account for a reason of the exchange's own."""
        for order in list(account.open.values()):
            self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type=cancel_type)
        self._flush()

    def take_over(self, account: Account, leg: Leg, qty: Decimal, now_ms: int) -> None:
        """Close part of a leg at the mark price, whether the account wants it or not."""
        market = self.markets[leg.symbol]
        request = NewOrder(
            leg.symbol, leg.direction.close_side, qty, None, leg.position_idx, "IOC", create_type="CreateByLiq"
        )
        order = self._new_order(request, True, market, now_ms)
        account.add_open(order)
        self.liquidations.append(Liquidation(leg.symbol, leg.direction.open_side, qty, market.mark, now_ms))
        self._fill(account, order, qty, market.mark, maker=False, now_ms=now_ms, exec_type="BustTrade")
        self._flush()

    def rest_again(self, account: Account, order: Order) -> None:
        """Take an order of an earlier run back into the book, at the end of its queue."""
        if order.is_waiting:
            account.add_open(order)
            self._wait(account, order)
            return
        market = self.markets[order.symbol]
        reserved, order.reserved = order.reserved, ZERO
        account.reserve(order, reserved)
        account.add_open(order)
        ticks = market.instrument.ticks(order.price)
        self._owners[order.order_id] = (account, order)
        volume = market.shown_volume(order.side, ticks)
        self.books[order.symbol].add(order.order_id, order.side, ticks, order.unfilled, volume)

    def insure(self, account: Account, now_ms: int) -> None:
        """Make good what a liquidation lost beyond the wallet."""
        loss = -account.wallet
        account.pay(insurance=loss)
        self._number += 1
        account.transfers.append(Transfer(self._number, now_ms, "LIQUIDATION", loss, account.wallet))
        self._dirt(account)
        self._flush()
