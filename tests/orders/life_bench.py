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
from gridbot.orders import life_types as life
from gridbot.orders.book import OrderBook
from gridbot.orders.life import step
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.orders.proposal import proposal_of
from gridbot.orders.retry import RetryItem
from tests.orders.helpers import INSTRUMENT, make_order, update

D = Decimal
NOW_S = 100.0
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

    def take(self, event: life.Event) -> list[life.Effect]:
        return step(self.book, event, self.now_s)

    def submit(self) -> None:
        self.order.on_wire = False
        self.take(life.Submitted(self.order, proposal_of(self.order)))

    def placed(self, answer: OrderAck | ExchangeError) -> life.Placed:
        return life.Placed(self.order, result_of_place(answer))

    def cancelled(self, answer: OrderAck | ExchangeError) -> life.CancelAnswered:
        return life.CancelAnswered(self.order, result_of_cancel(answer))

    @property
    def ack(self) -> OrderAck:
        return OrderAck(f"x-{self.order.link_id}", self.order.link_id)

    def row(self, status: OrderStatus, cum: str = "0", ts: int = LATER_TS, **more: Any) -> OrderUpdateEvent:
        return update(self.order, status, cum, ts, **more)

    def heard(self, status: OrderStatus, cum: str = "0", ts: int = LATER_TS, **more: Any) -> life.Heard:
        return life.Heard(self.order, self.row(status, cum, ts, **more))

    def execution(self, qty: str, leaves: str, ts: int = LATER_TS, **more: Any) -> life.Executed:
        order = self.order
        values = {"leaves_qty": D(leaves), "exchange_ts": ts, **more}
        fill = ExecutionEvent(order.symbol, "e1", "", order.link_id, order.side, order.price, D(qty), **values)
        return life.Executed(order.key, fill)

    def due(self, *, is_cancel: bool) -> life.RetryDue:
        return life.RetryDue(RetryItem(self.order.key, is_cancel, 0, self.now_s, "busy"))

    def reach(self, situation: str) -> LifeBench:
        """Live the life that leads there."""
        for event in SITUATIONS[situation]:
            self.take(event(self))
        return self


Make = Callable[[LifeBench], life.Event]


def _submit(bench: LifeBench) -> life.Event:
    bench.order.on_wire = False
    return life.Submitted(bench.order, proposal_of(bench.order))


def _sending(bench: LifeBench) -> life.Event:
    return life.Sending(bench.order)


def _withdrawn(bench: LifeBench) -> life.Event:
    return life.Withdrawn(bench.order.key, "outside_grid")


def _found(found: life.LookUp) -> Make:
    return lambda bench: life.LookedUp(bench.order, found)


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
    "unresolved, waits": [*_unresolved, _found(life.LookUp.NEVER_ARRIVED)],
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
    "held to be cancelled": [*_leaving, lambda b: b.cancelled(NO_SUCH_ORDER), _found(life.LookUp.GONE)],
    "held to be rejected": [*_flying, lambda b: b.placed(REFUSED)],
}

EVENTS: dict[str, Make] = {
    "withdrawn": _withdrawn,
    "stopped": lambda b: life.Stopped("stop"),
    "create due": lambda b: b.due(is_cancel=False),
    "cancel due": lambda b: b.due(is_cancel=True),
    "gate admits": lambda b: life.GateAnswered(b.order, ""),
    "gate refuses": lambda b: life.GateAnswered(b.order, "paused"),
    "create: accepted": lambda b: b.placed(b.ack),
    "create: busy": lambda b: b.placed(BUSY),
    "create: lost": lambda b: b.placed(LOST),
    "create: refused": lambda b: b.placed(REFUSED),
    "create: denied": lambda b: life.Placed(b.order, OrderResult.denied("not now")),
    "cancel: accepted": lambda b: b.cancelled(b.ack),
    "cancel: busy": lambda b: b.cancelled(BUSY),
    "cancel: no such order": lambda b: b.cancelled(NO_SUCH_ORDER),
    "cancel: bad key": lambda b: b.cancelled(BAD_KEY),
    "cancel: denied": lambda b: life.CancelAnswered(b.order, OrderResult.denied("not now")),
    "heard: rests": lambda b: b.heard(OrderStatus.NEW),
    "heard: filled in part": lambda b: b.heard(OrderStatus.PARTIALLY_FILLED, "0.006"),
    "heard: filled": lambda b: b.heard(OrderStatus.FILLED, "0.010"),
    "heard: cancelled": lambda b: b.heard(OrderStatus.CANCELLED),
    "listed": lambda b: life.Revived(b.row(OrderStatus.NEW)),
    "found open": _found(life.LookUp.STILL_OPEN),
    "gone": _found(life.LookUp.GONE),
    "never arrived": _found(life.LookUp.NEVER_ARRIVED),
    "executed in part": lambda b: b.execution("0.002", "0.004"),
    "executed": lambda b: b.execution("0.010", "0"),
    "given up": lambda b: life.GivenUp(b.order),
    "key fails": lambda b: life.KeyFailing(BAD_KEY),
    "level broken": lambda b: life.LevelBroken(b.order, answered=True),
    "halted": lambda b: life.StrategyHalted(b.order, REFUSED),
}
"""Each event, except those that begin a life and `Sending` (`SITUATIONS` are made of them)."""


def names(effects: list[life.Effect]) -> str:
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
