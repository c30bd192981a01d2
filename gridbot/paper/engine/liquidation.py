"""Liquidation in cross margin (docs/bybit.md 6.1). Pure.

    healthy ── maintenance >= equity ──> orders cancelled ── still so ──> excess of a pair closed ──┐
       ^                                                                                             │ still so
       └──── maintenance < equity ◄──── next pair, biggest maintenance first ◄──── both legs closed ◄┘

It is the account's rate that counts (`accountMMRate` >= 1); the price shown in a position row is an estimate. What
is closed goes at the mark price with the taker fee, as `BustTrade`. A wallet below zero is made good by the insurance.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account, Leg
from gridbot.paper.accounts.valuation import Totals, legs_of

__all__ = ["Liquidation", "Liquidator", "is_due", "liquidate_if_due"]


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Part of a position that was taken over. `side` is that of the position: Buy is a long."""

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    time_ms: int


class Liquidator(Protocol):
    """What liquidation needs of the exchange."""

    def totals(self, account: Account) -> Totals: ...

    def cancel_all(self, account: Account, cancel_type: str, now_ms: int) -> None: ...

    def take_over(self, account: Account, leg: Leg, qty: Decimal, now_ms: int) -> None: ...

    def insure(self, account: Account, now_ms: int) -> None: ...


def is_due(figures: Totals) -> bool:
    """True when maintenance margin is no longer covered by equity."""
    return figures.maintenance > 0 and figures.maintenance >= figures.equity


def liquidate_if_due(exchange: Liquidator, account: Account, now_ms: int) -> bool:
    """Bring an account back below its maintenance rate, or to nothing. True when something was closed."""
    if not is_due(exchange.totals(account)):
        return False
    exchange.cancel_all(account, "CancelAllBeforeLiq", now_ms)
    for symbol in _biggest_first(account):
        for leg, qty in _steps(account, symbol):
            if not is_due(exchange.totals(account)):
                return True
            exchange.take_over(account, leg, min(qty, leg.size), now_ms)
    if account.wallet < 0:
        exchange.insure(account, now_ms)
    return True


def _biggest_first(account: Account) -> list[str]:
    """Symbols with positions, by what they cost."""
    cost: dict[str, Decimal] = {}
    for leg in account.legs.values():
        if leg.size:
            cost[leg.symbol] = cost.get(leg.symbol, Decimal(0)) + leg.cost
    return sorted(cost, key=lambda symbol: cost[symbol], reverse=True)


def _steps(account: Account, symbol: str) -> list[tuple[Leg, Decimal]]:
    """First the excess of the bigger leg, then what is left of both."""
    long, short = legs_of(account, symbol)
    if long is None or short is None:
        leg = long or short
        return [] if leg is None else [(leg, leg.size)]
    bigger, smaller = (long, short) if long.size >= short.size else (short, long)
    excess = bigger.size - smaller.size
    first = [(bigger, excess)] if excess else []
    return [*first, (bigger, smaller.size), (smaller, smaller.size)]
