"""Take-profit, stop-loss and trailing parameters of orders and of `position/trading-stop`. Pure.

Refuses with `ApiError` 10001; its texts are the exchange's where they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, StopPrice, TpslMode, TradingStop, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.market.instruments import Listing
from gridbot.paper.params.validate import choice, decimal_field, order_price, order_qty, text, trigger_by

__all__ = ["MODES", "amended_stops", "attached_stops", "trading_stop", "usual_mode"]

Params = Mapping[str, Any]
MODES = frozenset(mode.value for mode in TpslMode)
ORDER_TYPES = frozenset({"Market", "Limit"})
PAIRS = (
    '"tpSize" and "takeProfit" or "slSize" and "stopLoss" need to input in pairs and must set at least one pair '
    "when tpslMode is Partial."
)


@dataclass(frozen=True, slots=True)
class _Names:
    """Parameters of a take-profit or of a stop-loss."""

    price: str
    by: str
    limit: str
    order_type: str
    size: str
    whole: StopKind
    part: StopKind


TP = _Names(
    "takeProfit",
    "tpTriggerBy",
    "tpLimitPrice",
    "tpOrderType",
    "tpSize",
    StopKind.TAKE_PROFIT,
    StopKind.PARTIAL_TAKE_PROFIT,
)
SL = _Names(
    "stopLoss", "slTriggerBy", "slLimitPrice", "slOrderType", "slSize", StopKind.STOP_LOSS, StopKind.PARTIAL_STOP_LOSS
)
AMENDABLE = ("tpslMode", *(name for each in (TP, SL) for name in (each.price, each.by, each.limit)))


def usual_mode(account: Account, symbol: str) -> TpslMode:
    """The mode of stops where a request does not say one: as `position/set-tpsl-mode` has set it."""
    return TpslMode.PARTIAL if symbol in account.partial_stops else TpslMode.FULL


def attached_stops(
    params: Params, listing: Listing, *, closing: bool, usual: TpslMode = TpslMode.FULL
) -> Attached | None:
    """Stops that a create request brings along; `closing` says that the order can only close."""
    if "takeProfit" not in params and "stopLoss" not in params:
        return None
    mode = TpslMode(choice(params, "tpslMode", MODES, usual))
    attached = Attached(mode, _stop(params, listing, TP, mode), _stop(params, listing, SL, mode))
    if attached and closing:
        raise ApiError(10001, "params error: takeProfit and stopLoss cannot be set for an order that closes a position")
    return attached or None


def amended_stops(params: Params, old: Attached | None, listing: Listing) -> Attached | None:
    """An order's stops after an amend (empty: all removed), None when the amend does not mention them."""
    if not any(text(params, name) for name in AMENDABLE):
        return None
    old = old or Attached()
    mode = TpslMode(choice(params, "tpslMode", MODES, old.mode))
    return Attached(
        mode,
        _amended(params, listing, TP, old.take_profit, mode),
        _amended(params, listing, SL, old.stop_loss, mode),
    )


def trading_stop(params: Params, listing: Listing, usual: TpslMode = TpslMode.FULL) -> TradingStop:
    """Stops that a trading-stop request sets, moves, removes or adds."""
    mode = text(params, "tpslMode")
    for names in (TP, SL):
        if not mode and text(params, names.order_type):
            raise ApiError(10001, f"{names.order_type} can not have a value when tpSlMode is empty")
    if choice(params, "tpslMode", MODES, usual) == TpslMode.PARTIAL:
        parts, qty = _parts(params, listing)
        return TradingStop(_trailing(params, listing), parts, qty)
    whole: dict[StopKind, StopPrice | Trail | None] = {
        names.whole: _stop(params, listing, names, TpslMode.FULL) for names in (TP, SL) if text(params, names.price)
    }
    whole |= _trailing(params, listing)
    if not whole:
        raise ApiError(10001, "params error: takeProfit, stopLoss or trailingStop is required")
    return TradingStop(whole, {})


def _stop(params: Params, listing: Listing, names: _Names, mode: TpslMode) -> StopPrice | None:
    """None when it is absent or 0."""
    order_type = choice(params, names.order_type, ORDER_TYPES, "Market")
    if text(params, names.price) == "" or decimal_field(params, names.price) == 0:
        return None
    price = order_price(params, listing, names.price)
    assert price is not None
    limit = order_price(params, listing, names.limit) if order_type == "Limit" else None
    if order_type == "Limit":
        if mode is TpslMode.FULL:
            raise ApiError(10001, f"{names.order_type} only support Market when tpSlMode is Full")
        if limit is None:
            raise ApiError(10001, f"params error: {names.limit} is required when {names.order_type} is Limit")
    return StopPrice(price, trigger_by(params, names.by), limit)


def _amended(
    params: Params, listing: Listing, names: _Names, old: StopPrice | None, mode: TpslMode
) -> StopPrice | None:
    price = order_price(params, listing, names.price) if decimal_field(params, names.price) else None
    if decimal_field(params, names.price) == 0 or (price is None and old is None):
        return None
    by = trigger_by(params, names.by, "LastPrice" if old is None else old.by)
    limit = None
    if old is not None and old.limit is not None:
        if mode is TpslMode.FULL:
            raise ApiError(10001, f"{names.order_type} only support Market when tpSlMode is Full")
        limit = order_price(params, listing, names.limit) or old.limit
    if price is None:
        assert old is not None
        price = old.price
    return StopPrice(price, by, limit)


def _parts(params: Params, listing: Listing) -> tuple[dict[StopKind, StopPrice], Decimal]:
    """Partial stops to add, and the quantity of each."""
    parts: dict[StopKind, StopPrice] = {}
    sizes: list[Decimal] = []
    for names in (TP, SL):
        stop = _stop(params, listing, names, TpslMode.PARTIAL)
        size = order_qty(params, listing, market=stop is None or stop.limit is None, name=names.size)
        if (stop is None) is not (size is None):
            raise ApiError(10001, PAIRS)
        if stop is not None and size is not None:
            parts[names.part] = stop
            sizes.append(size)
    if not parts and not text(params, "trailingStop"):
        raise ApiError(10001, PAIRS)
    if len(set(sizes)) > 1:
        raise ApiError(10001, "slSize and tpSize must be equal if both values are set when tpslMode is Partial")
    return parts, sizes[0] if sizes else Decimal(0)


def _trailing(params: Params, listing: Listing) -> dict[StopKind, StopPrice | Trail | None]:
    distance = decimal_field(params, "trailingStop")
    if distance is None:
        if text(params, "activePrice") not in ("", "0"):
            raise ApiError(10001, "params error: activePrice needs trailingStop")
        return {}
    if distance == 0:
        return {StopKind.TRAILING: None}
    tick_size = listing.instrument.tick_size
    if distance % tick_size:
        raise ApiError(10001, f"params error: trailingStop invalid, expected a multiple of {tick_size}")
    active = order_price(params, listing, "activePrice") if decimal_field(params, "activePrice") else None
    return {StopKind.TRAILING: Trail(distance.quantize(tick_size), active, follows=active is None)}
