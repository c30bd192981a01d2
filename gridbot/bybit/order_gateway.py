"""Creates and cancels orders (`ports.OrderGateway`), by HTTP alone (`Calls`) or by both ways (`OrderWays`).

Every method starts its request before it returns; the answer is awaited separately. Awaiting raises ExchangeError and
nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import Any

from gridbot.bybit.calls import LINEAR
from gridbot.bybit.order_ways import Begun, OrderCalls
from gridbot.bybit.raw_fields import LONGEST_ID, unseen_text, whole_or_none
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit, Taking

__all__ = ["BATCH_MAX", "BybitOrderGateway", "ids_of", "plain"]

BATCH_MAX = 10

_Answers = list[OrderAck | ExchangeError]


class BybitOrderGateway:
    """The account's orders, for linear contracts. An acknowledgement only says that a request was accepted."""

    def __init__(self, calls: OrderCalls) -> None:
        self._calls = calls

    @property
    def limits(self) -> dict[str, RateLimit]:
        """Newest rate-limit headers by endpoint, such as `order/create`."""
        return self._calls.limits

    @property
    def by_http(self) -> bool:
        """Whether the next request goes by HTTP."""
        return self._calls.by_http

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]:
        """Create one order."""
        params = _order_params(order)
        params["category"] = LINEAR
        begun = self._calls.begin("order/create", params)
        return self._acknowledged(begun, "", order.order_link_id)

    def place_orders(self, orders: Sequence[OrderRequest]) -> Awaitable[_Answers]:
        """Create up to `BATCH_MAX` orders; one result per order, in their order. ValueError at once for more."""
        return self._batch(
            "order/create-batch",
            [_order_params(order) for order in orders],
            [("", order.order_link_id) for order in orders],
        )

    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> Awaitable[OrderAck]:
        """Cancel one order; with both ids the exchange goes by `order_id`. ValueError at once without either."""
        ids = ids_of(order_id, order_link_id)
        begun = self._calls.begin("order/cancel", {"category": LINEAR, "symbol": symbol, **ids})
        return self._acknowledged(begun, order_id, order_link_id)

    def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> Awaitable[_Answers]:
        """Cancel up to `BATCH_MAX` orders of a symbol; one result per ref, in their order. ValueError as above."""
        return self._batch(
            "order/cancel-batch",
            [{"symbol": symbol, **ids_of(ref.order_id, ref.order_link_id)} for ref in refs],
            [(ref.order_id, ref.order_link_id) for ref in refs],
        )

    # ------------------------------------------------------------------ inside

    async def _acknowledged(self, begun: Begun, order_id: str, order_link_id: str) -> OrderAck:
        return _ack((await self._calls.answer(begun)).get("result"), order_id, order_link_id)

    def _batch(self, endpoint: str, items: list[dict[str, Any]], ids: list[tuple[str, str]]) -> Awaitable[_Answers]:
        if len(items) > BATCH_MAX:
            raise ValueError(f"expected at most {BATCH_MAX} orders in a batch, got {len(items)}")
        begun = self._calls.begin(endpoint, {"category": LINEAR, "request": items}) if items else None
        return self._batch_items(endpoint, begun, ids)

    async def _batch_items(self, endpoint: str, begun: Begun | None, ids: list[tuple[str, str]]) -> _Answers:
        if begun is None:
            return []
        envelope = await self._calls.answer(begun)
        result, extra = envelope.get("result"), envelope.get("retExtInfo")
        rows = result.get("list") if isinstance(result, dict) else None
        codes = extra.get("list") if isinstance(extra, dict) else None
        if not isinstance(rows, list) or not isinstance(codes, list) or not len(rows) == len(codes) == len(ids):
            raise make_error(
                f"{endpoint}: expected {len(ids)} results, got an answer without them", ErrorKind.AMBIGUOUS
            )
        return [self._batch_item(row, code, *wanted) for row, code, wanted in zip(rows, codes, ids, strict=True)]

    def _batch_item(self, row: object, code: object, order_id: str, link_id: str) -> OrderAck | ExchangeError:
        number = whole_or_none(code.get("code")) if isinstance(code, dict) else None
        if number is None or not isinstance(code, dict):
            return make_error("expected a code for each order of a batch, got none", ErrorKind.AMBIGUOUS)
        if number != 0:
            return self._calls.refusal(number, unseen_text(code, "msg"))
        try:
            return _ack(row, order_id, link_id)
        except ExchangeError as error:
            return error


def plain(number: Decimal) -> str:
    """Digits without an exponent: pybit would send what `str` gives, and Bybit refuses `1E-5`."""
    return format(number, "f")


def ids_of(order_id: str, order_link_id: str) -> dict[str, str]:
    """The parameters that name an order, without empty ones. ValueError when both are empty."""
    ids = {"orderId": order_id, "orderLinkId": order_link_id}
    given = {name: value for name, value in ids.items() if value}
    if not given:
        raise ValueError("expected an order_id or an order_link_id, got neither")
    return given


def _order_params(order: OrderRequest) -> dict[str, Any]:
    if order.taking is not None:
        return _taking_params(order, order.taking)
    qty, price = str(order.qty), str(order.price)  # a fifth of the time that `plain` takes
    if "E" in qty or "E" in price:
        qty, price = plain(order.qty), plain(order.price)
    return {
        "symbol": order.symbol,
        "side": str(order.side),
        "orderType": "Limit",
        "qty": qty,
        "price": price,
        "timeInForce": "PostOnly" if order.post_only else "GTC",
        "positionIdx": order.direction.position_idx,
        "orderLinkId": order.order_link_id,
        "reduceOnly": order.reduce_only,
    }


def _taking_params(order: OrderRequest, taking: Taking) -> dict[str, Any]:
    is_limit = taking is Taking.LIMIT
    params: dict[str, Any] = {
        "symbol": order.symbol,
        "side": str(order.side),
        "orderType": "Limit" if is_limit else "Market",
        "qty": "0" if taking is Taking.WHOLE else plain(order.qty),
        "timeInForce": "IOC",
        "positionIdx": 0 if order.one_way else order.direction.position_idx,
        "orderLinkId": order.order_link_id,
        "reduceOnly": order.reduce_only,
    }
    if is_limit:
        params["price"] = plain(order.price)
    if taking is Taking.WHOLE:
        params["closeOnTrigger"] = True
    return params


def _ack(result: object, order_id: str, order_link_id: str) -> OrderAck:
    """AMBIGUOUS when the answer names no order, or another one than ours: then nothing is known about ours."""
    row = result if isinstance(result, dict) else {}
    got_id, got_link = row.get("orderId"), row.get("orderLinkId")
    is_ours = order_id in ("", got_id) and (not got_link or order_link_id in ("", got_link))
    if isinstance(got_id, str) and 0 < len(got_id) <= LONGEST_ID and got_id.isprintable() and is_ours:
        return OrderAck(got_id, order_link_id or (got_link if isinstance(got_link, str) else ""))
    raise make_error("expected the order's id in the answer, got none or another's", ErrorKind.AMBIGUOUS)
