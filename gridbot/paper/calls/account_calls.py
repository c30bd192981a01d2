"""Signed calls of account/ (docs/bybit.md 2.4, 2.5).

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import Transfer
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls import market_calls
from gridbot.paper.calls.market_calls import is_linear, require_market
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.paging import below, page_by_number
from gridbot.paper.params.validate import DAY_MS, boolean, choice, limit_field, text, window
from gridbot.paper.rows import transaction_rows
from gridbot.paper.rows.account_rows import wallet_row
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "account_info",
    "collateral_info",
    "dcp_info",
    "fee_rate",
    "instruments_info",
    "set_limit_price_action",
    "set_margin_mode",
    "smp_group",
    "trade_info",
    "transaction_log",
    "user_settings",
    "wallet_balance",
    "withdrawable",
    "withdrawal",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
ACCOUNT_PAGE = 200
ZERO = Decimal(0)
MAX_COINS = 20
TRADE_FIGURES = (
    "symbolRnl netExecQty sumExecValue sumExecQty avgBuyExecPrice sumBuyExecValue sumBuyExecQty sumBuyExecFee "
    "sumBuyOrderQty avgSellExecPrice sumSellExecValue sumSellExecQty sumSellExecFee sumSellOrderQty"
)
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
    reprice = boolean(params, "modifyEnable", required=True)
    if text(params, "category") in ("linear", "inverse"):
        account.reprice = reprice
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
            else not base or base == exchange.state.base_coin(entry.symbol)
        )
    )
    chosen, cursor = page_by_number(rows, "", limit)
    return {"list": [transaction_rows.row_in(account, entry, currency) for entry in chosen], "nextPageCursor": cursor}


def fee_rate(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Bybit's table requires a category and its example has none; ccxt sends none and expects contracts."""
    linear = is_linear(params, default="linear")
    symbols = sorted(exchange.markets) if linear else []
    if linear and text(params, "symbol"):
        symbols = [require_market(exchange, params, default_category="linear").listing.symbol]
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


def dcp_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    seconds = account.dcp_window_s
    if seconds is None:
        return {"dcpInfos": []}
    return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": str(seconds)}]}


def withdrawable(exchange: Exchange, account: Account) -> Decimal:
    """USDT that could leave the account: of the available balance what is no unrealised profit."""
    figures = exchange.totals(account)
    if account.isolated:  # what a leg gains or loses belongs to the leg
        return max(ZERO, figures.available)
    return max(ZERO, min(figures.available, figures.wallet + min(figures.holdings.unrealised, ZERO)))


def withdrawal(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    coins = text(params, "coinName", required=True).split(",")
    if len(coins) > MAX_COINS:
        raise ApiError(10001, f"params error: coinName invalid, at most {MAX_COINS} coins")
    amounts = {coin: plain(withdrawable(exchange, account)) if coin == SETTLE_COIN else "0" for coin in coins}
    return {"availableWithdrawal": amounts[coins[0]], "availableWithdrawalMap": amounts}


def collateral_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """USDT is the only coin, and nothing is lent."""
    zeros = "hourlyBorrowRate maxBorrowingAmount freeBorrowingLimit freeBorrowAmount borrowAmount otherBorrowAmount"
    row: dict[str, Any] = {
        "currency": SETTLE_COIN,
        **dict.fromkeys(zeros.split(), "0"),
        "availableToBorrow": "0",
        "borrowable": False,
        "borrowUsageRate": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "collateralRatio": "1",
        "freeBorrowingAmount": "",
    }
    return {"list": [row] if text(params, "currency") in ("", SETTLE_COIN) else []}


def smp_group(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return {"smpGroup": 0}


def trade_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Of spot trades, of which there are none."""
    symbol = text(params, "symbol", required=True)
    coins = {"baseCoin": symbol.removesuffix(SETTLE_COIN), "settleCoin": SETTLE_COIN}
    return dict.fromkeys(TRADE_FIGURES.split(), "0") | {"maxMarginVersion": 0} | coins
