"""Fills, fundings, ends of orders, and the money that moves with them. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import SETTLE_COIN, Direction
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution, Order
from gridbot.paper.accounts.leg import Leg, LegChange, rounded
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.resting_orders import RestingOrders
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.settings import CancelFirst

__all__ = ["Deal", "Settlement"]

ZERO = Decimal(0)


@quick_value(frozen=True, slots=True)
class Deal:
    """Terms of one fill: base coin, USDT, the exchange's time, who made the price."""

    qty: Decimal
    price: Decimal
    now_ms: int
    is_maker: bool
    exec_type: str = "Trade"


class Settlement:
    """Books what happens to orders and positions. Apart from deposits and the insurance, money moves here only."""

    def __init__(self, state: ExchangeState, resting: RestingOrders, waiting: WaitingOrders, outbox: Outbox) -> None:
        self._state = state
        self._resting = resting
        self._waiting = waiting
        self._outbox = outbox

    def fill(self, account: Account, order: Order, deal: Deal) -> Execution:
        """Book a fill of an open order, and end the closing orders that the position no longer covers."""
        state, now_ms = self._state, deal.now_ms
        value = deal.qty * deal.price
        rate = state.config.maker_fee if deal.is_maker else state.config.taker_fee
        fee, coin, tax = account.charges.of(rounded(value * rate))
        cost = (fee if coin == SETTLE_COIN else ZERO) + tax
        leg = account.leg(order.symbol, order.request.position_idx)
        change = leg.apply(order.side, deal.qty, deal.price, cost, now_ms, state.markets[order.symbol].next_seq())
        account.pay(realised=change.realised, fee=cost)
        net = change.realised - change.released_fee - rounded(cost * change.closed / deal.qty)
        order.add_fill(deal.qty, value, fee, net if change.closed else ZERO, now_ms)
        order.fee_coin = coin
        execution = self._execution(account, order, leg, change, deal, (fee, coin, tax))
        account.add_execution(execution)
        if change.closed:
            leverage = state.valuation.leverage(account, order.symbol, leg.direction)
            account.book_closed_pnl(order, change, execution, leverage)
        if order.is_open:
            account.reserve(order, state.valuation.order_margin(account, order))
        else:
            self._resting.remove(order)
            account.finish(order)
        self._outbox.executed(account, execution, order)
        self._outbox.leg_changed(account, leg)
        if change.closed:
            self.uncover(account, leg, leg.size, now_ms)
        return execution

    def _execution(
        self,
        account: Account,
        order: Order,
        leg: Leg,
        change: LegChange,
        deal: Deal,
        charged: tuple[Decimal, str, Decimal],
    ) -> Execution:
        config, market, number = self._state.config, self._state.markets[order.symbol], self._state.ids.take()
        fee, coin, tax = charged
        return Execution(
            number=number,
            exec_id=self._state.ids.text(number),
            symbol=order.symbol,
            side=order.side,
            price=deal.price,
            qty=deal.qty,
            fee=fee,
            fee_rate=config.maker_fee if deal.is_maker else config.taker_fee,
            exec_type=deal.exec_type,
            is_maker=deal.is_maker,
            time_ms=deal.now_ms,
            seq=leg.seq,
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
            fee_coin=coin,
            tax=tax,
        )

    def settle_funding(self, symbol: str, rate: Decimal, now_ms: int) -> None:
        """Longs pay `size * mark * rate`, shorts receive it; each leg gets an execution of type Funding."""
        for account in self._state.accounts.values():
            for leg in account.held(symbol):
                if leg is not None:
                    self._fund(account, leg, rate, now_ms)
        self._outbox.flush()

    def _fund(self, account: Account, leg: Leg, rate: Decimal, now_ms: int) -> None:
        market, number = self._state.markets[leg.symbol], self._state.ids.take()
        sign = 1 if leg.direction is Direction.LONG else -1
        payment = rounded(leg.size * market.mark * rate * sign)
        account.pay(funding=-payment)
        leg.pay_funding(payment, now_ms, market.next_seq())
        if account.isolated and payment > 0:  # what the available balance lacks comes out of the leg's margin
            lacking = -self._state.valuation.available(account)
            leg.extra -= max(ZERO, min(payment, lacking))
        execution = Execution(
            number=number,
            exec_id=self._state.ids.text(number),
            symbol=leg.symbol,
            side=leg.direction.open_side,
            price=market.mark,
            qty=leg.size,
            fee=payment,
            fee_rate=rate * sign,
            exec_type="Funding",
            is_maker=False,
            time_ms=now_ms,
            seq=leg.seq,
            mark_price=market.mark_before,  # the row's is not the one that it was settled at
            order_id=self._state.ids.text(number),
            position_size=leg.signed_size,
            wallet=account.wallet,
        )
        account.add_execution(execution)
        self._outbox.executed(account, execution, None)
        self._outbox.leg_changed(account, leg)

    def uncover(self, account: Account, leg: Leg, room: Decimal, now_ms: int) -> None:
        """Cancel resting closing orders of a leg, in the configured order, until they close no more than `room`."""
        close_side, wanted, is_odd = leg.direction.close_side, ZERO, False
        closing: list[Order] = []
        resting = self._resting.ids(leg.symbol)
        for order in account.closing.get((leg.symbol, leg.position_idx), {}).values():
            if order.order_id in resting:
                closing.append(order)
                if order.side is close_side:
                    wanted += order.qty - order.cum_qty if order.cum_qty else order.qty
                else:
                    is_odd = True
        if wanted <= room and not is_odd:
            return  # the usual case: the others are not put in turn for nothing
        last = self._state.markets[leg.symbol].last
        for order in _in_turn(closing, self._state.config.reduce_only_cancels, last):
            wrong_side = order.side is not close_side
            if wanted <= room and not wrong_side:
                break
            if not wrong_side:
                wanted -= order.unfilled
            self.end(account, order, now_ms, cancel_type="CancelByReduceOnly")

    def end(
        self,
        account: Account,
        order: Order,
        now_ms: int,
        *,
        status: OrderStatus = OrderStatus.CANCELLED,
        cancel_type: str = "UNKNOWN",
        reason: str = "EC_NoError",
    ) -> None:
        """Close an order that has something left; one that still waits for its trigger ends as Deactivated."""
        if order.status is OrderStatus.UNTRIGGERED:
            self._waiting.remove(account, order)
            status = OrderStatus.DEACTIVATED
        self._resting.remove(order)
        order.status = status
        order.cancel_type = cancel_type
        order.reject_reason = reason
        order.updated_ms = now_ms
        account.finish(order)
        self._outbox.order_changed(account, order)


def _in_turn(orders: list[Order], first: CancelFirst, last: Decimal) -> list[Order]:
    """Closing orders, the one to be cancelled first before the others."""
    if first in (CancelFirst.NEWEST, CancelFirst.OLDEST):
        return sorted(orders, key=lambda order: order.number, reverse=first is CancelFirst.NEWEST)
    return sorted(orders, key=lambda order: abs(order.price - last), reverse=first is CancelFirst.FARTHEST)
