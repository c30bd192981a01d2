"""The hypothetical exchange of a shadow strategy: its orders rest here and the real market fills them. Pure.

It answers with the same events as the real exchange, so that a strategy decides as if it were live::

    an order that would take           is cancelled: every order is PostOnly
    the market trades through it, or   it is filled, whole, at its own price, for the maker's fee; a close never exceeds
    the other side of the book         its leg, and is cancelled when that is flat
    reaches it
    a funding time passes              both legs pay or receive it, at the rate announced before
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.core import (
    Direction,
    ExecType,
    ExecutionEvent,
    Instrument,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    Side,
    TickerEvent,
)
from gridbot.orders.order import TrackedOrder
from gridbot.orders.shadow_account import ShadowAccount, ShadowTerms

__all__ = ["ShadowVenue"]

ZERO = Decimal(0)
WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"


class ShadowVenue:
    """One symbol in hedge mode, on the account's `ShadowAccount`. Quantities in base coin, prices and fees in USDT,
    times in ms UTC."""

    def __init__(
        self, instrument: Instrument, account: ShadowAccount, *, run_id: str, terms: ShadowTerms | None = None
    ) -> None:
        self._symbol = instrument.symbol
        self._account = account
        self._terms = terms or ShadowTerms()
        self._pair = account.open(instrument, self._terms)
        self._ids = f"shadow-{run_id}-{instrument.symbol}"  # unique in the account: the ledger counts an id once
        self._ticker: TickerEvent | None = None
        self._count = 0
        self._seq = 0
        """Sequence number of the newest execution: begins with its time (ms), so that it grows over restarts, too."""

    def restore(self, direction: Direction, size: Decimal, entry: Decimal | None) -> None:
        """Start from a leg that an earlier run had."""
        self._pair.set_leg(direction, size, entry)

    # ------------------------------------------------------------------ what the strategy wants

    def place(self, order: TrackedOrder, now_ms: int) -> OrderUpdateEvent:
        """Rest an order, or cancel one that would take."""
        self._count += 1
        order.order_id = f"{self._ids}-{self._count}"
        if self._ticker is not None and _would_take(order, self._ticker):
            return _update(order, OrderStatus.CANCELLED, now_ms, reject_reason=WOULD_TAKE)
        self._pair.resting[order.key] = order
        return _update(order, OrderStatus.NEW, now_ms)

    def cancel(self, order: TrackedOrder, now_ms: int) -> OrderUpdateEvent:
        """Withdraw an order. One that does not rest any more was filled, which its owner has yet to hear."""
        if self._pair.resting.pop(order.key, None) is None:
            return _update(order, OrderStatus.FILLED, now_ms, cum_exec_qty=order.qty)
        return _update(order, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByUser")

    # ------------------------------------------------------------------ what happens

    def on_ticker(self, ticker: TickerEvent) -> Sequence[ExecutionEvent | OrderUpdateEvent]:
        """Settle a funding that is due, then fill what the market has reached, nearest to the old price first."""
        before, self._ticker = self._ticker, ticker
        self._pair.mark = ticker.mark_price or ticker.last_price
        fundings = self._fundings(before, ticker)
        reached = [order for order in self._pair.resting.values() if _reached(order, ticker)]
        if not reached:
            return fundings
        reached.sort(key=lambda order: -order.ticks if order.side is Side.BUY else order.ticks)
        return [*fundings, *(self._fill(order, ticker.exchange_ts) for order in reached)]

    def nearest(self) -> tuple[int | None, int | None]:
        """Highest Buy and lowest Sell that rest, in whole ticks: a price between them fills nothing. None for none."""
        buys = [order.ticks for order in self._pair.resting.values() if order.side is Side.BUY]
        sells = [order.ticks for order in self._pair.resting.values() if order.side is Side.SELL]
        return max(buys, default=None), min(sells, default=None)

    def positions(self, now_ms: int) -> list[PositionEvent]:
        """Both legs, flat ones included."""
        return self._pair.positions(self._account.margin_balance(), now_ms)

    # ------------------------------------------------------------------ inside

    def _fundings(self, before: TickerEvent | None, ticker: TickerEvent) -> list[ExecutionEvent]:
        """The exchange has gone on to the next funding time: the one before was settled, at the rate it had."""
        if before is None or before.funding_rate is None or not before.next_funding_ts or not ticker.next_funding_ts:
            return []
        if ticker.next_funding_ts <= before.next_funding_ts or ticker.exchange_ts < before.next_funding_ts:
            return []
        mark, rate = before.mark_price or before.last_price, before.funding_rate
        return [
            self._execution(
                side=direction.open_side,
                price=mark,
                qty=leg.size,
                fee=leg.size * mark * (rate if direction is Direction.LONG else -rate),
                exec_type=ExecType.FUNDING,
                exchange_ts=before.next_funding_ts,
            )
            for direction, leg in self._pair.legs.items()
            if leg.size
        ]

    def _fill(self, order: TrackedOrder, now_ms: int) -> ExecutionEvent | OrderUpdateEvent:
        del self._pair.resting[order.key]
        size = self._pair.legs[order.direction].size
        qty = min(order.qty, size) if order.reduce_only else order.qty
        if qty <= 0:
            return _update(order, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByReduceOnly")
        self._account.earn(self._pair.fill(order.direction, qty, order.price, closes=order.reduce_only), now_ms)
        return self._execution(
            side=order.side,
            price=order.price,
            qty=qty,
            fee=qty * order.price * self._terms.maker_fee,
            closed_size=qty if order.reduce_only else ZERO,
            exchange_ts=now_ms,
            order=order,
        )

    def _execution(
        self,
        *,
        side: Side,
        price: Decimal,
        qty: Decimal,
        fee: Decimal,
        exchange_ts: int,
        closed_size: Decimal = ZERO,
        exec_type: ExecType = ExecType.TRADE,
        order: TrackedOrder | None = None,
    ) -> ExecutionEvent:
        self._count += 1
        self._seq = max(self._seq + 1, exchange_ts)
        self._account.earn(-fee, exchange_ts)
        return ExecutionEvent(
            symbol=self._symbol,
            exec_id=f"{self._ids}-{self._count}",
            order_id=order.order_id if order else "",
            order_link_id=order.link_id if order else "",
            side=side,
            price=price,
            qty=qty,
            leaves_qty=ZERO,
            fee=fee,
            closed_size=closed_size,
            exec_type=exec_type,
            exchange_ts=exchange_ts,
            seq=self._seq,
        )


def _reached(order: TrackedOrder, ticker: TickerEvent) -> bool:
    if order.side is Side.BUY:
        return ticker.last_price < order.price or (ticker.ask1_price is not None and ticker.ask1_price <= order.price)
    return ticker.last_price > order.price or (ticker.bid1_price is not None and ticker.bid1_price >= order.price)


def _would_take(order: TrackedOrder, ticker: TickerEvent) -> bool:
    if order.side is Side.BUY:
        return ticker.ask1_price is not None and order.price >= ticker.ask1_price
    return ticker.bid1_price is not None and order.price <= ticker.bid1_price


def _update(
    order: TrackedOrder,
    status: OrderStatus,
    now_ms: int,
    *,
    cum_exec_qty: Decimal = ZERO,
    cancel_type: str = "",
    reject_reason: str = "",
) -> OrderUpdateEvent:
    return OrderUpdateEvent(
        symbol=order.symbol,
        order_id=order.order_id,
        order_link_id=order.link_id,
        side=order.side,
        direction=order.direction,
        price=order.price,
        qty=order.qty,
        status=status,
        cum_exec_qty=cum_exec_qty,
        reduce_only=order.reduce_only,
        cancel_type=cancel_type,
        reject_reason=reject_reason,
        exchange_ts=now_ms,
        created_ts=now_ms,
    )
