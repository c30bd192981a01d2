"""What the gate looks at for one strategy. Pure.

The fields may be read anywhere; only the methods here change them (`tests/worker/test_owners.py`). Each method is one
event: a price, a leg, a pause. So what a pause or a halt means is defined in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core import Direction, TickerEvent
from gridbot.orders.book import OrderBook
from gridbot.orders.breakers import RateCap
from gridbot.risk.caps import Caps

__all__ = ["Leg", "StrategyRiskState"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Leg:
    """One position as the gate needs it: base coin, USDT.

    `unsure` is set when the exchange contradicts our size (110017); only a fresh reading clears it.
    """

    size: Decimal = ZERO
    entry_price: Decimal | None = None
    leverage: Decimal | None = None
    unsure: bool = False


@dataclass(slots=True)
class StrategyRiskState:
    """Book, price, legs and limits of one strategy, and what stops it. `price_s` is on a monotonic clock."""

    strat_id: str
    symbol: str
    book: OrderBook
    caps: Caps
    legs: dict[Direction, Leg] = field(default_factory=lambda: {d: Leg() for d in Direction})
    ticker: TickerEvent | None = None
    """The prices that decisions are based on now."""
    last_price: Decimal | None = None
    price_s: float | None = None
    ready: bool = False
    paused: bool = False
    halted: str = ""
    """Why the strategy is halted; empty when it is not."""
    epoch: int = 0
    """Grows whenever a leg or the wallet changes: an order that was refused because of them may pass now."""
    rate: RateCap = field(default_factory=lambda: RateCap(None))

    def notional(self) -> Decimal:
        """USDT of both legs at the last price, and of resting opens."""
        price = self.last_price or ZERO
        held: Decimal = sum((leg.size * price for leg in self.legs.values()), ZERO)
        return held + self.book.opening_notional()

    # ------------------------------------------------------------------ events

    def set_ready(self, *, ready: bool) -> None:
        """Whether the state is complete and reconciled with the exchange."""
        self.ready = ready

    def set_price(self, ticker: TickerEvent, now_s: float) -> None:
        self.ticker, self.last_price, self.price_s = ticker, ticker.last_price, now_s

    def set_leg(self, direction: Direction, leg: Leg) -> None:
        """A leg as the exchange has it now."""
        self.legs[direction] = leg
        self.epoch += 1

    def doubt_leg(self, direction: Direction) -> None:
        """The exchange contradicts the size we have: nothing is closed until it has been read again."""
        self.legs[direction] = replace(self.legs[direction], unsure=True)

    def money_changed(self) -> None:
        """The wallet changed: sizes and caps may have, too."""
        self.epoch += 1

    def pause(self) -> None:
        self.paused = True

    def halt(self, reason: str) -> bool:
        """Stop the strategy until an operator resumes it; False when it was halted before (the first reason stays)."""
        if self.halted:
            return False
        self.halted = reason
        return True

    def resume(self) -> None:
        """An operator ends pause and halt."""
        self.paused, self.halted = False, ""
        self.epoch += 1
