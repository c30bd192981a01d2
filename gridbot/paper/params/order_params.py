"""Create-order parameters to a `NewOrder` (docs/bybit.md 3.2). Pure; refuses with `ApiError` 10001 and the like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.exchange_order import NewOrder, Slippage, Trigger
from gridbot.paper.accounts.stop_kinds import TpslMode
from gridbot.paper.api_error import ApiError
from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params.stop_params import attached_stops
from gridbot.paper.params.validate import (
    boolean,
    checked_price,
    checked_qty,
    choice,
    decimal_field,
    integer,
    order_price,
    order_qty,
    text,
    trigger_by,
)

__all__ = ["limit_order", "new_order", "with_bbo_price"]

LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}\Z")
TIME_IN_FORCE = frozenset({"GTC", "IOC", "FOK", "PostOnly", "RPI"})
SIDES = {side.value: side for side in Side}
ORDER_TYPES = frozenset({"Limit", "Market"})
SMP_TYPES = frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"})
SPECIAL = frozenset(
    {
        *("closeOnTrigger", "triggerPrice", "takeProfit", "stopLoss", "slippageToleranceType", "smpType"),
        *("bboSideType", "rpiTakerAccess"),
    }
)
"""Parameters of orders that are more than a price and a quantity."""
BBO_SIDES = frozenset({"Queue", "Counterparty"})
SLIPPAGE = {
    "TickSize": (Decimal(1), Decimal(10_000), Decimal(1)),
    "Percent": (Decimal("0.01"), Decimal(10), Decimal("0.01")),
}


def _checked_link_id(link_id: str) -> str:
    if link_id and not LINK_ID.match(link_id):
        raise ApiError(10001, "params error: orderLinkId invalid, at most 36 letters, digits, - and _")
    return link_id


def _only_closes(side: Side, position_idx: int, *, reduce_only: bool) -> bool:
    return reduce_only or (position_idx == 1 and side is Side.SELL) or (position_idx == 2 and side is Side.BUY)


def _check_value(price: Decimal, qty: Decimal, listing: Listing) -> None:
    minimum = listing.instrument.min_notional
    if price * qty < minimum:
        raise ApiError(110094, f"Order does not meet minimum order value {minimum}USDT")


def _trigger(params: Mapping[str, Any], listing: Listing) -> Trigger | None:
    if text(params, "triggerPrice") in ("", "0"):
        return None
    price = order_price(params, listing, "triggerPrice")
    assert price is not None
    direction = integer(params, "triggerDirection", 0)
    if direction not in (1, 2):
        raise ApiError(10001, "params error: triggerDirection invalid, expected 1 (rises) or 2 (falls)")
    return Trigger(price, direction, trigger_by(params, "triggerBy"))


def new_order(params: Mapping[str, Any], listing: Listing, stops: TpslMode = TpslMode.FULL) -> NewOrder:
    """A create request; what needs the account or the market is checked by the exchange.

    `stops` is the mode of stops that it brings along without one.
    """
    side = SIDES[choice(params, "side", SIDES)]
    order_type = choice(params, "orderType", ORDER_TYPES)
    time_in_force = choice(params, "timeInForce", TIME_IN_FORCE, "IOC" if order_type == "Market" else "GTC")
    market = order_type == "Market"
    if market and time_in_force in ("PostOnly", "RPI"):
        raise ApiError(10001, f"params error: timeInForce invalid, a market order cannot be {time_in_force}")
    reduce_only = boolean(params, "reduceOnly")
    close_on_trigger = "closeOnTrigger" in params and boolean(params, "closeOnTrigger")
    trigger = _trigger(params, listing) if "triggerPrice" in params else None
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
    closing = _only_closes(side, position_idx, reduce_only=reduce_only)
    attached = attached_stops(params, listing, closing=closing, usual=stops)
    slippage = None
    if "slippageToleranceType" in params:
        slippage = _slippage(params, plain_market=market and trigger is None and attached is None)
    if price is not None and not closing:
        _check_value(price, qty, listing)
    link_id = _checked_link_id(text(params, "orderLinkId"))
    order = NewOrder(listing.symbol, side, qty, price, position_idx, time_in_force, link_id, reduce_only)
    if SPECIAL.isdisjoint(params):
        return order
    return replace(
        order,
        close_on_trigger=close_on_trigger,
        smp_type=choice(params, "smpType", SMP_TYPES, "None") if "smpType" in params else "None",
        close_all=close_all,
        create_type=_create_type(params, trigger),
        trigger=trigger,
        attached=attached,
        slippage=slippage,
        rpi_taker_access="rpiTakerAccess" in params and boolean(params, "rpiTakerAccess"),
    )


def limit_order(
    listing: Listing,
    side: Side,
    qty: Decimal,
    price: Decimal,
    *,
    position_idx: int,
    time_in_force: str,
    link_id: str,
    reduce_only: bool,
) -> NewOrder:
    """What `new_order` makes of the parameters of a limit order in hedge mode that is a price and a quantity, refused
    alike (`tests/backtest/test_direct_orders.py`): for whoever has its values, and not their text."""
    qty = checked_qty(qty, listing, market=False, unlimited=reduce_only)
    price = checked_price(price, listing)
    if not _only_closes(side, position_idx, reduce_only=reduce_only):
        _check_value(price, qty, listing)
    _checked_link_id(link_id)
    return NewOrder(listing.symbol, side, qty, price, position_idx, time_in_force, link_id, reduce_only)


def _create_type(params: Mapping[str, Any], trigger: Trigger | None) -> str:
    if trigger is not None:
        return "CreateByStopOrder"
    return "CreateByBboOrder" if "bboSideType" in params and text(params, "bboSideType") else "CreateByUser"


def with_bbo_price(params: Mapping[str, Any], market: SymbolMarket) -> Mapping[str, Any]:
    """A create request by place in the book (`bboSideType`, `bboLevel`), with the price that it has now.

    `Queue` is the order's own side of the book, `Counterparty` the other one; level 1 is the best price.
    """
    if "bboSideType" not in params or not text(params, "bboSideType"):
        return params
    own_side = choice(params, "bboSideType", BBO_SIDES) == "Queue"
    level = integer(params, "bboLevel", 0)
    if not 1 <= level <= 5:
        raise ApiError(10001, "params error: bboLevel invalid, expected 1 to 5")
    if choice(params, "orderType", ORDER_TYPES) == "Market" or text(params, "triggerPrice") not in ("", "0"):
        raise ApiError(10001, "params error: bboSideType is for limit orders without triggerPrice")
    bids, asks = market.depth.levels(level)
    levels = bids if own_side is (choice(params, "side", SIDES) == "Buy") else asks
    return {**params, "price": format(market.instrument.price(levels[-1]), "f")}


def _slippage(params: Mapping[str, Any], *, plain_market: bool) -> Slippage | None:
    kind = text(params, "slippageToleranceType")
    if kind in ("", "UNKNOWN"):
        return None
    if kind not in SLIPPAGE:
        raise ApiError(10001, "params error: slippageToleranceType invalid, expected TickSize or Percent")
    if not plain_market:
        raise ApiError(10001, "params error: slippageTolerance is for market orders without triggerPrice, TP and SL")
    lowest, highest, step = SLIPPAGE[kind]
    value = decimal_field(params, "slippageTolerance")
    if value is None or not lowest <= value <= highest or value % step:
        code = 110108 if kind == "TickSize" else 110109
        raise ApiError(code, f"slippageTolerance of type {kind} should be {lowest} to {highest} in steps of {step}")
    return Slippage(kind, value)
