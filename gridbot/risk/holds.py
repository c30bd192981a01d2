"""What stops orders until somebody lifts it, as one step function: stopping, not ready, latch, halt, pause. Pure.

An account has a `Holds`, and each of its strategies has one::

    account     free ──Stop──► stopping (for good)
                free ──Latch─► session loss ──Resume──► free
                free ──Kill──► latched ──Unlatch──► free

    strategy    not ready ──Ready──► free ──NotReady──► not ready
                free ──Halt──► halted ──Resume──► free
                free ──Kill──► latched ──Unlatch──► free
                free ──Pause─► paused ──Resume──► free
                free ──Reduce► reducing ──Resume──► free      (one `Resume` ends these three)

`reducing` stops what would open, the others stop every order of a strategy. `latched` of an account is its own hold,
beside the loss limit's: that one is told twice a second that the account may trade, which must not end a `kill`.

Each hold stands beside the others, and keeps its first reason until it is lifted; what the exchange does to a strategy
that is paused already comes before that reason, since whoever resumes it has to know. The table, in the order in which
the gate names them (docs/risk.md 6.1, 6.5):

    hold          of         set by                           lifted by
    stopping      account    worker                           nothing
    not_ready     strategy   worker                           Ready: the start is complete
    latched       both       operator, loss_limit             Unlatch: an operator
    session_loss  account    loss_limit                       Resume: an operator, for the whole account
    halted        strategy   exchange, fault (ours)           Resume: an operator
    paused        strategy   operator, liquidation, exchange  Resume: an operator
    reducing      strategy   operator, loss_limit             Resume: an operator

A `Holds` is one value, which `to_document` and `from_document` write and read with reason, who and when. What an
operator, the exchange or a fault has held of a strategy is durable (`DURABLE`): `state/holds_file.py` keeps it. The
loss latch has its own file (`loss_limit`), and so has an account's latch (`state/flatten_file.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from gridbot.risk.refusals import Refusal

__all__ = [
    "DURABLE",
    "LIFTED_BY",
    "NOT_READY",
    "PAUSED_ALREADY",
    "REFUSALS",
    "SET_BY",
    "Event",
    "Halt",
    "Held",
    "Hold",
    "Holds",
    "Kill",
    "Latch",
    "Lifting",
    "NotReady",
    "Pause",
    "Ready",
    "Reduce",
    "Resume",
    "Stop",
    "Unlatch",
    "Who",
    "refusal_of",
    "step",
]


class Hold(StrEnum):
    """What may be held, in the order in which the gate names them."""

    STOPPING = "stopping"
    NOT_READY = "not_ready"
    LATCHED = "latched"
    SESSION_LOSS = "session_loss"
    HALTED = "halted"
    PAUSED = "paused"
    REDUCING = "reducing"


class Who(StrEnum):
    """Who set a hold."""

    WORKER = "worker"
    OPERATOR = "operator"
    EXCHANGE = "exchange"
    FAULT = "fault"
    LIQUIDATION = "liquidation"
    LOSS_LIMIT = "loss_limit"


REFUSALS: Mapping[Hold, Refusal] = {
    Hold.STOPPING: Refusal.STOPPING,
    Hold.NOT_READY: Refusal.NOT_READY,
    Hold.LATCHED: Refusal.LATCHED,
    Hold.SESSION_LOSS: Refusal.LOSS_LIMIT,
    Hold.HALTED: Refusal.HALTED,
    Hold.PAUSED: Refusal.PAUSED,
    Hold.REDUCING: Refusal.REDUCING,
}
SET_BY: Mapping[Hold, frozenset[Who]] = {
    Hold.STOPPING: frozenset({Who.WORKER}),
    Hold.NOT_READY: frozenset({Who.WORKER}),
    Hold.LATCHED: frozenset({Who.OPERATOR, Who.LOSS_LIMIT}),
    Hold.SESSION_LOSS: frozenset({Who.LOSS_LIMIT}),
    Hold.HALTED: frozenset({Who.EXCHANGE, Who.FAULT}),
    Hold.PAUSED: frozenset({Who.OPERATOR, Who.LIQUIDATION, Who.EXCHANGE}),
    Hold.REDUCING: frozenset({Who.OPERATOR, Who.LOSS_LIMIT}),
}
DURABLE = frozenset({Hold.LATCHED, Hold.HALTED, Hold.PAUSED, Hold.REDUCING})
"""What holds a strategy over any number of deaths, until an operator lifts it."""
_BY_RANK: tuple[Refusal | None, ...] = (*(REFUSALS[hold] for hold in Hold), None)


@dataclass(frozen=True, slots=True)
class Held:
    """Why, who set it, and when (ms UTC)."""

    reason: str
    who: Who
    since_ms: int


@dataclass(frozen=True, slots=True)
class Holds:
    """What holds an account or a strategy now."""

    held: Mapping[Hold, Held] = field(default_factory=dict)
    rank: int = field(init=False, compare=False, repr=False)
    """The place of the first hold in `Hold`, so that the gate need not search for each order."""

    def __post_init__(self) -> None:
        rank = next((place for place, hold in enumerate(Hold) if hold in self.held), len(Hold))
        object.__setattr__(self, "rank", rank)

    def reason(self, hold: Hold) -> str:
        """Why; empty when that does not hold."""
        return self.held[hold].reason if hold in self.held else ""

    def durable(self) -> Holds:
        """What of this outlives the process."""
        return Holds({hold: held for hold, held in self.held.items() if hold in DURABLE})

    def to_document(self) -> dict[str, Any]:
        """All holds, JSON-able."""
        return {
            str(hold): {"reason": held.reason, "who": str(held.who), "since_ms": held.since_ms}
            for hold, held in self.held.items()
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote. KeyError, TypeError or ValueError for anything else."""
        return cls(
            {
                Hold(name): Held(str(row["reason"]), Who(row["who"]), int(row["since_ms"]))
                for name, row in document.items()
            }
        )


PAUSED_ALREADY = "; it was paused already: "

NOT_READY = Holds({Hold.NOT_READY: Held("the start is not complete", Who.WORKER, 0)})
"""A strategy that nothing is known of yet."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The worker stops: from now on only an operator's close passes."""

    reason: str = "the worker is stopping"
    who: Who = Who.WORKER


@dataclass(frozen=True, slots=True)
class NotReady:
    """What is known is not complete, or the strategy ends."""

    reason: str = "not reconciled with the exchange"
    who: Who = Who.WORKER


@dataclass(frozen=True, slots=True)
class Ready:
    """All is known and equal to the exchange."""


@dataclass(frozen=True, slots=True)
class Latch:
    """The account has lost too much; `reason` says how much."""

    reason: str
    who: Who = Who.LOSS_LIMIT


@dataclass(frozen=True, slots=True)
class Halt:
    """A fault of ours, or the exchange, stops a strategy."""

    reason: str
    who: Who


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator pauses a strategy, or the exchange took a position of it."""

    reason: str
    who: Who


@dataclass(frozen=True, slots=True)
class Kill:
    """It is closed, and stays so: not even a close of a strategy passes."""

    reason: str
    who: Who


@dataclass(frozen=True, slots=True)
class Reduce:
    """Only closes pass from now on."""

    reason: str
    who: Who


@dataclass(frozen=True, slots=True)
class Resume:
    """An operator lets it trade again. Of an account: the loss limit does not stop it."""


@dataclass(frozen=True, slots=True)
class Unlatch:
    """An operator ends the latch of an account."""


Setting = Stop | NotReady | Latch | Halt | Pause | Kill | Reduce
Lifting = Ready | Resume | Unlatch
Event = Setting | Lifting

_SETS: Mapping[type[Setting], Hold] = {
    Stop: Hold.STOPPING,
    NotReady: Hold.NOT_READY,
    Latch: Hold.SESSION_LOSS,
    Halt: Hold.HALTED,
    Pause: Hold.PAUSED,
    Kill: Hold.LATCHED,
    Reduce: Hold.REDUCING,
}
LIFTED_BY: Mapping[type[Lifting], frozenset[Hold]] = {
    Ready: frozenset({Hold.NOT_READY}),
    Resume: frozenset({Hold.SESSION_LOSS, Hold.HALTED, Hold.PAUSED, Hold.REDUCING}),
    Unlatch: frozenset({Hold.LATCHED}),
}


def step(state: Holds, event: Event, now_ms: int) -> tuple[Holds, frozenset[Hold]]:
    """Apply an event; also the holds that it set or lifted. ValueError when `who` may not set that hold.

    A hold that stands already keeps its first reason, a pause the exchange's newest besides; a hold that does not stand
    cannot be lifted.
    """
    if isinstance(event, Ready | Resume | Unlatch):
        lifted = frozenset(LIFTED_BY[type(event)] & state.held.keys())
        left = {hold: held for hold, held in state.held.items() if hold not in lifted}
        return (Holds(left), lifted) if lifted else (state, lifted)
    hold = _SETS[type(event)]
    if event.who not in SET_BY[hold]:
        raise ValueError(f"expected {hold} to be set by {', '.join(sorted(SET_BY[hold]))}, got {event}")
    known, new = state.held.get(hold), Held(event.reason, event.who, now_ms)
    if known is not None:
        newest = known.reason.partition(PAUSED_ALREADY)[0]
        if hold is not Hold.PAUSED or event.who is Who.OPERATOR or newest == event.reason:
            return state, frozenset()
        first = known.reason.rpartition(PAUSED_ALREADY)[2]
        new = Held(f"{event.reason}{PAUSED_ALREADY}{first}", event.who, known.since_ms)
    return Holds({**state.held, hold: new}), frozenset({hold})


def refusal_of(account: Holds, strategy: Holds) -> Refusal | None:
    """What the gate answers to an order of the strategy: the first hold of either."""
    return _BY_RANK[account.rank if account.rank < strategy.rank else strategy.rank]
