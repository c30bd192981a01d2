"""What the gate looks at for one strategy. Pure.

The fields may be read anywhere; only the methods here change them (`tests/worker/test_owners.py`). Each method is one
event: a price, a leg, a pause. What a pause or a halt means is defined in `holds`; the methods here only pass it on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core import Direction, Instrument, TickerEvent
from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.book import OrderBook
from gridbot.risk.band_watch import BandWatch
from gridbot.risk.caps import Caps
from gridbot.risk.holds import (
    DURABLE,
    NOT_READY,
    Event,
    Halt,
    Hold,
    Holds,
    Kill,
    NotReady,
    Pause,
    Ready,
    Reduce,
    Resume,
    Unlatch,
    Who,
    step,
)
from gridbot.risk.symbol_state import Allows
from gridbot.risk.symbol_watch import SymbolWatch

__all__ = ["Leg", "StrategyRiskState"]

ZERO = Decimal(0)
_LONG, _SHORT = Direction.LONG, Direction.SHORT


@quick_value(frozen=True, slots=True)
class Leg:
    """One position as the gate needs it: base coin, USDT.

    `unsure` is set when the exchange contradicts our size (110017); only a fresh reading clears it. `reduce_only`: the
    exchange has cut the leg's risk tier (`isReduceOnly`) and lets it only become smaller.
    """

    size: Decimal = ZERO
    entry_price: Decimal | None = None
    leverage: Decimal | None = None
    unsure: bool = False
    reduce_only: bool = False


@dataclass(slots=True)
class StrategyRiskState:
    """Book, price, legs and limits of one strategy, and what holds it.

    `price_s` is on a monotonic clock; `wall_ms` (ms UTC) says when a hold began. `keep` gets the holds when one
    of those that outlive the process was set or lifted; it must neither block nor raise.
    """

    strat_id: str
    symbol: str
    book: OrderBook
    caps: Caps
    wall_ms: Callable[[], int]
    keep: Callable[[Holds], None] = lambda holds: None
    legs: dict[Direction, Leg] = field(default_factory=lambda: {d: Leg() for d in Direction})
    ticker: TickerEvent | None = None
    """The prices that decisions are based on now."""
    last_price: Decimal | None = None
    price_s: float | None = None
    holds: Holds = NOT_READY
    band: BandWatch = field(init=False)
    symbol_watch: SymbolWatch = field(init=False)
    epoch: int = 0
    """Grows whenever a leg, a size or a limit changes: an order that was refused because of them may pass now. Of the
    wallet `GateState.balance_changes` says so."""
    leg_changes: int = 0
    """Grows whenever a leg changes."""

    def __post_init__(self) -> None:
        self.band = BandWatch(self.book.instrument)
        self.symbol_watch = SymbolWatch(self.book.instrument)
        self.symbol_watch.look(self.wall_ms(), 0.0)

    @property
    def ready(self) -> bool:
        """Whether the state is complete and reconciled with the exchange."""
        return Hold.NOT_READY not in self.holds.held

    @property
    def paused(self) -> bool:
        return Hold.PAUSED in self.holds.held

    @property
    def halted(self) -> str:
        """Why the strategy is halted; empty when it is not."""
        return self.holds.reason(Hold.HALTED)

    @property
    def is_held(self) -> bool:
        """Whether an operator, the exchange or a fault of ours keeps the strategy from sending anything."""
        return not self.holds.held.keys().isdisjoint((Hold.LATCHED, Hold.HALTED, Hold.PAUSED))

    @property
    def latched(self) -> str:
        """Why the strategy is latched; empty when it is not."""
        return self.holds.reason(Hold.LATCHED)

    @property
    def reducing(self) -> str:
        """Why only closes pass; empty when opens do, too."""
        return self.holds.reason(Hold.REDUCING)

    def notional(self) -> Decimal:
        """USDT of both legs at the last price (at their entries while none is known), and of resting opens."""
        price, long, short = self.last_price, self.legs[_LONG], self.legs[_SHORT]
        if price is not None:
            return (long.size + short.size) * price + self.book.opening_notional()
        entered = sum((leg.size * (leg.entry_price or ZERO) for leg in (long, short)), ZERO)
        return entered + self.book.opening_notional()

    # ------------------------------------------------------------------ market and positions

    def set_price(self, ticker: TickerEvent, now_s: float) -> None:
        self.ticker, self.last_price, self.price_s = ticker, ticker.last_price, now_s
        self.band.note(ticker)

    def set_leg(self, direction: Direction, leg: Leg) -> None:
        """A leg as the exchange has it now."""
        if leg != self.legs[direction]:
            self.legs[direction] = leg
            self.leg_changes += 1
            self.epoch += 1

    def doubt_leg(self, direction: Direction) -> None:
        """The exchange contradicts the size we have: nothing is closed until it has been read again."""
        self.legs[direction] = replace(self.legs[direction], unsure=True)

    def limit(self, caps: Caps) -> None:
        """Other limits count from now on: what they had refused may pass."""
        self.caps = caps
        self.epoch += 1

    def sizes_changed(self) -> None:
        """A factor on sizes changed."""
        self.epoch += 1

    def listed(self, instrument: Instrument) -> None:
        """The exchange's rules of the symbol were read; `look` applies them."""
        self.symbol_watch.listed(instrument)

    def in_margin_mode(self, margin_mode: str) -> None:
        """The account's margin mode was read; `look` applies it."""
        self.symbol_watch.in_margin_mode(margin_mode)

    def restricted(self, error: ExchangeError, now_s: float) -> None:
        """The exchange has refused an order because of the state of the symbol."""
        self.symbol_watch.refused(error, now_s)

    def look(self, now_s: float) -> None:
        """A second has passed: what the exchange lets one do with the symbol may have changed."""
        self.symbol_watch.look(self.wall_ms(), now_s)

    def may_open(self, direction: Direction) -> bool:
        """Whether exchange and operator let the leg become larger."""
        if Hold.REDUCING in self.holds.held:
            return False
        return self.symbol_watch.state.allows is Allows.ALL and not self.legs[direction].reduce_only

    # ------------------------------------------------------------------ holds

    def set_ready(self, *, ready: bool, why: str = "") -> None:
        """Whether the state is complete and reconciled with the exchange."""
        self._hold(Ready() if ready else NotReady(why) if why else NotReady())

    def restore(self, holds: Holds) -> None:
        """What an earlier process left holds again, with its reason, who and when. Before the first order."""
        self.holds = Holds({**self.holds.held, **holds.held})

    def pause(self, who: Who = Who.OPERATOR, reason: str = "paused by the operator") -> None:
        """Place nothing until an operator resumes; what paused it first stays."""
        self._hold(Pause(reason, who))

    def reduce(self, who: Who = Who.OPERATOR, reason: str = "only reducing, by the operator") -> None:
        """Open nothing until an operator resumes; closes go on."""
        self._hold(Reduce(reason, who))

    def kill(self, who: Who, reason: str) -> None:
        """Send nothing until an operator resumes, whatever else is lifted."""
        self._hold(Kill(reason, who))

    def halt(self, reason: str, who: Who = Who.EXCHANGE) -> bool:
        """Stop the strategy until an operator resumes it; False when it was halted before (the first reason stays)."""
        return self._hold(Halt(reason, who))

    def resume(self) -> None:
        """An operator ends pause, halt, latch and reduction."""
        self._hold(Resume())
        self._hold(Unlatch())
        self.epoch += 1

    def _hold(self, event: Event) -> bool:
        """Whether the event changed something. Memory first, the file after."""
        self.holds, changed = step(self.holds, event, self.wall_ms())
        if changed & DURABLE:
            self.keep(self.holds)
        return bool(changed)
