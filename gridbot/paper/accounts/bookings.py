"""Rows of an account's books beside orders and executions: transfers, and what closing orders made. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.paper.accounts.exchange_order import Order

__all__ = ["ClosedPnl", "Transfer"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Transfer:
    """USDT that came into the wallet other than by an execution; `kind` as the transaction log calls it."""

    number: int
    time_ms: int
    kind: str
    change: Decimal
    wallet: Decimal


@dataclass(slots=True)
class ClosedPnl:
    """One row of `position/closed-pnl`: a closing order, growing with its fills."""

    number: int
    order: Order
    leverage: Decimal
    created_ms: int
    updated_ms: int
    exec_type: str = "Trade"
    closed_size: Decimal = ZERO
    entry_value: Decimal = ZERO
    exit_value: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    realised: Decimal = ZERO
    fill_count: int = 0

    @property
    def net(self) -> Decimal:
        return self.realised - self.open_fee - self.close_fee
