"""An order in each situation of its life, brought there by events, and each event there is, for the tests of `life`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.core import ExecutionEvent, OrderStatus, OrderUpdateEvent
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import OrderAck
from gridbot.orders import life_effects, life_events
from gridbot.orders.book import OrderBook
from gridbot.orders.life import step
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.orders.proposal import proposal_of
from gridbot.orders.retry import RetryItem
from tests.orders.helpers import INSTRUMENT, make_order, update

D = Decimal
NOW_S = 100.0
SENT_MS = 7
BUSY = make_error("busy", ErrorKind.RETRY)
LOST = make_error("no answer in time", ErrorKind.AMBIGUOUS)
REFUSED = make_error("bad price", ErrorKind.PARAM, ret_code=10001)
NO_SUCH_ORDER = make_error("too late", ErrorKind.NOT_FOUND, ret_code=110001)
BAD_KEY = make_error("invalid key", ErrorKind.AUTH, ret_code=10003)
LATER_TS = 20


@dataclass
class LifeBench:
    """One order in a book, and the effects of the last event."""

    order: TrackedOrder = field(default_factory=lambda: make_order())
    book: OrderBook = field(default_factory=lambda: OrderBook(INSTRUMENT))
    now_s: float = NOW_S

    def take(self, event: life_events.Event) -> list[life_effects.Effect]:
        return step(self.book, event, self.now_s)

    def submit(self) -> None:
        self.order.on_wire = False
        self.take(life_events.Submitted(self.order, proposal_of(self.order)))

    def placed(self, answer: OrderAck | ExchangeError) -> life_events.Placed:
        return life_events.Placed(self.order, result_of_place(answer))

    def cancelled(self, answer: OrderAck | ExchangeError) -> life_events.CancelAnswered:
        return life_events.CancelAnswered(self.order, result_of_cancel(answer))

    @property
    def ack(self) -> OrderAck:
        return OrderAck(f"x-{self.order.link_id}", self.order.link_id)

    def row(self, status: OrderStatus, cum: str = "0", ts: int = LATER_TS, **more: Any) -> OrderUpdateEvent:
        return update(self.order, status, cum, ts, **more)

    def heard(self, status: OrderStatus, cum: str = "0", ts: int = LATER_TS, **more: Any) -> life_events.Heard:
        return life_events.Heard(self.order, self.row(status, cum, ts, **more))

    def execution(self, qty: str, leaves: str, ts: int = LATER_TS, **more: Any) -> life_events.Executed:
        order = self.order
        values = {"leaves_qty": D(leaves), "exchange_ts": ts, **more}
        fill = ExecutionEvent(order.symbol, "e1", "", order.link_id, order.side, order.price, D(qty), **values)
        return life_events.Executed(order.key, fill)

    def due(self, *, is_cancel: bool) -> life_events.RetryDue:
        return life_events.RetryDue(RetryItem(self.order.key, is_cancel, 0, self.now_s, "busy"))

    def reach(self, situation: str) -> LifeBench:
        """Live the life that leads there."""
        for event in SITUATIONS[situation]:
            self.take(event(self))
        return self


Make = Callable[[LifeBench], life_events.Event]


def _submit(bench: LifeBench) -> life_events.Event:
    bench.order.on_wire = False
    return life_events.Submitted(bench.order, proposal_of(bench.order))


def _sending(bench: LifeBench) -> life_events.Event:
    return life_events.Sending(bench.order, SENT_MS)


def _withdrawn(bench: LifeBench) -> life_events.Event:
    return life_events.Withdrawn(bench.order.key, "outside_grid")


def _found(found: life_events.LookUp) -> Make:
    return lambda bench: life_events.LookedUp(bench.order, found)


_queued = [_submit]
_flying = [*_queued, _sending]
_acked: list[Make] = [*_flying, lambda b: b.placed(b.ack)]
_unresolved: list[Make] = [*_flying, lambda b: b.placed(LOST)]
_open: list[Make] = [*_acked, lambda b: b.heard(OrderStatus.NEW, ts=10)]
_partial: list[Make] = [*_open, lambda b: b.execution("0.004", "0.006", 12)]
_leaving: list[Make] = [*_open, _withdrawn]

SITUATIONS: dict[str, list[Make]] = {
    "queued": list(_queued),
    "in flight": list(_flying),
    "acknowledged": _acked,
    "waits": [*_flying, lambda b: b.placed(BUSY)],
    "unresolved": _unresolved,
    "unresolved, waits": [*_unresolved, _found(life_events.LookUp.NEVER_ARRIVED)],
    "unresolved, withdrawn": [*_unresolved, _withdrawn],
    "open": _open,
    "partially filled": _partial,
    "cancel sent": _leaving,
    "cancel waits": [*_leaving, lambda b: b.cancelled(BUSY)],
    "cancel answered": [*_leaving, lambda b: b.cancelled(b.ack)],
    "cancel lost": [*_leaving, lambda b: b.cancelled(LOST)],
    "sent, cancel lost": [*_flying, _withdrawn, lambda b: b.cancelled(LOST)],
    "sent, cancel sent": [*_flying, _withdrawn],
    "filled": [*_open, lambda b: b.execution("0.010", "0", 12)],
    "filled, unsettled": [*_open, lambda b: b.heard(OrderStatus.FILLED, "0.010", 12)],
    "cancelled": [*_open, lambda b: b.heard(OrderStatus.CANCELLED, ts=12)],
    "held to be cancelled": [*_leaving, lambda b: b.cancelled(NO_SUCH_ORDER), _found(life_events.LookUp.GONE)],
    "held to be rejected": [*_flying, lambda b: b.placed(REFUSED)],
}

EVENTS: dict[str, Make] = {
    "withdrawn": _withdrawn,
    "stopped": lambda b: life_events.Stopped("stop"),
    "create due": lambda b: b.due(is_cancel=False),
    "cancel due": lambda b: b.due(is_cancel=True),
    "gate admits": lambda b: life_events.GateAnswered(b.order, ""),
    "gate refuses": lambda b: life_events.GateAnswered(b.order, "paused"),
    "create: accepted": lambda b: b.placed(b.ack),
    "create: busy": lambda b: b.placed(BUSY),
    "create: lost": lambda b: b.placed(LOST),
    "create: refused": lambda b: b.placed(REFUSED),
    "create: denied": lambda b: life_events.Placed(b.order, OrderResult.denied("not now")),
    "cancel: accepted": lambda b: b.cancelled(b.ack),
    "cancel: busy": lambda b: b.cancelled(BUSY),
    "cancel: no such order": lambda b: b.cancelled(NO_SUCH_ORDER),
    "cancel: bad key": lambda b: b.cancelled(BAD_KEY),
    "cancel: denied": lambda b: life_events.CancelAnswered(b.order, OrderResult.denied("not now")),
    "heard: rests": lambda b: b.heard(OrderStatus.NEW),
    "heard: filled in part": lambda b: b.heard(OrderStatus.PARTIALLY_FILLED, "0.006"),
    "heard: filled": lambda b: b.heard(OrderStatus.FILLED, "0.010"),
    "heard: cancelled": lambda b: b.heard(OrderStatus.CANCELLED),
    "listed": lambda b: life_events.Revived(b.row(OrderStatus.NEW)),
    "found open": _found(life_events.LookUp.STILL_OPEN),
    "gone": _found(life_events.LookUp.GONE),
    "never arrived": _found(life_events.LookUp.NEVER_ARRIVED),
    "executed in part": lambda b: b.execution("0.002", "0.004"),
    "executed": lambda b: b.execution("0.010", "0"),
    "given up": lambda b: life_events.GivenUp(b.order),
    "key fails": lambda b: life_events.KeyFailing(BAD_KEY),
    "level broken": lambda b: life_events.LevelBroken(b.order, answered=True),
    "halted": lambda b: life_events.StrategyHalted(b.order, REFUSED),
}
"""Each event, except those that begin a life and `Sending` (`SITUATIONS` are made of them)."""


def names(effects: list[life_effects.Effect]) -> str:
    """The effects in short: a transition as `[before>after]`, the three of a cancel request as `cancel[before]`."""
    text = " ".join(f"[{e.before}>{e.after}]" if isinstance(e, Transition) else type(e).__name__ for e in effects)
    return re.sub(r"NoteCancel \[(\w+)>pending_cancel\] SendCancel", r"cancel[\1]", text)


def outcomes(event: str) -> dict[str, set[str]]:
    """What an event leads to in each situation: the effects in short -> situations."""
    found: dict[str, set[str]] = {}
    for situation in SITUATIONS:
        bench = LifeBench().reach(situation)
        found.setdefault(names(bench.take(EVENTS[event](bench))), set()).add(situation)
    return found


def expected(row: dict[str, str]) -> dict[str, set[str]]:
    """A row of a table: effects -> situations, separated by bars; `*` stands for all that are not named."""
    named = {effects: set(text.split(" | ")) for effects, text in row.items() if text != "*"}
    others = set(SITUATIONS).difference(*named.values())
    return {effects: named.get(effects, others) for effects in row}
