"""Liquidation in cross margin (docs/bybit_streams.md 6.1). Pure.

    healthy ── maintenance >= equity ──> orders cancelled ── still so ──> excess of a pair closed ──┐
       ^                                                                                             │ still so
       └──── maintenance < equity ◄──── next pair, biggest maintenance first ◄──── both legs closed ◄┘

It is the account's rate that counts (`accountMMRate` >= 1); the price shown in a position row is an estimate. What
is closed goes at the mark price with the taker fee, as `BustTrade`. A wallet below zero is made good by the insurance.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.valuation import Totals
from gridbot.paper.engine.cancelling import Cancelling
from gridbot.paper.engine.fills import Fills
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Deal
from gridbot.paper.rows.outbox import Outbox

__all__ = ["Liquidation", "Liquidator", "is_due"]

TAKE_OVER = "CreateByTakeOver_PassThrough"
"""Who makes a `BustTrade`; `CreateByLiq` makes the trades of a staged liquidation, which there is none of here."""


@dataclass(frozen=True, slots=True)
class Liquidation:
    """Part of a position that was taken over. `side` is that of the position: Buy is a long."""

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    time_ms: int


def is_due(figures: Totals) -> bool:
    """True when maintenance margin is no longer covered by equity."""
    return figures.maintenance > 0 and figures.maintenance >= figures.equity


class Liquidator:
    """Takes positions over, and keeps what the public stream has to say about it until it is taken."""

    def __init__(self, state: ExchangeState, cancelling: Cancelling, fills: Fills, outbox: Outbox) -> None:
        self._state = state
        self._cancelling = cancelling
        self._fills = fills
        self._outbox = outbox
        self._done: list[Liquidation] = []

    def take(self) -> list[Liquidation]:
        """What was taken over since the last call."""
        done, self._done = self._done, []
        return done

    def liquidate_if_due(self, account: Account, now_ms: int) -> None:
        """Bring an account back below its maintenance rate, or to nothing."""
        if not self._is_due(account):
            return
        self._cancelling.cancel_all(account, "CancelAllBeforeLiq", now_ms)
        for symbol in _biggest_first(account):
            for leg, qty in _steps(account, symbol):
                if not self._is_due(account):
                    return
                self._take_over(account, leg, min(qty, leg.size), now_ms)
        if account.wallet < 0:
            self._insure(account, now_ms)

    def _is_due(self, account: Account) -> bool:
        return is_due(self._state.valuation.totals(account))

    def _take_over(self, account: Account, leg: Leg, qty: Decimal, now_ms: int) -> None:
        """Close part of a leg at the mark price, whether the account wants it or not."""
        mark = self._state.markets[leg.symbol].mark
        request = NewOrder(
            leg.symbol, leg.direction.close_side, qty, None, leg.position_idx, "IOC", create_type=TAKE_OVER
        )
        order = self._state.new_order(request, now_ms, closing=True)
        account.add_open(order)
        self._done.append(Liquidation(leg.symbol, leg.direction.open_side, qty, mark, now_ms))
        self._fills.book(account, order, Deal(qty, mark, now_ms, is_maker=False, exec_type="BustTrade"))
        self._outbox.flush()

    def _insure(self, account: Account, now_ms: int) -> None:
        """Make good what a liquidation lost beyond the wallet."""
        loss = -account.wallet
        account.pay(insurance=loss)
        account.transfer(self._state.ids.take(), "LIQUIDATION", loss, now_ms)
        self._outbox.wallet_changed(account)
        self._outbox.flush()


def _biggest_first(account: Account) -> list[str]:
    """Symbols with positions, by what they cost."""
    cost: dict[str, Decimal] = {}
    for leg in account.legs.values():
        if leg.size:
            cost[leg.symbol] = cost.get(leg.symbol, Decimal(0)) + leg.cost
    return sorted(cost, key=lambda symbol: cost[symbol], reverse=True)


def _steps(account: Account, symbol: str) -> list[tuple[Leg, Decimal]]:
    """First the excess of the bigger leg, then what is left of both."""
    long, short = account.held(symbol)
    if long is None or short is None:
        leg = long or short
        return [] if leg is None else [(leg, leg.size)]
    bigger, smaller = (long, short) if long.size >= short.size else (short, long)
    excess = bigger.size - smaller.size
    first = [(bigger, excess)] if excess else []
    return [*first, (bigger, smaller.size), (smaller, smaller.size)]
