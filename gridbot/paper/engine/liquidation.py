"""Liquidation (docs/bybit_streams.md 6.5, 6.6). Pure.

Cross margin:

    healthy ── maintenance >= equity ──> orders cancelled ── still so ──> excess of a pair closed ──┐
       ^                                                                                             │ still so
       └──── maintenance < equity ◄──── next pair, biggest maintenance first ◄──── both legs closed ◄┘

It is the account's rate that counts (`accountMMRate` >= 1); the price shown in a position row is an estimate. What
is closed goes at the mark price with the taker fee, as `BustTrade`. A wallet below zero is made good by the insurance.

Isolated margin, each leg for itself, at the liquidation price that its row shows:

    healthy ── mark there ──> margin added (if it may be) ── still so ──> orders of the symbol cancelled ──┐
       ^                                                                                                    │
       └────────────── mark elsewhere ◄──── part closed, down to the next lower risk tier ◄── not lowest ◄──┤
                                                                      all of it closed ◄──── lowest tier ◄──┘

Parts are closed at the mark price, all of it at the bankruptcy price, so that the leg loses its own margin and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.isolated_margin import replenishment
from gridbot.core.margin import tier_for
from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.accounts.leg import Leg, rounded
from gridbot.paper.engine.cancelling import Cancelling
from gridbot.paper.engine.fills import Fills
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Deal
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.worth.valuation import Totals

__all__ = ["Liquidation", "Liquidator", "is_due"]

TAKE_OVER = "CreateByTakeOver_PassThrough"
TAKEN_OVER = "BustTrade", TAKE_OVER
STAGED = "Trade", "CreateByLiq"
"""`execType` and `createType` of what is taken over, and of the parts that are closed before."""


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
        """Bring an account back below its maintenance rate, or to nothing; in isolated margin each leg."""
        if account.isolated:
            for leg in list(account.legs.values()):
                if leg.size and self._state.valuation.is_due(account, leg):
                    self._liquidate_leg(account, leg, now_ms)
        elif self._is_due(account):
            self._liquidate_account(account, now_ms)
        if account.wallet < 0:
            self._insure(account, now_ms)

    def _liquidate_account(self, account: Account, now_ms: int) -> None:
        self._cancelling.cancel_all(account, "CancelAllBeforeLiq", now_ms)
        for symbol in _biggest_first(account):
            mark = self._state.markets[symbol].mark
            for leg, qty in _steps(account, symbol):
                if not self._is_due(account):
                    return
                self._take_over(account, leg, min(qty, leg.size), mark, now_ms)

    def _is_due(self, account: Account) -> bool:
        return is_due(self._state.valuation.totals(account))

    # ------------------------------------------------------------------ isolated margin

    def _liquidate_leg(self, account: Account, leg: Leg, now_ms: int) -> None:
        valuation, market = self._state.valuation, self._state.markets[leg.symbol]
        while leg.auto_add and self._replenish(account, leg, now_ms):
            if not valuation.is_due(account, leg):
                return
        self._cancelling.cancel_all(account, "CancelAllBeforeLiq", now_ms, symbol=leg.symbol)
        bust = max(market.instrument.tick_size, valuation.bankruptcy_price(account, leg) or market.mark)
        is_gone = market.mark <= bust if leg.direction is Direction.LONG else market.mark >= bust
        while not is_gone and valuation.is_due(account, leg):
            part = self._above_lower_tier(leg)
            if not part:
                break
            self._take_over(account, leg, part, market.mark, now_ms, kind=STAGED)
        if leg.size and valuation.is_due(account, leg):
            self._take_over(account, leg, leg.size, bust, now_ms)

    def _replenish(self, account: Account, leg: Leg, now_ms: int) -> bool:
        """Add to the margin of a leg from the available balance; False when there is nothing to add."""
        valuation = self._state.valuation
        amount = rounded(replenishment(valuation.state(account, leg), leg.extra, valuation.available(account)))
        if amount <= 0:
            return False
        leg.extra += amount
        leg.updated_ms = now_ms
        self._outbox.leg_changed(account, leg)
        self._outbox.flush()
        return True

    def _above_lower_tier(self, leg: Leg) -> Decimal:
        """How much of a leg is above what the next lower risk tier holds, in whole steps; 0 in the lowest tier."""
        market = self._state.markets[leg.symbol]
        tiers, step = market.instrument.tiers, market.instrument.qty_step
        at = tiers.index(tier_for(tiers, leg.size * market.mark))
        if not at:
            return Decimal(0)
        return leg.size - tiers[at - 1].limit / market.mark // step * step

    def _take_over(
        self,
        account: Account,
        leg: Leg,
        qty: Decimal,
        price: Decimal,
        now_ms: int,
        *,
        kind: tuple[str, str] = TAKEN_OVER,
    ) -> None:
        """Close part of a leg, whether the account wants it or not."""
        exec_type, create_type = kind
        request = NewOrder(
            leg.symbol, leg.direction.close_side, qty, None, leg.position_idx, "IOC", create_type=create_type
        )
        order = self._state.new_order(request, now_ms, closing=True)
        account.add_open(order)
        self._done.append(Liquidation(leg.symbol, leg.direction.open_side, qty, price, now_ms))
        self._fills.book(account, order, Deal(qty, price, now_ms, is_maker=False, exec_type=exec_type))
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
