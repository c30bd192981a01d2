"""Orders of the account to the exchange beside it: values go there, and values come back.

What is asked and answered is what the parameters of a request and the rows of its answer would say
(`tests/backtest/test_direct_orders.py`). What takes, and cancels, which are few, go by `DirectCalls` as a worker's do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from gridbot.backtest.direct_calls import DirectCalls
from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.order_gateway import BATCH_MAX, BybitOrderGateway
from gridbot.bybit.order_ways import OrderCalls
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.requests import OrderAck, OrderRequest
from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import OVER_QUOTA, ApiError
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.order_params import limit_order

__all__ = ["DirectOrders"]


class DirectOrders(BybitOrderGateway):
    """`calls` is the way for all that does not go by values."""

    def __init__(self, calls: OrderCalls, direct: DirectCalls, exchange: Exchange, account: Account) -> None:
        super().__init__(calls)
        self._direct, self._exchange, self._account = direct, exchange, account

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]:
        """Create one order."""
        if not self._is_plain(order):
            return super().place_order(order)
        return self._direct.ask("order/create", 1, lambda now_ms, _: self._place(order, now_ms), (order.symbol,))

    def place_orders(self, orders: Sequence[OrderRequest]) -> Awaitable[list[OrderAck | ExchangeError]]:
        """Create up to `BATCH_MAX` orders; one result per order, in their order. ValueError at once for more."""
        count = len(orders)
        if not 0 < count <= BATCH_MAX or not all(map(self._is_plain, orders)):
            return super().place_orders(orders)

        def place(now_ms: int, allowed: int) -> list[OrderAck | ExchangeError]:
            return [
                self._place(order, now_ms) if number < allowed else from_ret_code(*OVER_QUOTA)
                for number, order in enumerate(orders)
            ]

        return self._direct.ask("order/create-batch", count, place, {order.symbol for order in orders})

    def _is_plain(self, order: OrderRequest) -> bool:
        return order.taking is None and order.symbol in self._exchange.markets

    def _place(self, order: OrderRequest, now_ms: int) -> OrderAck | ExchangeError:
        exchange = self._exchange
        try:
            request = limit_order(
                exchange.markets[order.symbol].listing,
                order.side,
                order.qty,
                order.price,
                position_idx=order.direction.position_idx,
                time_in_force="PostOnly" if order.post_only else "GTC",
                link_id=order.order_link_id,
                reduce_only=order.reduce_only,
            )
            placed = exchange.place(self._account, request, now_ms)
        except ApiError as error:
            return from_ret_code(error.code, error.message)
        return OrderAck(placed.order_id, order.order_link_id or placed.link_id)
