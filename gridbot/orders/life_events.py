"""What can happen to an order: the events of `orders/life.py`."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.proposal import Proposal
from gridbot.orders.retry import RetryItem

__all__ = [
    "Adopted",
    "CancelAnswered",
    "Event",
    "Executed",
    "GateAnswered",
    "GivenUp",
    "Heard",
    "KeyFailing",
    "LevelBroken",
    "LookUp",
    "LookedUp",
    "Placed",
    "RetryDue",
    "Revived",
    "Sending",
    "Stopped",
    "StrangerSeen",
    "StrategyHalted",
    "Submitted",
    "Withdrawn",
]


class LookUp(Enum):
    """The result of a look-up by id of an order that is missing from the listing or whose reply was lost."""

    STILL_OPEN = auto()
    """It still rests, although we asked to cancel it."""
    GONE = auto()
    """The exchange neither lists nor remembers it, and its executions are in."""
    NEVER_ARRIVED = auto()
    """The exchange does not know it, and never acknowledged it."""


# ---------------------------------------------------------------------- our own side


class Submitted(NamedTuple):
    """The gate has admitted a new order."""

    order: TrackedOrder
    proposal: Proposal


@quick_value(frozen=True, slots=True)
class Withdrawn:
    """Somebody (strategy, operator, loss limit) does not want the order any more."""

    key: str
    reason: str


@quick_value(frozen=True, slots=True)
class Stopped:
    """The strategy stops: what the exchange does not have is not sent any more."""

    reason: str


class Sending(NamedTuple):
    """The create request is about to leave. `sent_ms` is our clock (UTC)."""

    order: TrackedOrder
    sent_ms: int


@quick_value(frozen=True, slots=True)
class RetryDue:
    """A request has waited long enough for its next try."""

    item: RetryItem


@quick_value(frozen=True, slots=True)
class GateAnswered:
    """The gate's answer to `AskGate`; an empty `refusal` lets the order through."""

    order: TrackedOrder
    refusal: str


@quick_value(frozen=True, slots=True)
class LevelBroken:
    """The refusals of this order's level have opened its breaker. `answered`: the last was the answer to a request."""

    order: TrackedOrder
    answered: bool


@quick_value(frozen=True, slots=True)
class KeyFailing:
    """Authentication has failed so often that the account's orders are paused."""

    error: ExchangeError


@quick_value(frozen=True, slots=True)
class StrategyHalted:
    """The strategy is halted, and was not before, because of this answer."""

    order: TrackedOrder
    error: ExchangeError


@quick_value(frozen=True, slots=True)
class GivenUp:
    """The executions of a finished order have not come in time."""

    order: TrackedOrder


# ---------------------------------------------------------------------- the exchange


class Placed(NamedTuple):
    """The create request was answered, or denied by us."""

    order: TrackedOrder
    result: OrderResult


@quick_value(frozen=True, slots=True)
class CancelAnswered:
    """The cancel request was answered."""

    order: TrackedOrder
    result: OrderResult


class Heard(NamedTuple):
    """News of an order in the book, by stream, look-up or listing."""

    order: TrackedOrder
    update: OrderUpdateEvent


@quick_value(frozen=True, slots=True)
class StrangerSeen:
    """News of an order that is not in the strategy's book; `ours` by its id."""

    update: OrderUpdateEvent
    ours: bool
    strat_id: str


@quick_value(frozen=True, slots=True)
class Revived:
    """A complete listing shows that an order of the book rests which is over for us, or whose cancel was answered."""

    row: OrderUpdateEvent


@quick_value(frozen=True, slots=True)
class Adopted:
    """One of our orders rests on the exchange and is not in the book."""

    order: TrackedOrder
    source: str


@quick_value(frozen=True, slots=True)
class LookedUp:
    """The exchange was asked for an order by its id and had no row of it, or one that `Heard` could not settle."""

    order: TrackedOrder
    found: LookUp


class Executed(NamedTuple):
    """A new execution; repeats have been removed."""

    key: str
    execution: ExecutionEvent


Event = (
    Submitted
    | Withdrawn
    | Stopped
    | Sending
    | RetryDue
    | GateAnswered
    | LevelBroken
    | KeyFailing
    | StrategyHalted
    | GivenUp
    | Placed
    | CancelAnswered
    | Heard
    | StrangerSeen
    | Revived
    | Adopted
    | LookedUp
    | Executed
)
