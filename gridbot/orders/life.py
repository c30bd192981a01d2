"""What becomes of an order: its whole life as one step function. Pure; effects are values that a shell carries out.

::

    Submitted ─► PENDING ──Sending──► (in flight) ──Placed: acknowledged──► Heard ─► OPEN ─► ... ─► FILLED, CANCELLED
                  ▲   │                  │    │
                  │   │ Withdrawn        │    ├── not created, may pass ──► waits (1, 2, 4 s) ──RetryDue──► AskGate
                  │   ▼                  │    │                               │                              │
                  │  CANCELLED           │    │                     Withdrawn └─► CANCELLED, no request      │
                  │  (no request)        │    └── refused ──► REJECTED                                       │
                  │                      ▼                                                                   │
                  │                  UNRESOLVED ──Heard: rests ──► OPEN (withdrawn: cancelled at once)       │
                  │                    │    │                                                                │
                  │          GONE ◄────┘    └── NEVER_ARRIVED ─► waits (withdrawn: CANCELLED)                │
                  └──────────────────────────GateAnswered: admitted ─────────────────────────────────────────┘

    OPEN, PARTIALLY_FILLED ──Withdrawn──► PENDING_CANCEL ──Heard: Cancelled──► CANCELLED
                                             │    ▲  │
                            refused for good │    │  ├── may pass ─► waits ──RetryDue──► SendCancel
                             (wanted again)  ▼    │  └── "no such order" ─► UNRESOLVED, still withdrawn
                                           OPEN   └── STILL_OPEN: cancelled again

    CANCELLED, REJECTED by our inference ──Heard, newer──► OPEN again, with an alert (Revived: a listing shows it)

Rules:

* `withdrawn` is the end of a wish. Such an order is never sent (again). What the exchange does not have ends without a
  request; what may rest is cancelled; what is unresolved is cancelled as soon as it is known to rest. Its level stays
  taken until it is over. Only a cancel that the exchange refuses for good gives the order back.
* The tries of a request are part of the order (`Tries`), so no end, withdrawal or acknowledgement can leave one behind.
* The exchange's word about an order itself counts more than the answer to one request about it.
* At most one order that we want rests per leg and price. One that turns up at a taken level (adopted, revived, priced
  anew by the exchange) is cancelled at once.
* Newer beats older, and the exchange beats our inference; what is complete never comes back.

`MEANT` says in which states an event may change its order; in all others it changes nothing (the answer to a request
may still count at the gate).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.orders.book import OrderBook
from gridbot.orders.life_answers import cancel_answered, placed
from gridbot.orders.life_effects import Effect
from gridbot.orders.life_events import (
    Adopted,
    CancelAnswered,
    Event,
    Executed,
    GateAnswered,
    GivenUp,
    Heard,
    KeyFailing,
    LevelBroken,
    LookedUp,
    Placed,
    RetryDue,
    Revived,
    Sending,
    Stopped,
    StrangerSeen,
    StrategyHalted,
    Submitted,
    Withdrawn,
)
from gridbot.orders.life_news import adopted, executed, heard, looked_up, revived, stranger_seen
from gridbot.orders.life_wishes import (
    gate_answered,
    given_up,
    key_failing,
    level_broken,
    retry_due,
    sending,
    stopped,
    strategy_halted,
    submitted,
    withdrawn,
)
from gridbot.orders.order import OrderState

__all__ = ["MEANT", "step"]

S = OrderState
_ANY = frozenset(S)
_FINAL = frozenset(state for state in S if state.is_final)
_ALIVE = _ANY - _FINAL
_NONE: frozenset[OrderState] = frozenset()

MEANT: dict[type[Event], frozenset[OrderState]] = {
    Submitted: frozenset({S.PENDING}),
    Adopted: frozenset({S.OPEN, S.PARTIALLY_FILLED}),
    Withdrawn: _ALIVE - {S.PENDING_CANCEL},
    Stopped: frozenset({S.PENDING, S.UNRESOLVED}),
    Sending: frozenset({S.PENDING}),
    RetryDue: frozenset({S.PENDING, S.UNRESOLVED, S.PENDING_CANCEL}),
    GateAnswered: frozenset({S.PENDING, S.UNRESOLVED}),
    LevelBroken: _NONE,
    KeyFailing: frozenset({S.PENDING, S.UNRESOLVED, S.PENDING_CANCEL}),
    StrategyHalted: _NONE,
    GivenUp: _FINAL,
    Placed: _ALIVE,
    CancelAnswered: _ALIVE,
    Heard: _ANY,
    StrangerSeen: _NONE,
    Revived: _ANY,
    LookedUp: _ALIVE,
    Executed: _ANY,
}

# `Any`: each handler takes the event that it is listed under.
_HANDLERS: dict[type[Event], Callable[[OrderBook, Any, float], list[Effect]]] = {
    Submitted: submitted,
    Adopted: adopted,
    Withdrawn: withdrawn,
    Stopped: stopped,
    Sending: sending,
    RetryDue: retry_due,
    GateAnswered: gate_answered,
    LevelBroken: level_broken,
    KeyFailing: key_failing,
    StrategyHalted: strategy_halted,
    GivenUp: given_up,
    Placed: placed,
    CancelAnswered: cancel_answered,
    Heard: heard,
    StrangerSeen: stranger_seen,
    Revived: revived,
    LookedUp: looked_up,
    Executed: executed,
}


def step(book: OrderBook, event: Event, now_s: float) -> list[Effect]:
    """Apply an event to the orders of one strategy and return what has to be done, in this order.

    The book is the state; it is changed in place, here and nowhere else (a copy per event would cost more than the
    decision). `now_s` is in seconds on the monotonic clock. IllegalTransition is a bug of ours.
    """
    return _HANDLERS[type(event)](book, event, now_s)
