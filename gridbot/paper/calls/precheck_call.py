"""order/pre-check: what an order would do to the account's margin rates, without placing it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import ApiError, insufficient_balance
from gridbot.paper.calls.market_calls import require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.order_params import new_order, with_bbo_price
from gridbot.paper.params.stop_params import usual_mode

__all__ = ["pre_check"]


def pre_check(exchange: Exchange, account: Account, params: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """Rates in ten thousandths before and after, as if the order had been filled at its price."""
    market = require_market(exchange, params)
    request = new_order(with_bbo_price(params, market), market.listing, usual_mode(account, market.listing.symbol))
    if request.trigger is not None:
        raise ApiError(10001, "params error: conditional orders cannot be checked")
    if account.isolated:
        raise ApiError(10001, "params error: orders cannot be checked in isolated margin")
    before = exchange.totals(account)
    ids = {"future_order_id": "", "future_order_link_id": request.order_link_id}
    try:
        order, margin = exchange.check(account, request, now_ms)
    except ApiError as error:
        raise ApiError(error.code, error.message, extra=ids) from error
    after = {
        "postImrE4": _e4(before.initial + margin.initial, before.equity),
        "postMmrE4": _e4(before.maintenance + margin.maintenance, before.equity),
    }
    if margin.initial > max(Decimal(0), before.available):
        extra = {"post_imr_e4": after["postImrE4"], "post_mmr_e4": after["postMmrE4"]}
        raise insufficient_balance(before.available, ids | extra)
    return {
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "preImrE4": _e4(before.initial, before.equity),
        "preMmrE4": _e4(before.maintenance, before.equity),
        **after,
    }


def _e4(margin: Decimal, equity: Decimal) -> int:
    return int((margin / equity * 10_000).to_integral_value(ROUND_FLOOR)) if equity > 0 else 0
