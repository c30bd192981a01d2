"""From request parameters to checked values. Pure; refuses with `ApiError` 10001 and the like."""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.strict_numbers import amount_or_none, decimal_or_none, time_or_none, whole_or_none
from gridbot.paper.api_error import ApiError
from gridbot.paper.market.instruments import Listing

__all__ = [
    "boolean",
    "checked_price",
    "checked_qty",
    "choice",
    "decimal_field",
    "integer",
    "limit_field",
    "order_price",
    "order_qty",
    "signed_field",
    "text",
    "time_field",
    "trigger_by",
    "window",
]

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
LONGEST_TEXT = 1000
MONTH_MS = 30 * DAY_MS
SCALE = 10**8  # quantities in texts of refusals
TRIGGER_BY = frozenset({"LastPrice", "MarkPrice", "IndexPrice"})


def text(params: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    value = params.get(name)
    if value is None or value == "":
        if required:
            raise ApiError(10001, f"params error: {name} is required")
        return ""
    found = value if type(value) is str else "" if isinstance(value, dict | list) else str(value)
    if not 0 < len(found) <= LONGEST_TEXT or not found.isprintable():
        raise ApiError(10001, f"params error: {name} invalid")
    return found


def integer(params: Mapping[str, Any], name: str, default: int) -> int:
    value = params.get(name)
    if value is None or value == "":
        return default
    number = whole_or_none(value)
    if number is None:
        raise ApiError(10001, f"params error: {name} invalid")
    return number


def time_field(params: Mapping[str, Any], name: str, default: int = 0) -> int:
    """A time in ms UTC."""
    value = params.get(name)
    number = default if value is None or value == "" else time_or_none(value)
    if number is None:
        raise ApiError(10001, f"params error: {name} invalid")
    return number


def limit_field(params: Mapping[str, Any], default: int, maximum: int) -> int:
    """Page size; a wish beyond the maximum gets the maximum (docs/paper.md, "Where nobody knows")."""
    value = integer(params, "limit", default)
    if value < 1:
        raise ApiError(10001, f"params error: limit invalid, expected 1 to {maximum}")
    return min(value, maximum)


def boolean(params: Mapping[str, Any], name: str, *, required: bool = False) -> bool:
    """False when it is absent. Texts are taken as well, as some clients write them."""
    value = params.get(name)
    if value is None or value == "":
        if required:
            raise ApiError(10001, f"params error: {name} is required")
        return False
    wanted = "" if isinstance(value, dict | list) else str(value).lower()
    if wanted not in ("true", "false", "1", "0"):
        raise ApiError(10001, f"params error: {name} invalid, expected true or false")
    return wanted in ("true", "1")


def decimal_field(params: Mapping[str, Any], name: str) -> Decimal | None:
    """A positive or zero number given as text (a JSON number is accepted); None when absent."""
    value = params.get(name)
    if value is None or value == "":
        return None
    number = amount_or_none(value)
    if number is None:
        raise ApiError(10001, f"params error: {name} invalid")
    return number


def signed_field(params: Mapping[str, Any], name: str, places: int) -> Decimal:
    """A number that may be below zero, with at most so many decimals; required."""
    number = decimal_or_none(text(params, name, required=True))
    if number is None or number != round(number, places):
        raise ApiError(10001, f"params error: {name} invalid, expected at most {places} decimals")
    return number


def order_qty(
    params: Mapping[str, Any], listing: Listing, *, market: bool, unlimited: bool = False, name: str = "qty"
) -> Decimal | None:
    """Quantity on the step and within the limits, with the step's decimals; None when absent."""
    qty = decimal_field(params, name)
    return None if qty is None else checked_qty(qty, listing, market=market, unlimited=unlimited, name=name)


def checked_qty(qty: Decimal, listing: Listing, *, market: bool, unlimited: bool = False, name: str = "qty") -> Decimal:
    """The same of a quantity that is there."""
    instrument = listing.instrument
    if qty < instrument.min_order_qty:
        raise ApiError(10001, "The number of contracts exceeds minimum limit allowed")
    if qty % instrument.qty_step:
        raise ApiError(10001, f"params error: {name} err")
    maximum = listing.max_qty(market=market)
    if not unlimited and qty > maximum:
        sizes = f"order_qty:{qty * SCALE:.0f} > max_qty:{maximum * SCALE:.0f}"
        raise ApiError(10001, f"The number of contracts exceeds maximum limit allowed: too large, {sizes}")
    return qty.quantize(instrument.qty_step)


def order_price(params: Mapping[str, Any], listing: Listing, name: str = "price") -> Decimal | None:
    """Price on the tick and within the instrument's range, with the tick's decimals; None when absent."""
    price = decimal_field(params, name)
    return None if price is None else checked_price(price, listing, name)


def checked_price(price: Decimal, listing: Listing, name: str = "price") -> Decimal:
    """The same of a price that is there."""
    instrument = listing.instrument
    if price % instrument.tick_size or not instrument.min_price <= price <= instrument.max_price:
        raise ApiError(10001, f"params error: {name} invalid")
    return price.quantize(instrument.tick_size)


def choice(params: Mapping[str, Any], name: str, allowed: Container[str], default: str = "") -> str:
    value = params.get(name)
    value = default if value is None or value == "" else value
    if not isinstance(value, str) or value not in allowed:
        raise ApiError(10001, f"params error: {name} invalid")
    return value


def trigger_by(params: Mapping[str, Any], name: str, default: str = "LastPrice") -> str:
    """Which price a trigger looks at."""
    return choice(params, name, TRIGGER_BY, default)


def window(
    params: Mapping[str, Any], now_ms: int, default_ms: int = WEEK_MS, *, longest_ms: int = WEEK_MS
) -> tuple[int, int]:
    """startTime and endTime of a history query, at most so far apart; one alone means `default_ms` from or to it."""
    start, end = time_field(params, "startTime"), time_field(params, "endTime")
    if not start and not end:
        return now_ms - default_ms, now_ms + default_ms
    if not end:
        end = start + default_ms
    if not start:
        start = end - default_ms
    if end < start or end - start > longest_ms:
        days = longest_ms // DAY_MS
        raise ApiError(10001, f"params error: the time range between startTime and endTime must be within {days} days")
    return start, end
