"""The transaction log of an account: every movement of its wallet, with what it was afterwards. Pure.

The log is the account's executions and transfers by number. Each row's `change` is what the wallet moved by, so the
rows add up to the wallet to the last digit: `change = cashFlow + funding - fee - extraFees`. A fee in another coin has
a row of its own, in the log of that coin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.bookings import Transfer
from gridbot.paper.accounts.row_cells import ExecutionCells
from gridbot.paper.rows.row_numbers import cut, exact, exact_text, plain_text

__all__ = ["Entry", "entries", "kind_of", "row_in", "transaction_row"]

Entry = ExecutionCells | Transfer
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
) -> Iterator[Entry]:
    """Movements of the wallet of a time, newest first, with a number below one."""
    transfers = deque(
        each
        for each in reversed(account.transfers)
        if each.time_ms >= start_ms
        and (end_ms is None or each.time_ms <= end_ms)
        and (below is None or each.number < below)
    )
    for cells in account.executions.newest_cells(below, start_ms, end_ms):
        while transfers and transfers[0].number > cells.number:
            yield transfers.popleft()
        yield cells
    yield from transfers


def kind_of(entry: Entry) -> str:
    """Bybit's `type`."""
    return entry.kind if isinstance(entry, Transfer) else KINDS.get(entry.exec_type) or entry.exec_type.upper()


def row_in(account: Account, entry: Entry, currency: str) -> dict[str, Any]:
    """The row of an entry in the log of one coin. Balances of others than USDT are not kept here."""
    row = transaction_row(account, entry)
    if currency == SETTLE_COIN or isinstance(entry, Transfer):
        return row
    fee = Decimal(entry.fee)
    charged = {"change": exact(-fee), "fee": exact(fee), "cashFlow": "0", "extraFees": ""}
    return row | charged | {"id": f"{row['id']}_fee", "currency": currency, "cashBalance": ""}


def transaction_row(account: Account, entry: Entry) -> dict[str, Any]:
    """A row of account/transaction-log. `funding` is positive when received, unlike an execution's fee."""
    return _of_transfer(account, entry) if isinstance(entry, Transfer) else _of_execution(account, entry)


def _of_transfer(account: Account, entry: Transfer) -> dict[str, Any]:
    blank = ("symbol", "category", "orderId", "orderLinkId", "tradeId", "tradePrice", "funding", "fee", "feeRate")
    return {
        "id": f"{account.uid}_{entry.number}",
        "transactionTime": str(entry.time_ms),
        "type": entry.kind,
        "transSubType": "",
        "displayType": "",
        "currency": SETTLE_COIN,
        "change": exact(entry.change),
        "cashBalance": exact(entry.wallet),
        "bonusChange": "",
        "extraFees": "",
        **dict.fromkeys(blank, ""),
        "side": "None",
        "qty": exact(entry.change),
        "size": "0",
        "cashFlow": exact(entry.change),
    }


def _of_execution(account: Account, entry: ExecutionCells) -> dict[str, Any]:
    funding, in_usdt, fee = entry.exec_type == "Funding", entry.fee_coin == SETTLE_COIN, Decimal(entry.fee)
    change = Decimal(entry.realised)
    if in_usdt:
        change -= fee
    if tax := Decimal(0) if entry.tax == "0" else Decimal(entry.tax):
        change -= tax
    return {
        "id": f"{account.uid}_{entry.number}",
        "transactionTime": str(entry.time_ms),
        "type": kind_of(entry),
        "transSubType": "",
        "displayType": "",
        "currency": SETTLE_COIN,
        "change": exact(change),
        "cashBalance": exact_text(entry.wallet),
        "bonusChange": "",
        "extraFees": exact(tax) if tax else "",
        "symbol": entry.symbol,
        "category": "linear",
        "side": entry.side,
        "qty": plain_text(entry.qty),
        "size": plain_text(entry.position_size),
        "tradePrice": plain_text(entry.price),
        "funding": exact(-fee) if funding else "",
        "fee": exact_text(entry.fee) if in_usdt and not funding else "0",
        "cashFlow": exact_text(entry.realised),
        "feeRate": cut(Decimal(entry.fee_rate), 8) if funding else exact_text(entry.fee_rate),
        "tradeId": entry.exec_id,
        "orderId": "" if funding else entry.order_id,
        "orderLinkId": entry.order_link_id,
    }
