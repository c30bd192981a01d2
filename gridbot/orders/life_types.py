"""What can happen to an order (events), and what has to be done about it (effects): the words of `orders/life.py`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum, auto

from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.proposal import Proposal
from gridbot.orders.retry import RetryItem

__all__ = [
    "Adopted",
    "AskExchange",
    "AskGate",
    "CancelAnswered",
    "CountAcceptance",
    "CountAuthFailure",
    "CountAuthSuccess",
    "CountRefusal",
    "DoubtLeg",
    "Effect",
    "Event",
    "Executed",
    "ForgetRetry",
    "GateAnswered",
    "GivenUp",
    "HaltStrategy",
    "Heard",
    "KeepRaw",
    "KeyFailing",
    "LevelBroken",
    "Log",
    "LookUp",
    "LookedUp",
    "NoteCancel",
    "NotePlace",
    "Placed",
    "ReadPositions",
    "ReadWallet",
    "Reconcile",
    "RetryAt",
    "RetryDue",
    "Revived",
    "SendCancel",
    "SendCreate",
    "Sending",
    "Stopped",
    "StrangerSeen",
    "StrategyHalted",
    "Submitted",
    "TellOperator",
    "Wish",
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


class Wish(StrEnum):
    """What became of the wish to cancel an order, as it is recorded."""

    SENT = "sent"
    """A request was queued."""
    DROPPED = "dropped"
    """No request is needed: the exchange does not have the order, and it will not be sent."""
    WAITING = "waiting"
    """Nobody knows whether it exists; it is cancelled when a look-up finds that it rests."""


# ---------------------------------------------------------------------- events: our own side


@dataclass(frozen=True, slots=True)
class Submitted:
    """The gate has admitted a new order."""

    order: TrackedOrder
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Somebody (strategy, operator, loss limit) does not want the order any more."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The strategy stops: what the exchange does not have is not sent any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Sending:
    """The create request is about to leave."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class RetryDue:
    """A request has waited long enough for its next try."""

    item: RetryItem


@dataclass(frozen=True, slots=True)
class GateAnswered:
    """The gate's answer to `AskGate`; an empty `refusal` lets the order through."""

    order: TrackedOrder
    refusal: str


@dataclass(frozen=True, slots=True)
class LevelBroken:
    """The refusals of this order's level have opened its breaker. `answered`: the last was the answer to a request."""

    order: TrackedOrder
    answered: bool


@dataclass(frozen=True, slots=True)
class KeyFailing:
    """Authentication has failed so often that the account's orders are paused."""

    error: ExchangeError


@dataclass(frozen=True, slots=True)
class StrategyHalted:
    """The strategy is halted, and was not before, because of this answer."""

    order: TrackedOrder
    error: ExchangeError


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The executions of a finished order have not come in time."""

    order: TrackedOrder


# ---------------------------------------------------------------------- events: the exchange


@dataclass(frozen=True, slots=True)
class Placed:
    """The create request was answered, or denied by us."""

    order: TrackedOrder
    result: OrderResult


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """The cancel request was answered."""

    order: TrackedOrder
    result: OrderResult


@dataclass(frozen=True, slots=True)
class Heard:
    """News of an order in the book, by stream, look-up or listing."""

    order: TrackedOrder
    update: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class StrangerSeen:
    """News of an order that is not in the strategy's book; `ours` by its id."""

    update: OrderUpdateEvent
    ours: bool
    strat_id: str


@dataclass(frozen=True, slots=True)
class Revived:
    """A complete listing shows that an order of the book rests which is over for us."""

    row: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class Adopted:
    """One of our orders rests on the exchange and is not in the book."""

    order: TrackedOrder
    source: str


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The exchange was asked for an order by its id and had no row of it, or one that `Heard` could not settle."""

    order: TrackedOrder
    found: LookUp


@dataclass(frozen=True, slots=True)
class Executed:
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

# ---------------------------------------------------------------------- effects: records and words


@dataclass(frozen=True, slots=True)
class NotePlace:
    """Record that an order was decided and let through."""

    order: TrackedOrder
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class NoteCancel:
    """Record that an order is withdrawn, and what was done for it."""

    order: TrackedOrder
    wish: Wish
    reason: str


@dataclass(frozen=True, slots=True)
class KeepRaw:
    """Record the exchange's raw message, where those are kept."""

    update: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the log; `level` as in `logging`."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class TellOperator:
    """Alert; `level` is warning or error, an empty `strategy` means the account."""

    level: str
    key: str
    text: str
    strategy: str = ""


# ---------------------------------------------------------------------- effects: requests and questions


@dataclass(frozen=True, slots=True)
class SendCreate:
    """Queue the create request; of several opens, or closes, the smaller `distance` goes first."""

    order: TrackedOrder
    distance: Decimal


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Queue the cancel request."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class AskGate:
    """Ask the gate whether the order may be sent again, and answer with `GateAnswered`."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class AskExchange:
    """Look the order up by its id."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Compare everything with the exchange, soon."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadPositions:
    """Read both legs of the symbol, soon."""

    symbol: str


@dataclass(frozen=True, slots=True)
class ReadWallet:
    """Read the wallet, soon."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Let the request wait for its next try."""

    item: RetryItem


@dataclass(frozen=True, slots=True)
class ForgetRetry:
    """No request of this order waits any more."""

    key: str


# ---------------------------------------------------------------------- effects: what the gate and the strategy count


@dataclass(frozen=True, slots=True)
class CountAcceptance:
    """The exchange accepted a create request."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class CountRefusal:
    """The exchange refused the order; where that opens the breaker of its level, `LevelBroken` follows."""

    order: TrackedOrder
    answered: bool


@dataclass(frozen=True, slots=True)
class CountAuthFailure:
    """The exchange did not accept our key; where that starts a cooldown, `KeyFailing` follows."""

    error: ExchangeError


@dataclass(frozen=True, slots=True)
class CountAuthSuccess:
    """The exchange accepted our key."""


@dataclass(frozen=True, slots=True)
class DoubtLeg:
    """The exchange contradicts the size of this order's leg: nothing is closed until it was read again."""

    order: TrackedOrder


@dataclass(frozen=True, slots=True)
class HaltStrategy:
    """The exchange refuses to trade; where the strategy was not halted before, `StrategyHalted` follows."""

    order: TrackedOrder
    error: ExchangeError


Effect = (
    Transition
    | NotePlace
    | NoteCancel
    | KeepRaw
    | Log
    | TellOperator
    | SendCreate
    | SendCancel
    | AskGate
    | AskExchange
    | Reconcile
    | ReadPositions
    | ReadWallet
    | RetryAt
    | ForgetRetry
    | CountAcceptance
    | CountRefusal
    | CountAuthFailure
    | CountAuthSuccess
    | DoubtLeg
    | HaltStrategy
)
"""A `Transition` is an effect too: record it."""
