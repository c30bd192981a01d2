"""What has to be done after an event of an order's life: the effects of `orders/life.py`."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from gridbot.core import OrderUpdateEvent
from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.breakers import Cause
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.proposal import Proposal
from gridbot.orders.retry import RetryItem

__all__ = [
    "AskExchange",
    "AskGate",
    "CountAuthFailure",
    "CountAuthSuccess",
    "CountRefusal",
    "DoubtLeg",
    "Effect",
    "ForgetRetry",
    "HaltStrategy",
    "KeepRaw",
    "Log",
    "NoteCancel",
    "NotePlace",
    "ReadPositions",
    "ReadWallet",
    "Reconcile",
    "RestrictSymbol",
    "RetryAt",
    "SendCancel",
    "SendCreate",
    "TellOperator",
    "Wish",
]


class Wish(StrEnum):
    """What became of the wish to cancel an order, as it is recorded."""

    SENT = "sent"
    """A request was queued."""
    DROPPED = "dropped"
    """No request is needed: the exchange does not have the order, and it will not be sent."""
    WAITING = "waiting"
    """Nobody knows whether it exists; it is cancelled when a look-up finds that it rests."""


# ---------------------------------------------------------------------- records and words


class NotePlace(NamedTuple):
    """Record that an order was decided and let through."""

    order: TrackedOrder
    proposal: Proposal


@quick_value(frozen=True, slots=True)
class NoteCancel:
    """Record that an order is withdrawn, and what was done for it."""

    order: TrackedOrder
    wish: Wish
    reason: str


class KeepRaw(NamedTuple):
    """Record the exchange's raw message, where those are kept."""

    update: OrderUpdateEvent


@quick_value(frozen=True, slots=True)
class Log:
    """A line for the log; `level` is debug or warning. Lines with the same `kind` say the same of other orders."""

    level: str
    text: str
    kind: str = ""


@quick_value(frozen=True, slots=True)
class TellOperator:
    """Alert; `level` is warning or error, an empty `strategy` means the account."""

    level: str
    key: str
    text: str
    strategy: str = ""


# ---------------------------------------------------------------------- requests and questions


class SendCreate(NamedTuple):
    """Queue the create request; of several opens, or closes, the smaller `distance` goes first."""

    order: TrackedOrder
    distance: Decimal


@quick_value(frozen=True, slots=True)
class SendCancel:
    """Queue the cancel request."""

    order: TrackedOrder


@quick_value(frozen=True, slots=True)
class AskGate:
    """Ask the gate whether the order may be sent again, and answer with `GateAnswered`."""

    order: TrackedOrder


@quick_value(frozen=True, slots=True)
class AskExchange:
    """Look the order up by its id."""

    order: TrackedOrder


@quick_value(frozen=True, slots=True)
class Reconcile:
    """Compare everything with the exchange, soon."""

    reason: str


@quick_value(frozen=True, slots=True)
class ReadPositions:
    """Read both legs of the symbol, soon."""

    symbol: str


@quick_value(frozen=True, slots=True)
class ReadWallet:
    """Read the wallet, soon."""


@quick_value(frozen=True, slots=True)
class RetryAt:
    """Let the request wait for its next try."""

    item: RetryItem


@quick_value(frozen=True, slots=True)
class ForgetRetry:
    """No request of this order waits any more."""

    key: str


# ---------------------------------------------------------------------- what the gate and the strategy count


@quick_value(frozen=True, slots=True)
class CountRefusal:
    """The exchange refused the order, or gave it another price than we asked for; `cause` says which.

    `ticks` is the level that it was wanted for; where the count opens the breaker of that level, `LevelBroken` follows.
    `error` is set where the exchange accepted the request and ended the order at once: nobody has counted that yet as
    something that does not get through.
    """

    order: TrackedOrder
    ticks: int
    answered: bool
    cause: Cause = Cause.REFUSED
    error: ExchangeError | None = None


@quick_value(frozen=True, slots=True)
class CountAuthFailure:
    """The exchange did not accept our key; where that starts a cooldown, `KeyFailing` follows."""

    error: ExchangeError


@quick_value(frozen=True, slots=True)
class CountAuthSuccess:
    """The exchange accepted our key."""


@quick_value(frozen=True, slots=True)
class DoubtLeg:
    """The exchange contradicts the size of this order's leg: nothing is closed until it was read again."""

    order: TrackedOrder


@quick_value(frozen=True, slots=True)
class RestrictSymbol:
    """The symbol takes no such order now: such orders wait, and its state is read."""

    order: TrackedOrder
    error: ExchangeError


@quick_value(frozen=True, slots=True)
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
    | CountRefusal
    | CountAuthFailure
    | CountAuthSuccess
    | DoubtLeg
    | RestrictSymbol
    | HaltStrategy
)
"""A `Transition` is an effect too: record it."""
