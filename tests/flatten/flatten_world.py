"""An exchange as far as flattening needs one: orders, legs, faults drawn by somebody else, in a time of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.core import Direction, Instrument
from gridbot.exchange.failures import ErrorKind
from gridbot.flatten.flatten_invariants import of_effects
from gridbot.flatten.flatten_state import FlattenState
from gridbot.flatten.flatten_step import next_look_s, step
from gridbot.flatten.flatten_words import (
    AskKnown,
    AskLegs,
    AskMarket,
    AskOrders,
    Begun,
    Cancel,
    CancelAnswered,
    Close,
    CloseAnswered,
    Effect,
    Event,
    Finished,
    KeepLatch,
    Known,
    LatchSaved,
    LegName,
    LegsListed,
    MarketRead,
    OrdersListed,
    Others,
    Problem,
    ReadFailed,
    Resting,
    Terms,
    Time,
    Told,
    Wanted,
    Warn,
    WithdrawKnown,
    Withdrawn,
)

D = Decimal
A, B = "AUSDT", "BUSDT"
RULES = {
    symbol: Instrument(
        symbol=symbol,
        tick_size=D("0.5"),
        qty_step=D("0.1"),
        min_order_qty=D("0.3"),
        max_order_qty=D(10),
        max_market_qty=D(4),
    )
    for symbol in (A, B)
}
PRICE = D(1000)
OK, LOST, NEVER = "ok", "lost", "never"
"""Answered; done, and the answer is lost; not done, and no answer."""
Fault = Callable[[str, Effect], str | ErrorKind]
"""What becomes of a request: one of the words above, or the kind of its refusal."""


def honest(what: str, request: Effect) -> str | ErrorKind:
    return OK


@dataclass
class World:
    """`fault` is asked for each request. What a refused or late close does is as the exchange does it: it reduces."""

    legs: dict[LegName, Decimal]
    orders: list[Resting]
    fault: Fault = honest
    terms: Terms = field(default_factory=Terms)
    symbols: dict[str, bool] = field(default_factory=lambda: {A: True, B: True})
    others: Others = Others.UNSEEN
    disk_s: float | None = 0.0
    delay_s: float = 0.05
    has_socket: bool = False
    stubborn: int = 0
    """Orders that the books know of and that do not go, during a ban."""
    dust_goes: bool = True
    one_way: tuple[LegName, ...] = ()
    now_s: float = 100.0
    log: list[tuple[float, Effect]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = FlattenState(Wanted(self.symbols, self.terms, self.others))
        self.events: list[tuple[float, int, Event]] = []
        self.count = 0
        self.finished: Finished | None = None
        """The first end it told."""

    def run(self, until_s: float = 2000.0) -> Finished | None:
        """Until it ends, or for so long."""
        end_s = self.now_s + until_s
        self.feed(Begun())
        while self.finished is None and self.now_s < end_s:
            due_s = self.now_s + max(0.001, next_look_s(self.state, self.now_s))
            if self.events and self.events[0][0] <= due_s:
                self.now_s, _, event = heapq.heappop(self.events)
                self.feed(event)
            else:
                self.now_s = due_s
                self.feed(Time())
        return self.finished

    def of(self, kind: type[Effect]) -> list[Effect]:
        return [effect for _, effect in self.log if isinstance(effect, kind)]

    def feed(self, event: Event) -> list[Effect]:
        effects = step(self.state, event, self.now_s)
        self.violations += of_effects(self.state, effects, self.now_s)
        for effect in effects:
            self.log.append((self.now_s, effect))
            if self.finished is None and isinstance(effect, Finished):
                self.finished = effect
            self.carry_out(effect)
        return effects

    def later(self, event: Event, after_s: float | None = None) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.now_s + (self.delay_s if after_s is None else after_s), self.count, event))

    # ------------------------------------------------------------------ the exchange

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case KeepLatch() if self.disk_s is not None:
                self.later(LatchSaved(), self.disk_s)
            case AskOrders():
                self.read("orders", effect, OrdersListed(self.now_s, tuple(self.orders)))
            case AskLegs():
                self.read("legs", effect, LegsListed(self.now_s, dict(self.legs), one_way=self.one_way))
            case AskKnown():
                self.later(self.known(), 0.0)
            case AskMarket(symbol=symbol):
                self.read(symbol, effect, MarketRead(symbol, RULES[symbol], PRICE))
            case Cancel(rows=rows):
                self.cancel(rows, effect)
            case Close():
                self.close(effect)
            case WithdrawKnown():
                self.later(Withdrawn(3), 0.0)
            case KeepLatch() | Warn() | Told() | Finished():
                pass

    def known(self) -> Known:
        if not self.has_socket:
            return Known()
        markets = {symbol: (RULES[symbol], PRICE) for symbol in (A, B)}
        return Known(dict(self.legs), markets, self.stubborn)

    def read(self, what: str, request: Effect, answer: Event) -> None:
        fate = self.fault("read", request)
        problem = self.problem(fate)
        self.later(answer if problem is None else ReadFailed(what, problem))

    def cancel(self, rows: Iterable[Resting], request: Effect) -> None:
        for row in rows:
            fate = self.fault("cancel", request)
            problem = self.problem(fate)
            if row not in self.orders and problem is None:
                problem = Problem(ErrorKind.NOT_FOUND, "order not exists")
            elif fate in (OK, LOST) and row in self.orders:
                self.orders.remove(row)
            self.later(CancelAnswered(row.order_id, problem))

    def close(self, close: Close) -> None:
        fate = self.fault("close", close)
        name = (close.symbol, close.direction)
        size = self.legs.get(name, D(0))
        problem = self.problem(fate)
        if problem is None and not size:
            problem = Problem(ErrorKind.RESYNC, "position is zero")
        if fate in (OK, LOST):
            self.legs[name] = max(D(0), size - (close.qty or size))
        self.later(CloseAnswered(close.number, problem))

    def problem(self, fate: str | ErrorKind) -> Problem | None:
        if fate == OK:
            return None
        if isinstance(fate, ErrorKind):
            return Problem(fate, f"{fate}", self.now_s + 600 if fate is ErrorKind.IP_BAN else None)
        return Problem(ErrorKind.AMBIGUOUS, "no answer")


def resting(number: int, symbol: str = A, *, ours: bool = True, opens: bool = True) -> Resting:
    return Resting(symbol, f"id{number}", f"link{number}" if ours else "", ours, opens)


LONG, SHORT = Direction.LONG, Direction.SHORT
