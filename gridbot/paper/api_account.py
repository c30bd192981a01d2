"""Signed account, position and user endpoints (bybit-v5.md 2.9-2.15, 2.24, 2.26).

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gridbot.paper import stop_params, views
from gridbot.paper.account import Account
from gridbot.paper.api_market import is_linear, require_market
from gridbot.paper.errors import ApiError
from gridbot.paper.exchange import Exchange
from gridbot.paper.paging import page_by_name, page_by_number
from gridbot.paper.validate import boolean, decimal_field, integer, limit_field, text, window

__all__ = [
    "account_info",
    "closed_pnl",
    "coin_info",
    "dcp_info",
    "fee_rate",
    "positions",
    "query_api",
    "set_dcp",
    "set_leverage",
    "set_limit_price_action",
    "switch_mode",
    "trading_stop",
    "user_settings",
    "wallet_balance",
]

Params = Mapping[str, Any]
Result = dict[str, Any]


def wallet_balance(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    if text(params, "accountType", required=True) != "UNIFIED":
        raise ApiError(10001, "accountType only support UNIFIED.")
    row = views.wallet_row(account, exchange.totals(account))
    coins = text(params, "coin")
    if coins and "USDT" not in coins.split(","):
        row["coin"] = []
    return {"list": [row]}


def account_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(exchange.started_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def user_settings(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return {"lpaSpot": False, "lpaPerp": not account.reprice, "deltaEnable": False, "smsef": False, "fmsef": False}


def set_limit_price_action(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    is_linear(params)
    account.reprice = boolean(params, "modifyEnable")
    return {}


def fee_rate(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    symbols = sorted(exchange.markets) if is_linear(params) else []
    if text(params, "symbol"):
        symbols = [require_market(exchange, params).listing.symbol]
    rates = {
        "takerFeeRate": views.plain(exchange.config.taker_fee),
        "makerFeeRate": views.plain(exchange.config.maker_fee),
    }
    return {"list": [{"symbol": symbol, **rates} for symbol in symbols]}


def positions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """With a symbol flat rows too; with a settle coin open positions only."""
    linear = is_linear(params)
    limit = limit_field(params, 20, 200)
    if text(params, "symbol"):
        legs = exchange.legs(account, require_market(exchange, params).listing.symbol)
    elif text(params, "settleCoin"):
        usdt = linear and text(params, "settleCoin") == "USDT"
        legs = [leg for _, leg in sorted(account.legs.items()) if leg.size and usdt]
    else:
        raise ApiError(10001, "params error: symbol or settleCoin is required")
    keyed = [(f"{leg.symbol},{leg.position_idx}", leg) for leg in legs]
    chosen, cursor = page_by_name(keyed, text(params, "cursor"), limit)
    figures = exchange.totals(account)
    rows = [exchange.position_row(account, leg, figures) for leg in chosen]
    return {"category": text(params, "category"), "list": rows, "nextPageCursor": cursor}


def set_leverage(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    symbol = require_market(exchange, params).listing.symbol
    buy, sell = decimal_field(params, "buyLeverage"), decimal_field(params, "sellLeverage")
    if buy is None or sell is None:
        raise ApiError(10001, "params error: buyLeverage and sellLeverage are required")
    if buy != sell:
        raise ApiError(10001, "buy leverage must equal sell leverage under the cross margin mode")
    exchange.set_leverage(account, symbol, buy, now_ms)
    return {}


def switch_mode(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    if not is_linear(params):
        raise ApiError(110029, "The current symbol does not support position mode switching")
    mode = integer(params, "mode", -1)
    if mode not in (0, 3):
        raise ApiError(10001, "params error: mode invalid")
    if text(params, "symbol"):
        exchange.switch_mode(account, require_market(exchange, params).listing.symbol, hedge=mode == 3)
        return {}
    if text(params, "coin") != "USDT":
        raise ApiError(10001, "params error: symbol or coin is required")
    for symbol in exchange.markets:
        try:
            exchange.switch_mode(account, symbol, hedge=mode == 3)
        except ApiError:
            continue  # by coin, Bybit skips what cannot be switched without a word
    return {}


def trading_stop(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Stops of a position: of all of it (set, moved, removed by 0) or of parts of it (added)."""
    market = require_market(exchange, params)
    idx = integer(params, "positionIdx", 0)
    legs = {leg.position_idx: leg for leg in exchange.legs(account, market.listing.symbol)}
    if idx not in legs:
        raise ApiError(10001, "position idx not match position mode")
    exchange.set_stops(account, legs[idx], stop_params.trading_stop(params, market.listing), now_ms)
    return {}


def closed_pnl(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    is_linear(params)
    start, end = window(params, now_ms)
    symbol = text(params, "symbol")
    rows = (
        (row.number, row)
        for row in reversed(account.closed_pnl.values())
        if symbol in ("", row.order.symbol) and start <= row.updated_ms <= end
    )
    chosen, cursor = page_by_number(rows, text(params, "cursor"), limit_field(params, 50, 100))
    return {
        "category": "linear",
        "list": [views.closed_pnl_row(row) for row in chosen],
        "nextPageCursor": cursor,
    }


def query_api(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    created = datetime.fromtimestamp(exchange.started_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    names = ("Spot", "Wallet", "Options", "CopyTrading", "BlockTrade", "Exchange", "NFT", "Affiliate", "Earn")
    return {
        "id": str(account.uid),
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Derivatives": ["DerivativesTrade"],
            **{name: [] for name in names},
        },
        "ips": list(account.ips) or ["127.0.0.1"],
        "type": 1,
        "deadlineDay": -2,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": created,
        "unified": 0,
        "uta": 1,
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": account.rsa_public_key,
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def set_dcp(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Cancel all orders when the connections with `dcp.future` have been gone for `timeWindow` seconds."""
    window = integer(params, "timeWindow", 10)
    if not 3 <= window <= 300:
        raise ApiError(10001, "params error: timeWindow invalid, expected 3 to 300")
    if not exchange.config.dcp:
        raise ApiError(10005, "Permission denied, please check your API key permissions.")
    if text(params, "product") == "DERIVATIVES":  # the default is OPTIONS, which does nothing here
        account.dcp_window_s = window
    return {}


def dcp_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    window = account.dcp_window_s
    if window is None:
        return {"dcpInfos": []}
    return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(window)}]}


def coin_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """asset/coin/query-info: enough for clients that load currencies before markets."""
    chain = {
        "chainType": "Paper",
        "confirmation": "1",
        "withdrawFee": "0",
        "depositMin": "0",
        "withdrawMin": "0",
        "chain": "PAPER",
        "chainDeposit": "0",
        "chainWithdraw": "0",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
    }
    return {"rows": [{"name": "USDT", "coin": "USDT", "remainAmount": "0", "chains": [chain]}]}
