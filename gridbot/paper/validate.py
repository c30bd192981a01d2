"""From request parameters to checked values. Pure; refuses with `ApiError` 10001 and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gridbot.core.vocabulary import Side
from gridbot.paper.errors import ApiError
from gridbot.paper.instruments import Listing
from gridbot.paper.orders import NewOrder, Trigger

__all__ = [
    "decimal_field",
    "integer",
    "limit_field",
    "new_order",
    "order_price",
    "order_qty",
    "text",
    "trigger_by",
    "window",
]

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}\Z")
TIME_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "PostOnly", "RPI"})
SIDES = frozenset({"Buy", "Sell"})
ORDER_TYPES = frozenset({"Limit", "Market"})
SMP_TYPES = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
WEEK_MS = 7 * 86_400_000
ATTACHED = ("takeProfit", "stopLoss")
TRIGGER_BY = frozenset({"LastPrice", "MarkPrice", "IndexPrice"})


def text(params: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    value = params.get(name)
    if value is None or value == "":
        if required:
            raise ApiError(10001, f"params error: {name} is required")
        return ""
    return str(value)


def integer(params: Mapping[str, Any], name: str, default: int) -> int:
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ApiError(10001, f"params error: {name} invalid") from None


def limit_field(params: Mapping[str, Any], default: int, maximum: int) -> int:
    """Page size; beyond the maximum it is refused."""
    value = integer(params, "limit", default)
    if not 1 <= value <= maximum:
        raise ApiError(10001, f"params error: limit invalid, expected 1 to {maximum}")
    return value


def boolean(params: Mapping[str, Any], name: str) -> bool:
    value = params.get(name, False)
    if isinstance(value, str):
        return value.lower() == "true"
    return bool(value)


def decimal_field(params: Mapping[str, Any], name: str) -> Decimal | None:
    """A positive or zero number given as text (a JSON number is accepted); None when absent."""
    value = params.get(name)
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ApiError(10001, f"params error: {name} invalid") from None
    if not number.is_finite() or number < 0:
        raise ApiError(10001, f"params error: {name} invalid")
    return number


def order_qty(params: Mapping[str, Any], listing: Listing, *, market: bool, unlimited: bool = False) -> Decimal | None:
    """Quantity on the step and within the limits, with the step's decimals; None when absent."""
    qty = decimal_field(params, "qty")
    if qty is None:
        return None
    instrument = listing.instrument
    if qty < instrument.min_order_qty or qty % instrument.qty_step:
        raise ApiError(10001, "params error: qty err")
    if not unlimited and qty > listing.max_qty(market=market):
        raise ApiError(10001, "The number of contracts exceeds maximum limit allowed: too large")
    return qty.quantize(instrument.qty_step)


def order_price(params: Mapping[str, Any], listing: Listing, name: str = "price") -> Decimal | None:
    """Price on the tick and within the instrument's range, with the tick's decimals; None when absent."""
    price = decimal_field(params, name)
    if price is None:
        return None
    instrument = listing.instrument
    if price % instrument.tick_size or not instrument.min_price <= price <= instrument.max_price:
        raise ApiError(10001, f"params error: {name} invalid")
    return price.quantize(instrument.tick_size)


def _link_id(params: Mapping[str, Any]) -> str:
    link_id = text(params, "orderLinkId")
    if link_id and not LINK_ID.match(link_id):
        raise ApiError(10001, "params error: orderLinkId invalid, at most 36 letters, digits, - and _")
    return link_id


def _choice(params: Mapping[str, Any], name: str, allowed: frozenset[str], default: str = "") -> str:
    value = text(params, name) or default
    if value not in allowed:
        raise ApiError(10001, f"params error: {name} invalid")
    return value


def trigger_by(params: Mapping[str, Any], name: str) -> str:
    """Which price a trigger looks at."""
    return _choice(params, name, TRIGGER_BY, "LastPrice")


def _trigger(params: Mapping[str, Any], listing: Listing) -> Trigger | None:
    if text(params, "triggerPrice") in ("", "0"):
        return None
    price = order_price(params, listing, "triggerPrice")
    assert price is not None
    direction = integer(params, "triggerDirection", 0)
    if direction not in (1, 2):
        raise ApiError(10001, "params error: triggerDirection invalid, expected 1 (rises) or 2 (falls)")
    return Trigger(price, direction, trigger_by(params, "triggerBy"))


def new_order(params: Mapping[str, Any], listing: Listing) -> NewOrder:
    """A create request; what needs the account or the market is checked by the exchange."""
    side = Side(_choice(params, "side", SIDES))
    order_type = _choice(params, "orderType", ORDER_TYPES)
    time_in_force = _choice(params, "timeInForce", TIME_IN_FORCE, "IOC" if order_type == "Market" else "GTC")
    for name in ATTACHED:
        if text(params, name) not in ("", "0"):
            raise ApiError(10001, f"params error: {name} is not supported by the paper exchange")
    market = order_type == "Market"
    if market and time_in_force == "PostOnly":
        raise ApiError(10001, "params error: timeInForce invalid, a market order cannot be PostOnly")
    reduce_only, close_on_trigger = boolean(params, "reduceOnly"), boolean(params, "closeOnTrigger")
    trigger = _trigger(params, listing)
    close_all = reduce_only and close_on_trigger and decimal_field(params, "qty") == 0
    qty = (
        listing.instrument.min_order_qty
        if close_all
        else order_qty(params, listing, market=market, unlimited=reduce_only and trigger is None)
    )
    price = None if market else order_price(params, listing)
    if qty is None or (price is None and not market):
        raise ApiError(10001, f"params error: {'qty' if qty is None else 'price'} is required")
    position_idx = integer(params, "positionIdx", 0)
    if position_idx not in (0, 1, 2):
        raise ApiError(10001, "position idx not match position mode")
    closing = reduce_only or (position_idx == 1 and side is Side.SELL) or (position_idx == 2 and side is Side.BUY)
    if price is not None and not closing and price * qty < listing.instrument.min_notional:
        minimum = listing.instrument.min_notional
        raise ApiError(110094, f"Order does not meet minimum order value {minimum}USDT")
    return NewOrder(
        symbol=listing.symbol,
        side=side,
        qty=qty,
        price=price,
        position_idx=position_idx,
        time_in_force=time_in_force,
        order_link_id=_link_id(params),
        reduce_only=reduce_only,
        close_on_trigger=close_on_trigger,
        smp_type=_choice(params, "smpType", SMP_TYPES, "None"),
        close_all=close_all,
        create_type="CreateByUser" if trigger is None else "CreateByStopOrder",
        trigger=trigger,
    )


def window(params: Mapping[str, Any], now_ms: int) -> tuple[int, int]:
    """startTime and endTime of a history query: at most seven days, one alone means seven days from or to it."""
    start, end = integer(params, "startTime", 0), integer(params, "endTime", 0)
    if not start and not end:
        return now_ms - WEEK_MS, now_ms + WEEK_MS
    if not end:
        end = start + WEEK_MS
    if not start:
        start = end - WEEK_MS
    if end < start or end - start > WEEK_MS:
        raise ApiError(10001, "params error: the time range between startTime and endTime must be within 7 days")
    return start, end
