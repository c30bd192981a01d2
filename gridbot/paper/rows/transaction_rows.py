"""The transaction log of an account: every movement of its wallet, with what it was afterwards. Pure.

The log is the account's executions and transfers by number. Each row's `change` is what the wallet moved by, so the
rows add up to the wallet to the last digit: `change = cashFlow + funding - fee - extraFees`. A fee in another coin has
a row of its own, in the log of that coin.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from heapq import merge
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import Transfer
from gridbot.paper.accounts.exchange_order import Execution
from gridbot.paper.rows.row_numbers import exact

__all__ = ["entries", "kind_of", "row_in", "transaction_row"]

KINDS = {
    "Trade": "TRADE",
    "Funding": "SETTLEMENT",
    "BustTrade": "LIQUIDATION",
    "AdlTrade": "ADL",
    "ForwardSplitSettle": "FORWARD_SPLIT_SETTLE",
    "ReverseSplitSettle": "REVERSE_SPLIT_SETTLE",
}
"""Other executions are called by their own word, in capitals: `DELIVERY`."""


def entries(
    account: Account, below: int | None = None, start_ms: int = 0, end_ms: int | None = None
) -> Iterator[Execution | Transfer]:
    """Movements of the wallet of a time, newest first, with a number below one."""
    executions = account.executions.newest_first(below, start_ms, end_ms)
    transfers = (
        each
        for each in reversed(account.transfers)
        if each.time_ms >= start_ms and (end_ms is None or each.time_ms <= end_ms)
    )
    rows: Iterator[Execution | Transfer] = merge(executions, transfers, key=lambda row: -row.number)
    return rows


def kind_of(entry: Execution | Transfer) -> str:
    """Bybit's `type`."""
    return entry.kind if isinstance(entry, Transfer) else KINDS.get(entry.exec_type, entry.exec_type.upper())


def row_in(account: Account, entry: Execution | Transfer, currency: str) -> dict[str, Any]:
    """The row of an entry in the log of one coin. Balances of others than USDT are not kept here."""
    row = transaction_row(account, entry)
    if currency == SETTLE_COIN or isinstance(entry, Transfer):
        return row
    charged = {"change": exact(-entry.fee), "fee": exact(entry.fee), "cashFlow": "0", "extraFees": ""}
    return row | charged | {"id": f"{row['id']}_fee", "currency": currency, "cashBalance": ""}


def transaction_row(account: Account, entry: Execution | Transfer) -> dict[str, Any]:
    """A row of account/transaction-log. `funding` is positive when received, unlike an execution's fee."""
    row: dict[str, Any] = {
        "id": f"{account.uid}_{entry.number}",
        "transactionTime": str(entry.time_ms),
        "type": kind_of(entry),
        "transSubType": "",
        "displayType": "",
        "currency": "USDT",
        "change": exact(entry.change),
        "cashBalance": exact(entry.wallet),
        "bonusChange": "",
        "extraFees": "",
    }
    if isinstance(entry, Transfer):
        blank = ("symbol", "category", "orderId", "orderLinkId", "tradeId", "tradePrice", "funding", "fee", "feeRate")
        return (
            row
            | dict.fromkeys(blank, "")
            | {
                "side": "None",
                "qty": exact(entry.change),
                "size": "0",
                "cashFlow": exact(entry.change),
            }
        )
    funding = entry.exec_type == "Funding"
    return row | {
        "symbol": entry.symbol,
        "category": "linear",
        "side": entry.side.value,
        "qty": format(entry.qty, "f"),
        "size": format(entry.position_size, "f"),
        "tradePrice": format(entry.price, "f"),
        "funding": exact(-entry.fee) if funding else "",
        "fee": exact(Decimal(0) if funding or entry.fee_coin != SETTLE_COIN else entry.fee),
        "extraFees": exact(entry.tax) if entry.tax else "",
        "cashFlow": exact(entry.realised),
        "feeRate": exact(entry.fee_rate),
        "tradeId": entry.exec_id,
        "orderId": entry.order_id if not funding else "",
        "orderLinkId": entry.order_link_id,
    }
