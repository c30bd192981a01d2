"""The words of the reconciler: events in, effects out. Data only. `from_ms`, `up_to_ms`: exchange time in ms UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gridbot.core import ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.leg_history import Holding
from gridbot.exchange.listing import Unreadable
from gridbot.orders.reconcile_questions import (
    AskClosed,
    AskExecutions,
    AskExecutionsOf,
    AskListing,
    AskOrder,
    AskPositions,
    AskWallet,
    Question,
)
from gridbot.orders.reconcile_state import Report, Who

__all__ = [
    "Adjust",
    "Adopt",
    "Advance",
    "Alert",
    "ApplyExecution",
    "ApplyRow",
    "AskClosed",
    "AskExecutions",
    "AskExecutionsOf",
    "AskListing",
    "AskOrder",
    "AskPositions",
    "AskWallet",
    "Asked",
    "Broke",
    "Effect",
    "EndUnseen",
    "Event",
    "ExecutionsAnswered",
    "Failed",
    "Finding",
    "Finished",
    "Halt",
    "LegsWanted",
    "ListingAnswered",
    "LookUpWanted",
    "LookedUp",
    "OrderAnswered",
    "PositionsAnswered",
    "QueryFailed",
    "Question",
    "ReportFault",
    "Restate",
    "RestsUnfollowed",
    "Revive",
    "Settle",
    "TakePosition",
    "TakeWallet",
    "Time",
    "WalletAnswered",
]


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Asked:
    """A pass is wanted, for a reason. During a pass it is a wish for another one.

    `since_ms`: executions from then on (ms UTC) were told by the list alone, as the private stream was away.
    `counted_ms`: of a start, the exchange time of the newest execution that is counted. It pages from shortly before
    that, and leaves the rest to the next pass.
    """

    reason: str
    ticket: int
    since_ms: int | None = None
    counted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LookUpWanted:
    """It is not known what has become of an order: ask for it soon."""

    symbol: str
    key: str


@dataclass(frozen=True, slots=True)
class LegsWanted:
    """The legs of a symbol are to be read outside a pass. `ticket` > 0."""

    symbol: str
    ticket: int


@dataclass(frozen=True, slots=True)
class Time:
    """Nothing but time has passed."""


@dataclass(frozen=True, slots=True)
class ExecutionsAnswered:
    """Executions, oldest first: since a time, or those of one order."""

    who: Who
    rows: Sequence[ExecutionEvent]
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True)
class ListingAnswered:
    """All open orders of the account, or those that ended last."""

    who: Who
    rows: Sequence[OrderUpdateEvent]
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True)
class OrderAnswered:
    """One order, open or over; None when the exchange does not know it."""

    who: Who
    row: OrderUpdateEvent | None


@dataclass(frozen=True, slots=True)
class PositionsAnswered:
    """Both legs of a symbol."""

    who: Who
    rows: Sequence[PositionEvent]
    unreadable: Sequence[Unreadable] = ()


@dataclass(frozen=True, slots=True)
class WalletAnswered:
    """The wallet."""

    who: Who
    wallet: WalletEvent


@dataclass(frozen=True, slots=True)
class QueryFailed:
    """A question got no usable answer. `is_fault`: the fault is ours, not the exchange's."""

    who: Who
    error: Exception
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Broke:
    """A step or an effect of it failed on our side: nothing under way can be relied upon."""

    error: Exception


Event = (
    Asked
    | LookUpWanted
    | LegsWanted
    | Time
    | ExecutionsAnswered
    | ListingAnswered
    | OrderAnswered
    | PositionsAnswered
    | WalletAnswered
    | QueryFailed
    | Broke
)


# ---------------------------------------------------------------------- effects that change something


@dataclass(frozen=True, slots=True)
class ApplyExecution:
    """Count an execution that was missed, and let its strategy know, if there is one."""

    execution: ExecutionEvent


@dataclass(frozen=True, slots=True)
class Advance:
    """Everything up to this time is counted."""

    up_to_ms: int


@dataclass(frozen=True, slots=True)
class ApplyRow:
    """Apply a row to the order it is about; a row that is not ours is reported and left alone."""

    row: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class Adopt:
    """Put an order of ours that rests and is in no book into its book."""

    row: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class Revive:
    """An order rests that we held for over, or whose cancel was answered: it lives again, or is cancelled (again)."""

    row: OrderUpdateEvent


class Finding(StrEnum):
    """What the look-up of one order showed, where that is more than a row."""

    STILL_OPEN = "still open"
    GONE = "gone"
    NEVER_ARRIVED = "never arrived"


@dataclass(frozen=True, slots=True)
class LookedUp:
    """Act on the look-up of an order."""

    symbol: str
    key: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class EndUnseen:
    """An order that is open by our records alone is over: by `row`, or the exchange knows nothing of it (any more)."""

    key: str
    row: OrderUpdateEvent | None


@dataclass(frozen=True, slots=True)
class RestsUnfollowed:
    """An order of ours rests that no strategy follows, and our records hold it for over: record it as it is."""

    row: OrderUpdateEvent


@dataclass(frozen=True, slots=True)
class Restate:
    """Our records say of an order in a book whether it is over, and the book says otherwise: record it again."""

    symbol: str
    key: str


@dataclass(frozen=True, slots=True)
class Settle:
    """All executions of a finished order that anybody has are counted: wait for no more."""

    symbol: str
    key: str


@dataclass(frozen=True, slots=True)
class TakePosition:
    """Take a leg as read."""

    row: PositionEvent


@dataclass(frozen=True, slots=True)
class Adjust:
    """Believe a row: our executions add up to `ours`, and nothing more can be had. The ledger goes on from the row."""

    row: PositionEvent
    ours: Holding
    reason: str


@dataclass(frozen=True, slots=True)
class TakeWallet:
    """Take the wallet as read."""

    wallet: WalletEvent


@dataclass(frozen=True, slots=True)
class Halt:
    """The exchange tells of a symbol what we cannot read: its strategy is halted until an operator resumes."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell the operator. Arguments as of `worker.context.Alert`."""

    level: str
    key: str
    text: str
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class ReportFault:
    """Something of ours failed: in words, and of which symbol's strategy (or of none)."""

    part: str
    error: Exception
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A pass, or a reading of legs (without reason and report), is complete."""

    tickets: tuple[int, ...]
    reason: str | None = None
    report: Report | None = None
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """A pass, or a reading of legs (without a reason), was broken off. What was applied before stays."""

    tickets: tuple[int, ...]
    error: Exception
    reason: str | None = None
    took_s: float = 0.0


Effect = (
    Question
    | ApplyExecution
    | Advance
    | ApplyRow
    | Adopt
    | Revive
    | LookedUp
    | EndUnseen
    | RestsUnfollowed
    | Restate
    | Settle
    | TakePosition
    | Adjust
    | TakeWallet
    | Halt
    | Alert
    | ReportFault
    | Finished
    | Failed
)
