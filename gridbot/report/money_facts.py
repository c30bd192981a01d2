"""Money of an account, as the records answer: balances, sums of executions, matched pairs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Balance", "HourOfEquity", "HourOfMoney", "Money", "MoneyOutside", "Pairs", "WalletPoint"]


@dataclass(frozen=True, slots=True)
class Balance:
    """`place`: before (newest up to the beginning), first (after it) or last (before the end)."""

    place: str
    seq: int
    at_ms: int
    wallet_balance: Decimal | None
    equity: Decimal
    unrealised_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class WalletPoint:
    """A row of the wallet that is drawn; `drawdown` is the fall from the highest equity of the span so far.

    `notional` is the value of all legs, long and short added, at their newest mark prices; `exposed` and `bound` are it
    and the maintenance margin as fractions of the equity, by which rows were chosen.
    """

    at_ms: int
    seq: int
    equity: Decimal
    drawdown: Decimal
    notional: Decimal
    exposed: float | None
    bound: float | None
    total_initial_margin: Decimal | None
    total_maintenance_margin: Decimal | None


@dataclass(frozen=True, slots=True)
class HourOfEquity:
    """Equity at the first and the last wallet row of an hour."""

    hour_ms: int
    first_equity: Decimal
    last_equity: Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """Sums of the executions of a leg, and time and price of its first and last trade (None without one). `other` is
    what the exchange booked without a trade, after fees."""

    strategy: str
    symbol: str
    direction: str
    shadow: bool
    fills: int
    maker_fills: int
    volume: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    other: Decimal
    first_ms: int | None
    last_ms: int | None
    first_price: Decimal | None
    last_price: Decimal | None


@dataclass(frozen=True, slots=True)
class MoneyOutside:
    """Executions of the span that lie outside of its first and last balance; `net` is after fees and funding."""

    executions: int
    net: Decimal


@dataclass(frozen=True, slots=True)
class HourOfMoney:
    """Sums of the executions of a strategy in one hour."""

    strategy: str
    shadow: bool
    hour_ms: int
    fills: int
    maker_fills: int
    volume: Decimal
    realised: Decimal
    fees: Decimal
    funding: Decimal
    other: Decimal


@dataclass(frozen=True, slots=True)
class Pairs:
    """Matched pairs by the level at which they were opened, or (level None) by the hour in which they were closed."""

    strategy: str
    symbol: str
    direction: str | None
    level: Decimal | None
    hour_ms: int | None
    pairs: int
    profit: Decimal
    fees: Decimal
