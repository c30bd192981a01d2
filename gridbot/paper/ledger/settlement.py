"""Fills, ends of orders, and the money that moves with them. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.account import Account, ClosedPnl, Leg, rounded
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.valuation import legs_of
from gridbot.paper.engine.pair_margin import order_cost
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.settings import CancelFirst

__all__ = ["Settlement"]

ZERO = Decimal(0)


class Settlement(ExchangeState):
    """Books what happened to orders."""

    def _fill_resting(self, account: Account, order: Order, qty: Decimal, now_ms: int) -> None:
        """Book a fill of a resting order; one that closes never closes more than there is (one-way mode)."""
        if order.closing:
            leg = self.leg(account, order.symbol, order.request.position_idx)
            room = leg.size if order.side is leg.direction.close_side else ZERO
            if room < qty:
                if room > 0:
                    self._fill(account, order, room, order.price, maker=True, now_ms=now_ms)
                if order.is_open:
                    self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByReduceOnly")
                return
        self._fill(account, order, qty, order.price, maker=True, now_ms=now_ms)

    def _fill(
        self,
        account: Account,
        order: Order,
        qty: Decimal,
        price: Decimal,
        *,
        maker: bool,
        now_ms: int,
        exec_type: str = "Trade",
    ) -> None:
        market = self.markets[order.symbol]
        rate = self.config.maker_fee if maker else self.config.taker_fee
        value = qty * price
        fee = rounded(value * rate)
        leg = self.leg(account, order.symbol, order.request.position_idx)
        seq = market.next_seq()
        change = leg.apply(order.side, qty, price, fee, now_ms, seq)
        account.pay(realised=change.realised, fee=fee)
        order.cum_qty += qty
        order.cum_value += value
        order.cum_fee += fee
        order.closed_pnl += change.realised
        order.updated_ms = now_ms
        done = order.unfilled <= 0
        order.status = OrderStatus.FILLED if done else OrderStatus.PARTIALLY_FILLED
        self._number += 1
        execution = Execution(
            number=self._number,
            exec_id=self._id(self._number),
            symbol=order.symbol,
            side=order.side,
            price=price,
            qty=qty,
            fee=fee,
            fee_rate=rate,
            exec_type=exec_type,
            is_maker=maker,
            time_ms=now_ms,
            seq=seq,
            mark_price=market.mark,
            closed_size=change.closed,
            realised=change.realised,
            leaves_qty=order.unfilled,
            order_id=order.order_id,
            order_link_id=order.link_id,
            order_price=order.price,
            order_qty=order.qty,
            order_type="Market" if order.is_market else "Limit",
            create_type=order.request.create_type,
            position_size=leg.signed_size,
            wallet=account.wallet,
        )
        account.executions.append(execution)
        if change.closed:
            self._book_closed_pnl(account, order, change.released_cost, change.released_fee, execution)
        if done:
            self._owners.pop(order.order_id, None)
            account.finish(order)
        else:
            account.reserve(order, self._cost(account, order))
        self._record(account, execution, order)
        for each in self.legs(account, order.symbol):
            self._touch(account, each)
        if change.closed:
            self._uncover(account, leg, leg.size, now_ms)
        self._filled(account, order, leg, execution)

    def _filled(self, account: Account, order: Order, leg: Leg, execution: Execution) -> None:
        """What else a fill brings, once it is booked; for those who build on this."""

    def settle_funding(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Longs pay `size * mark * rate`, shorts receive it; each leg gets an execution of type Funding."""
        market = self.markets[symbol]
        for account in self.accounts.values():
            for leg in legs_of(account, symbol):
                if leg is None:
                    continue
                sign = 1 if leg.direction is Direction.LONG else -1
                payment = rounded(leg.size * market.mark * rate * sign)
                seq = market.next_seq()
                account.pay(funding=-payment)
                leg.pay_funding(payment, now_ms, seq)
                self._number += 1
                execution = Execution(
                    number=self._number,
                    exec_id=self._id(self._number),
                    symbol=symbol,
                    side=leg.direction.open_side,
                    price=market.mark,
                    qty=leg.size,
                    fee=payment,
                    fee_rate=rate,
                    exec_type="Funding",
                    is_maker=False,
                    time_ms=now_ms,
                    seq=seq,
                    mark_price=market.mark,
                    order_id=self._id(self._number),
                    position_size=leg.signed_size,
                    wallet=account.wallet,
                )
                account.executions.append(execution)
                self._record(account, execution, None)
                self._touch(account, leg)
        self._flush()

    def _book_closed_pnl(
        self, account: Account, order: Order, cost: Decimal, open_fee: Decimal, execution: Execution
    ) -> None:
        row = account.closed_pnl.get(order.order_id)
        if row is None:
            leverage, now_ms = self.leverage(account, order.symbol), execution.time_ms
            row = ClosedPnl(execution.number, order, leverage, now_ms, now_ms, execution.exec_type)
            account.closed_pnl[order.order_id] = row
            if len(account.closed_pnl) > 20_000:
                account.closed_pnl.popitem(last=False)
        row.updated_ms = execution.time_ms
        row.closed_size += execution.closed_size
        row.entry_value += cost
        row.exit_value += execution.closed_size * execution.price
        row.open_fee += open_fee
        row.close_fee += rounded(execution.fee * execution.closed_size / execution.qty)
        row.realised += execution.realised
        row.fill_count += 1

    def _uncover(self, account: Account, leg: Leg, room: Decimal, now_ms: int) -> None:
        """Cancel resting closing orders of a leg, in the configured order, until they close no more than `room`."""
        closing = [
            order
            for order in account.resting_on(leg.symbol)
            if order.closing
            and order.request.position_idx == leg.position_idx
            and order.order_id in self.books[leg.symbol]
        ]
        wanted = sum((order.unfilled for order in closing if order.side is leg.direction.close_side), ZERO)
        last = self.markets[leg.symbol].last
        for order in _in_turn(closing, self.config.reduce_only_cancels, last):
            wrong_side = order.side is not leg.direction.close_side
            if wanted <= room and not wrong_side:
                break
            if not wrong_side:
                wanted -= order.unfilled
            self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByReduceOnly")

    def _end(
        self,
        account: Account,
        order: Order,
        status: OrderStatus,
        now_ms: int,
        *,
        cancel_type: str = "UNKNOWN",
        reason: str = "EC_NoError",
    ) -> None:
        self.books[order.symbol].remove(order.order_id)
        self._owners.pop(order.order_id, None)
        order.status = status
        order.cancel_type = cancel_type
        order.reject_reason = reason
        order.updated_ms = now_ms
        account.finish(order)
        self._order_changed(account, order)

    def _cost(self, account: Account, order: Order) -> Decimal:
        """Margin that the unfilled rest locks; nothing for what closes or waits."""
        if order.closing or order.is_waiting:
            return ZERO
        opening = order.unfilled
        if order.request.position_idx == 0:
            leg = self.leg(account, order.symbol, 0)
            if order.side is leg.direction.close_side:
                opening = max(ZERO, opening - leg.size)
        leverage = self.leverage(account, order.symbol)
        return rounded(order_cost(order.direction, opening, order.price, leverage, self.config.taker_fee))


def _in_turn(orders: list[Order], first: CancelFirst, last: Decimal) -> list[Order]:
    """Closing orders, the one to be cancelled first before the others."""
    if first in (CancelFirst.NEWEST, CancelFirst.OLDEST):
        return sorted(orders, key=lambda order: order.number, reverse=first is CancelFirst.NEWEST)
    return sorted(orders, key=lambda order: abs(order.price - last), reverse=first is CancelFirst.FARTHEST)
