"""Executions and rows of one symbol, and ledgers that went through their file."""

from __future__ import annotations

import json
from decimal import Decimal

from gridbot.core import Direction, ExecType, ExecutionEvent, PositionEvent, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.core.ledger_document import document_of, ledger_of

D = Decimal


def execution(
    n: int,
    side: Side = Side.BUY,
    price: str = "100",
    qty: str = "1",
    closed: str = "0",
    fee: str = "0",
    kind: ExecType = ExecType.TRADE,
) -> ExecutionEvent:
    return ExecutionEvent(
        symbol="BTCUSDT",
        exec_id=f"e{n}",
        order_id=f"o{n}",
        order_link_id="",
        side=side,
        price=D(price),
        qty=D(qty),
        fee=D(fee),
        closed_size=D(closed),
        exec_type=kind,
        exchange_ts=n,
    )


def row(direction: Direction, size: str, entry: str | None, n: int = 0) -> PositionEvent:
    """What the exchange says was held after the execution `n`."""
    price = None if entry is None else D(entry)
    return PositionEvent("BTCUSDT", direction, D(size), price, exchange_ts=n)


def saved(ledger: Ledger) -> Ledger:
    """As the next start reads it."""
    return ledger_of(json.loads(json.dumps(document_of(ledger))))
