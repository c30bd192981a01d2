"""Signed calls of position/ (docs/bybit.md 2.6). Each takes (exchange, account, parameters, now)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import TpslMode
from gridbot.paper.api_error import ApiError, permission_denied
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.params import stop_params
from gridbot.paper.params.paging import below, page_by_name, page_by_number
from gridbot.paper.params.validate import choice, decimal_field, integer, limit_field, signed_field, text, window
from gridbot.paper.rows.account_rows import position_row
from gridbot.paper.rows.order_rows import closed_pnl_row
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "add_margin",
    "closed_pnl",
    "confirm_pending_mmr",
    "move_history",
    "move_positions",
    "positions",
    "set_auto_add_margin",
    "set_leverage",
    "set_risk_limit",
    "set_tpsl_mode",
    "switch_isolated",
    "switch_mode",
    "symbol_info",
    "trading_stop",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
MARGIN_PLACES = 4
MARGIN_FIELDS = (
    *("symbol", "positionIdx", "riskId", "riskLimitValue", "size", "avgPrice", "liqPrice", "bustPrice", "markPrice"),
    *("positionValue", "leverage", "autoAddMargin", "positionStatus", "positionIM", "positionMM", "takeProfit"),
    *("stopLoss", "trailingStop", "unrealisedPnl", "cumRealisedPnl", "createdTime", "updatedTime"),
)
"""What `add-margin` answers of a position (docs/bybit.md 2.6)."""


def positions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """With a symbol flat rows too; with a settle coin open positions only. Other categories need neither."""
    linear = is_linear(params)
    limit = limit_field(params, 20, 200)
    legs: list[Leg] = []
    if not linear:
        pass
    elif text(params, "symbol"):
        legs = exchange.state.legs(account, require_market(exchange, params).listing.symbol)
    elif text(params, "settleCoin"):
        usdt = text(params, "settleCoin") == "USDT"
        legs = [leg for _, leg in sorted(account.legs.items()) if leg.size and usdt]
    else:
        raise ApiError(10001, "params error: symbol or settleCoin is required")
    keyed = [(f"{leg.symbol},{leg.position_idx}", leg) for leg in legs]
    chosen, cursor = page_by_name(keyed, text(params, "cursor"), limit)
    figures = exchange.totals(account)
    rows = [position_row(account, leg, exchange.state.valuation, figures) for leg in chosen]
    return {"category": text(params, "category"), "list": rows, "nextPageCursor": cursor}


def set_leverage(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    symbol = require_market(exchange, params).listing.symbol
    buy, sell = decimal_field(params, "buyLeverage"), decimal_field(params, "sellLeverage")
    if buy is None or sell is None:
        raise ApiError(10001, "params error: buyLeverage and sellLeverage are required")
    exchange.positions.set_leverage(account, symbol, buy, sell, now_ms)
    return {}


def switch_mode(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    if not linear and text(params, "category") != "inverse":
        raise ApiError(110029, "Hedge mode is not available for this symbol")
    mode = integer(params, "mode", -1)
    if mode not in (0, 3):
        raise ApiError(10001, "params error: mode invalid")
    if text(params, "symbol"):
        exchange.positions.switch_mode(account, require_market(exchange, params).listing.symbol, hedge=mode == 3)
        return {}
    coin = text(params, "coin", required=True)
    for symbol in exchange.markets if linear and coin == "USDT" else ():
        try:
            exchange.positions.switch_mode(account, symbol, hedge=mode == 3)
        except ApiError:
            continue  # by coin, Bybit skips what cannot be switched without a word
    return {}


def trading_stop(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Stops of a position: of all of it (set, moved, removed by 0) or of parts of it (added)."""
    market, leg = _leg(exchange, account, params)
    wanted = stop_params.trading_stop(params, market.listing, stop_params.usual_mode(account, leg.symbol))
    exchange.set_stops(account, leg, wanted, now_ms)
    return {}


def _leg(exchange: Exchange, account: Account, params: Params) -> tuple[SymbolMarket, Leg]:
    """The leg that `positionIdx` names in the account's position mode, and its market."""
    market, idx = require_market(exchange, params), integer(params, "positionIdx", 0)
    for leg in exchange.state.legs(account, market.listing.symbol):
        if leg.position_idx == idx:
            return market, leg
    raise ApiError(10001, "position idx not match position mode")


def closed_pnl(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    linear = is_linear(params)
    start, end = window(params, now_ms)
    symbol = text(params, "symbol")
    rows = (
        (row.number, row)
        for row in account.closed_pnl.newest_first(below(text(params, "cursor")))
        if linear and symbol in ("", row.order.symbol) and start <= row.updated_ms <= end
    )
    chosen, cursor = page_by_number(rows, text(params, "cursor"), limit_field(params, 50, 100))
    return {
        "category": text(params, "category"),
        "list": [closed_pnl_row(row) for row in chosen],
        "nextPageCursor": cursor,
    }


def set_auto_add_margin(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """For isolated positions only."""
    _, leg = _leg(exchange, account, params)
    on = integer(params, "autoAddMargin", -1)
    if on not in (0, 1):
        raise ApiError(10001, "params error: autoAddMargin invalid, expected 0 or 1")
    exchange.positions.set_auto_add(account, leg, now_ms, on=bool(on))
    return {}


def add_margin(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Add to the margin of an isolated position, or take back of what was added (`-10`); answers the position."""
    _, leg = _leg(exchange, account, params)
    amount = signed_field(params, "margin", MARGIN_PLACES)
    exchange.positions.add_margin(account, leg, amount, now_ms)
    row = position_row(account, leg, exchange.state.valuation, exchange.totals(account))
    return {"category": "linear"} | {name: row[name] for name in MARGIN_FIELDS}


def confirm_pending_mmr(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Lift what a cut of a risk tier has restricted (`cut_risk` of the control endpoint)."""
    symbol = require_market(exchange, params).listing.symbol
    cut = [leg for leg in exchange.state.legs(account, symbol) if leg.reduce_only]
    for leg in cut:
        exchange.listing.cut_risk(account, symbol, leg.direction.position_idx, reduce_only=False)
    if cut:
        return {}
    raise ApiError(
        110082,
        "You cannot lift Reduce-Only restrictions, as no Reduce-Only restrictions are applied to your position",
    )


def switch_isolated(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Refused: a unified account has one margin mode for all positions, set-margin-mode (docs/bybit.md 2.5)."""
    raise ApiError(100028, "unified account is forbidden")


def set_tpsl_mode(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """The mode of stops whose request does not say one (Bybit's page of this call)."""
    symbol, mode = require_market(exchange, params).listing.symbol, choice(params, "tpSlMode", stop_params.MODES)
    if mode == TpslMode.PARTIAL:
        account.partial_stops.add(symbol)
    else:
        account.partial_stops.discard(symbol)
    account.changes.settings()
    return {"tpSlMode": mode}


def set_risk_limit(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """No effect: the tier follows the position (docs/bybit.md 2.3). Answers the tier in force."""
    text(params, "riskId", required=True)
    _, leg = _leg(exchange, account, params)
    row = position_row(account, leg, exchange.state.valuation, exchange.totals(account))
    return {"category": "linear", "riskId": row["riskId"], "riskLimitValue": row["riskLimitValue"]}


def move_history(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    limit_field(params, 20, 200)
    window(params, now_ms)
    return {"list": [], "nextPageCursor": ""}


def move_positions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Refused: no key here may do block trades (`user/query-api`)."""
    raise permission_denied()


def symbol_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Leverage of each leg, held or not. `side` means nothing, and is the same in every row, as on Bybit."""
    linear, wanted, state = is_linear(params), text(params, "symbol"), exchange.state
    if linear and wanted:
        require_market(exchange, params)
    rows = [
        {
            "symbol": symbol,
            "leverage": plain(state.valuation.leverage(account, symbol, leg.direction)),
            "side": "Sell",
            "positionIdx": leg.position_idx,
        }
        for symbol in sorted(exchange.markets)
        if linear and wanted in ("", symbol)
        for leg in reversed(state.legs(account, symbol))
    ]
    return {"category": text(params, "category"), "list": rows}
