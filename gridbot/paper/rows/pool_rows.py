"""Rows of the insurance pool and of deleveraging alerts, for REST and stream. Pure.

The pool is modelled: one for all symbols, with a round sum at the start, less what liquidations have cost it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from gridbot.paper.accounts.account import Account
from gridbot.paper.rows.row_numbers import plain

__all__ = ["COIN", "POOL_AT_START", "adl_frame_row", "adl_row", "insurance_row", "pool_balance"]

COIN = "USDT"
POOL_AT_START = Decimal(100_000_000)
EMPTY_BELOW, ALERT_AT, ALERT_ENDS = "10000", "-0.3", "-0.25"


def pool_balance(accounts: Iterable[Account]) -> Decimal:
    """USDT left in the insurance pool."""
    return POOL_AT_START - sum((account.insurance for account in accounts), Decimal(0))


def insurance_row(symbols: Iterable[str], accounts: Iterable[Account]) -> dict[str, str]:
    """The pool's symbols are one text with commas."""
    balance = plain(pool_balance(accounts))
    return {"coin": COIN, "symbols": ",".join(sorted(symbols)), "balance": balance, "value": balance}


def adl_row(symbol: str, accounts: Iterable[Account]) -> dict[str, str]:
    """Deleveraging would begin when the pool's loss ratio fell below `insurancePnlRatio`: it is 0."""
    return {
        "coin": COIN,
        "symbol": symbol,
        "balance": plain(pool_balance(accounts)),
        "maxBalance": "",
        "insurancePnlRatio": ALERT_AT,
        "pnlRatio": "0",
        "adlTriggerThreshold": EMPTY_BELOW,
        "adlStopRatio": ALERT_ENDS,
    }


def adl_frame_row(symbol: str, accounts: Iterable[Account]) -> dict[str, Any]:
    """The same with the stream's short names."""
    row = adl_row(symbol, accounts)
    names = {"c": "coin", "s": "symbol", "b": "balance", "mb": "maxBalance", "i_pr": "insurancePnlRatio"}
    names |= {"pr": "pnlRatio", "adl_tt": "adlTriggerThreshold", "adl_sr": "adlStopRatio"}
    return {short: row[name] for short, name in names.items()}
