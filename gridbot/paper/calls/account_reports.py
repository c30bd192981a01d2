"""Signed endpoints that report on an account beside trading (shared sheet bybit-v5-more, section 2).

Each takes (exchange, account, parameters, now) and returns `result`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.api_error import ApiError
from gridbot.paper.calls.market_calls import is_linear
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.validate import limit_field, text
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "api_limit_caps",
    "api_limits",
    "collateral_info",
    "every_api_limit",
    "move_history",
    "move_positions",
    "set_api_limit",
    "smp_group",
    "symbol_info",
    "trade_info",
    "withdrawable",
    "withdrawal",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
ZERO = Decimal(0)
COIN = "USDT"
MAX_COINS = 20
DENIED = "Permission denied, please check your API key permissions."
TRADE_FIGURES = (
    "symbolRnl netExecQty sumExecValue sumExecQty avgBuyExecPrice sumBuyExecValue sumBuyExecQty sumBuyExecFee "
    "sumBuyOrderQty avgSellExecPrice sumSellExecValue sumSellExecQty sumSellExecFee sumSellOrderQty"
)


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
    amounts = {coin: plain(withdrawable(exchange, account)) if coin == COIN else "0" for coin in coins}
    return {"availableWithdrawal": amounts[coins[0]], "availableWithdrawalMap": amounts}


def collateral_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """USDT is the only coin, and nothing is lent."""
    zeros = "hourlyBorrowRate maxBorrowingAmount freeBorrowingLimit freeBorrowAmount borrowAmount otherBorrowAmount"
    row: dict[str, Any] = {
        "currency": COIN,
        **dict.fromkeys(zeros.split(), "0"),
        "availableToBorrow": "0",
        "borrowable": False,
        "borrowUsageRate": "0",
        "marginCollateral": True,
        "collateralSwitch": True,
        "collateralRatio": "1",
        "freeBorrowingAmount": "",
    }
    return {"list": [row] if text(params, "currency") in ("", COIN) else []}


def smp_group(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    return {"smpGroup": 0}


def trade_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Of spot trades, of which there are none."""
    symbol = text(params, "symbol", required=True)
    base = symbol.removesuffix(COIN)
    return dict.fromkeys(TRADE_FIGURES.split(), "0") | {"maxMarginVersion": 0, "baseCoin": base, "settleCoin": COIN}


def move_history(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    limit_field(params, 20, 200)
    return {"list": [], "nextPageCursor": ""}


def move_positions(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Refused: no key here may do block trades (`user/query-api`)."""
    raise ApiError(10005, DENIED)


def symbol_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Leverage of each leg, held or not. `side` means nothing, and is the same in every row, as on Bybit."""
    linear, wanted, state = is_linear(params), text(params, "symbol"), exchange.state
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


def api_limits(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """apilimit/query, of the account itself."""
    if text(params, "uids", required=True) != str(account.uid):
        raise ApiError(3500153, "No permission to operate these UIDs")
    return {"list": [_limit_row(exchange, account)]}


def every_api_limit(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """apilimit/query-all; an account has no others below it."""
    limit_field(params, 1000, 1000)
    mine = text(params, "uids") in ("", str(account.uid))
    return {"list": [_limit_row(exchange, account)] if mine else [], "nextPageCursor": ""}


def api_limit_caps(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    rate = str(exchange.config.limits.orders_per_second)
    return {"list": [{"bizType": "DERIVATIVES", "totalRate": rate, "insCap": rate, "uidCap": rate}]}


def set_api_limit(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    raise ApiError(3500002, "Current user is not an institutional user")


def _limit_row(exchange: Exchange, account: Account) -> Result:
    return {"uids": str(account.uid), "bizType": "DERIVATIVES", "rate": exchange.config.limits.orders_per_second}
