"""Signed calls of asset/: an account has USDT, and nowhere to send it.

Each takes (exchange, account, parameters, now) and returns `result`. Keys have no wallet permission
(`user/query-api`), so transfers are refused and no list of them has a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Execution
from gridbot.paper.api_error import ApiError, permission_denied
from gridbot.paper.calls.account_calls import withdrawable
from gridbot.paper.calls.market_calls import is_linear
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.params.paging import below, page_by_number
from gridbot.paper.params.validate import MONTH_MS, choice, integer, limit_field, text, window
from gridbot.paper.rows.row_numbers import plain

__all__ = [
    "coin_balance",
    "coin_balances",
    "coin_info",
    "delivery_record",
    "no_transfer",
    "no_universal_transfer",
    "record_page",
    "transfer_coins",
    "transfers",
]

Params = Mapping[str, Any]
Result = dict[str, Any]
ACCOUNTS = frozenset({"UNIFIED", "FUND"})
MAX_COINS = 10
SAFE_AMOUNTS = {
    "transferSafeAmount": "withTransferSafeAmount",
    "ltvTransferSafeAmount": "withLtvTransferSafeAmount",
}


def coin_info(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """USDT and the coins of the contracts, of which nobody can hold any: clients know no other coin than those named
    here, and need the coin of a contract to write its quantities."""
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
        "contractAddress": "",
        "safeConfirmNumber": "1",
    }
    named = dict.fromkeys([SETTLE_COIN, *sorted(market.listing.base_coin for market in exchange.markets.values())])
    rows = [{"name": coin, "coin": coin, "remainAmount": "0", "chains": [chain]} for coin in named]
    return {"rows": [row for row in rows if text(params, "coin") in ("", row["coin"])]}


def delivery_record(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Legs that a delisting closed, newest first; without times the last 30 days."""
    linear, symbol = is_linear(params), text(params, "symbol")
    start, end = window(params, now_ms, MONTH_MS, longest_ms=MONTH_MS)
    last = below(text(params, "cursor"))
    rows = (
        (each.number, each)
        for each in account.executions.newest_first(last, start, end, mention="Delivery")
        if linear and each.exec_type == "Delivery" and symbol in ("", each.symbol)
    )
    chosen, cursor = page_by_number(rows, text(params, "cursor"), limit_field(params, 20, 50))
    return {
        "category": text(params, "category"),
        "list": [_delivery(each) for each in chosen],
        "nextPageCursor": cursor,
    }


def _delivery(execution: Execution) -> Result:
    """The execution closed the leg: its side is the opposite of the leg's."""
    gain = execution.realised / execution.qty
    was_long = execution.side.value == "Sell"
    return {
        "deliveryTime": execution.time_ms,
        "symbol": execution.symbol,
        "side": "Buy" if was_long else "Sell",
        "position": plain(execution.qty),
        "entryPrice": plain(execution.price - gain if was_long else execution.price + gain),
        "deliveryPrice": plain(execution.price),
        "strike": "",
        "fee": plain(execution.fee),
        "deliveryRpl": plain(execution.realised),
    }


def transfer_coins(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    for name in ("fromAccountType", "toAccountType"):
        choice(params, name, ACCOUNTS)
    return {"list": [SETTLE_COIN]}


def no_transfer(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    for name in ("transferId", "coin", "amount"):
        text(params, name, required=True)
    for name in ("fromAccountType", "toAccountType"):
        choice(params, name, ACCOUNTS)
    raise permission_denied()


def no_universal_transfer(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    for name in ("fromMemberId", "toMemberId"):
        text(params, name, required=True)
    return no_transfer(exchange, account, params, now_ms)


def transfers(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    limit_field(params, 20, 50)
    window(params, now_ms)
    return {"list": [], "nextPageCursor": ""}


def record_page(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Deposits and withdrawals by chain: none."""
    limit_field(params, 50, 50)
    window(params, now_ms, MONTH_MS, longest_ms=MONTH_MS)
    return {"rows": [], "nextPageCursor": ""}


def coin_balance(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Of one coin in one wallet; the funding wallet is empty."""
    kind, coin = choice(params, "accountType", ACCOUNTS), text(params, "coin", required=True)
    row = _balance(exchange, account, kind, coin)
    for amount, switch in SAFE_AMOUNTS.items():  # no delay and no loan, so all of it is safe
        row[amount] = row["transferBalance"] if integer(params, switch, 0) else ""
    ids = {"accountId": str(account.uid), "bizType": 1, "accountType": kind, "memberId": str(account.uid)}
    return {**ids, "balance": row}


def coin_balances(exchange: Exchange, account: Account, params: Params, now_ms: int) -> Result:
    """Of several coins in one wallet; the unified one has to be asked for them by name."""
    kind = choice(params, "accountType", ACCOUNTS)
    coins = (text(params, "coin", required=kind == "UNIFIED") or SETTLE_COIN).split(",")
    if len(coins) > MAX_COINS:
        raise ApiError(10001, f"params error: coin invalid, at most {MAX_COINS} coins")
    rows = [_balance(exchange, account, kind, coin) for coin in coins]
    return {"memberId": str(account.uid), "accountType": kind, "balance": rows}


def _balance(exchange: Exchange, account: Account, kind: str, coin: str) -> Result:
    mine = kind == "UNIFIED" and coin == SETTLE_COIN
    zero = Decimal(0)
    return {
        "coin": coin,
        "walletBalance": plain(account.wallet if mine else zero),
        "transferBalance": plain(withdrawable(exchange, account) if mine else zero),
        "bonus": "",
    }
