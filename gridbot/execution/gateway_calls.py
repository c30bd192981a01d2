"""Requests about orders, and what their answers mean: one `OrderResult` per order, whatever happens.

A fault of ours (anything but an `ExchangeError`) says nothing about the order, which may have left: its result is
*unresolved*, so that it is looked up, and `on_fault` hears of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest
from gridbot.execution.send_lane import PLACE, RequestKind
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.ports import OrderGateway

__all__ = ["GatewayCalls", "OnFault"]

_Answers = list[OrderAck | ExchangeError]
_ResultOf = Callable[[OrderAck | ExchangeError], OrderResult]

A_REQUEST = "a request for orders"


class OnFault(Protocol):
    """Hears of a fault of ours: the part that failed, and the symbol whose strategy it belongs to ("" for none)."""

    def __call__(self, part: str, error: BaseException, symbol: str = "") -> None: ...


class GatewayCalls:
    """Past queue and budget: what is called here leaves at once."""

    def __init__(self, gateway: OrderGateway, on_fault: OnFault) -> None:
        self._gateway = gateway
        self._on_fault = on_fault

    def execute_place(self, order: TrackedOrder) -> Awaitable[list[OrderResult]]:
        """Create one order. The request has left when this returns."""
        try:
            answer = self._gateway.place_order(_request(order))
        except Exception as error:  # noqa: BLE001 - reported by `_failed`
            return _known([self._failed(error, result_of_place)])
        return self._result(answer, result_of_place)

    def execute_cancel(self, order: TrackedOrder) -> Awaitable[list[OrderResult]]:
        """Cancel one order. The request has left when this returns."""
        try:
            answer = self._gateway.cancel_order(order.symbol, order_id=order.order_id, order_link_id=order.link_id)
        except Exception as error:  # noqa: BLE001 - reported by `_failed`
            return _known([self._failed(error, result_of_cancel)])
        return self._result(answer, result_of_cancel)

    def execute_batch(self, kind: RequestKind, orders: Sequence[TrackedOrder]) -> Awaitable[list[OrderResult]]:
        """Create, or cancel, up to ten orders in one request; cancels must be of one symbol.

        The request has left when this returns; the results are in the order of `orders`.
        """
        if kind is PLACE:
            requests = [_request(order) for order in orders]
            return self._several(lambda: self._gateway.place_orders(requests), len(orders), result_of_place)
        [symbol] = {order.symbol for order in orders}
        refs = [CancelRef(order_id=order.order_id, order_link_id=order.link_id) for order in orders]
        return self._several(lambda: self._gateway.cancel_orders(symbol, refs), len(refs), result_of_cancel)

    def broken(self, kind: RequestKind, error: BaseException) -> OrderResult:
        """The result of a request that may have left before something broke on our side."""
        return (result_of_place if kind is PLACE else result_of_cancel)(_ambiguous(error))

    # ------------------------------------------------------------------ inside

    def _several(
        self, call: Callable[[], Awaitable[_Answers]], count: int, result_of: _ResultOf
    ) -> Awaitable[list[OrderResult]]:
        try:
            answer = call()
        except Exception as error:  # noqa: BLE001 - reported by `_failed`
            return _known([self._failed(error, result_of)] * count)
        return self._results(answer, count, result_of)

    async def _result(self, answer: Awaitable[OrderAck], result_of: _ResultOf) -> list[OrderResult]:
        try:
            return [result_of(await answer)]
        except Exception as error:  # noqa: BLE001 - reported by `_failed`
            return [self._failed(error, result_of)]

    async def _results(self, answer: Awaitable[_Answers], count: int, result_of: _ResultOf) -> list[OrderResult]:
        """When the whole call failed, its error for each of the `count` orders."""
        try:
            answers = await answer
            if len(answers) != count:
                raise ValueError(f"expected {count} answers to a batch, got {len(answers)}")
            return [result_of(one) for one in answers]
        except Exception as error:  # noqa: BLE001 - reported by `_failed`
            return [self._failed(error, result_of)] * count

    def _failed(self, error: Exception, result_of: _ResultOf) -> OrderResult:
        if isinstance(error, ExchangeError):
            return result_of(error)
        self._on_fault(A_REQUEST, error)
        return result_of(_ambiguous(error))


def _ambiguous(error: BaseException) -> ExchangeError:
    return make_error(f"the request broke on our side ({type(error).__name__})", ErrorKind.AMBIGUOUS)


async def _known(results: list[OrderResult]) -> list[OrderResult]:
    return results


def _request(order: TrackedOrder) -> OrderRequest:
    return OrderRequest(
        order.symbol,
        order.side,
        order.direction,
        order.qty,
        order.price,
        order.link_id,
        order.reduce_only,
        order.post_only,
    )
