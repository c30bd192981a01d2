"""Signed account and user endpoints (docs/bybit.md 2.4, 2.5).

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import Transfer
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls import market_calls
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.paging import below, page_by_number
from gridbot.paper.params.validate import DAY_MS, boolean, choice, integer, limit_field, text, window
from gridbot.paper.rows import transaction_rows
from gridbot.paper.rows.account_rows import wallet_row
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "account_info",
    "dcp_info",
    "fee_rate",
    "instruments_info",
    "query_api",
    "set_dcp",
    "set_limit_price_action",
    "set_margin_mode",
    "transaction_log",
    "user_settings",
    "wallet_balance",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
ACCOUNT_PAGE = 200
MARGIN_MODES = frozenset({"REGULAR_MARGIN", "ISOLATED_MARGIN", "PORTFOLIO_MARGIN"})


def wallet_balance(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    if text(params, "accountType", required=True) != "UNIFIED":
        raise ApiError(10001, "accountType only support UNIFIED.")
    row = wallet_row(account, exchange.totals(account))
    coins = text(params, "coin")
    if coins and "USDT" not in coins.split(","):
        row["coin"] = []
    return {"list": [row]}


def account_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return {
        "marginMode": "ISOLATED_MARGIN" if account.isolated else "REGULAR_MARGIN",
        "updatedTime": str(account.mode_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF" if account.dcp_window_s is None else "ON",
        "timeWindow": account.dcp_window_s or 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def user_settings(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    switches = dict.fromkeys(("lpaSpot", "deltaEnable", "smsef", "fmsef"), False)
    return {**switches, "lpaPerp": not account.reprice, "smpType": 0}


def set_limit_price_action(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """For all futures by either of their categories; that of spot changes nothing here."""
    is_linear(params)
    if text(params, "category") in ("linear", "inverse"):
        account.reprice = boolean(params, "modifyEnable")
        account.changes.settings()
    return {}


def set_margin_mode(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Cross or isolated, for the whole account; there is no portfolio margin."""
    mode = choice(params, "setMarginMode", MARGIN_MODES)
    if mode == "PORTFOLIO_MARGIN":
        reason = {"reasonCode": "3400045", "reasonMsg": "The paper exchange has no portfolio margin"}
        raise ApiError(3400045, "Set margin mode failed", result={"reasons": [reason]})
    exchange.positions.set_margin_mode(account, now_ms, isolated=mode == "ISOLATED_MARGIN")
    return {"reasons": []}


def transaction_log(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Every movement of the wallet, newest first; without times the last day. Transfers have no category."""
    if text(params, "accountType") not in ("", "UNIFIED"):
        raise ApiError(10001, "accountType only support UNIFIED.")
    start, end = window(params, now_ms, DAY_MS)
    limit = limit_field(params, 20, 50)
    currency = text(params, "currency") or SETTLE_COIN
    wanted = (not text(params, "category") or is_linear(params)) and not text(params, "transSubType")
    kind, base, categorised = text(params, "type"), text(params, "baseCoin"), bool(text(params, "category"))
    entries = transaction_rows.entries(account, below(text(params, "cursor")), start, end) if wanted else ()
    rows = (
        (entry.number, entry)
        for entry in entries
        if (currency == SETTLE_COIN or getattr(entry, "fee_coin", SETTLE_COIN) == currency)
        and (not kind or kind == transaction_rows.kind_of(entry))
        and (
            not (categorised or base)
            if isinstance(entry, Transfer)
            else not base or base == exchange.markets[entry.symbol].listing.base_coin
        )
    )
    chosen, cursor = page_by_number(rows, "", limit)
    return {"list": [transaction_rows.row_in(account, entry, currency) for entry in chosen], "nextPageCursor": cursor}


def fee_rate(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Bybit's table requires a category and its example has none; ccxt sends none and expects contracts."""
    linear = is_linear(params, default="linear")
    symbols = sorted(exchange.markets) if linear else []
    if linear and text(params, "symbol"):
        symbols = [require_market(exchange, params).listing.symbol]
    rates = {
        "takerFeeRate": plain(exchange.config.taker_fee),
        "makerFeeRate": plain(exchange.config.maker_fee),
    }
    return {"list": [{"symbol": symbol, **rates} for symbol in symbols]}


def instruments_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """The instruments that an account may trade: all of them, in smaller pages than those of the market.

    Time in force RPI is taken from everybody, so the two fields about it are true.
    """
    limit = limit_field(params, ACCOUNT_PAGE, ACCOUNT_PAGE)
    page = market_calls.instruments_info(exchange, {**params, "limit": limit}, now_ms)
    rows = [{**row, "isPublicRpi": True, "myRpiPermission": True} for row in page["list"]]
    return {**page, "list": rows}


def query_api(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    created = datetime.fromtimestamp(account.opened_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
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
        "isFixApi": False,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def set_dcp(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Cancel all orders when the connections with `dcp.future` have been gone for `timeWindow` seconds."""
    seconds = integer(params, "timeWindow", 10)
    if not 3 <= seconds <= 300:
        raise ApiError(10001, "params error: timeWindow invalid, expected 3 to 300")
    if not exchange.config.dcp:
        raise ApiError(10005, "Permission denied, please check your API key permissions.")
    if text(params, "product") == "DERIVATIVES":  # the default is OPTIONS, which does nothing here
        account.dcp_window_s = seconds
        account.changes.settings()
    return {}


def dcp_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    seconds = account.dcp_window_s
    if seconds is None:
        return {"dcpInfos": []}
    return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(seconds)}]}
