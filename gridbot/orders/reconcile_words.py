"""The words of the reconciler: its state, the events that go in and the effects that come out. Data only.

Times: `mono_s` monotonic seconds, `wall_ms` our clock in ms UTC, `from_ms` and `up_to_ms` exchange time in ms UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from gridbot.core import Direction, ExecutionEvent, Instrument, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.orders.book import OrderBook

__all__ = [
    "Adopt",
    "Advance",
    "Alert",
    "Align",
    "ApplyExecution",
    "ApplyRow",
    "AskExecutions",
    "AskExecutionsOf",
    "AskListing",
    "AskOrder",
    "AskPositions",
    "AskWallet",
    "Asked",
    "Broke",
    "Effect",
    "Event",
    "ExecutionsAnswered",
    "Failed",
    "Finding",
    "Finished",
    "Held",
    "Legs",
    "LegsWanted",
    "ListingAnswered",
    "LookUpWanted",
    "LookedUp",
    "LookingUp",
    "Missing",
    "Now",
    "OrderAnswered",
    "Part",
    "Pass",
    "Phase",
    "PositionsAnswered",
    "QueryFailed",
    "Question",
    "ReconcileState",
    "Report",
    "Retrying",
    "Revive",
    "Settle",
    "TakePosition",
    "TakeWallet",
    "Time",
    "View",
    "WalletAnswered",
    "Who",
    "Wish",
]


class Now(NamedTuple):
    """The time of a step."""

    mono_s: float
    wall_ms: int


# ---------------------------------------------------------------------- what a step may look at


@dataclass(frozen=True, slots=True)
class Held:
    """One live strategy: a step reads its book and changes nothing in it."""

    strat_id: str
    instrument: Instrument
    book: OrderBook


class Retrying(Protocol):
    """Which orders wait for another try."""

    def __contains__(self, key: str, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class View:
    """The account as it is when the event comes. `strategies` by symbol; `retrying` has orders that wait for a try."""

    strategies: Mapping[str, Held]
    ledger: Ledger
    retrying: Retrying


# ---------------------------------------------------------------------- state


class Phase(StrEnum):
    """Where a pass is: what it has asked and not yet heard."""

    EXECUTIONS = "executions"
    LISTING = "listing"
    ORDERS = "orders"
    POSITIONS = "positions"
    WALLET = "wallet"


class Part(StrEnum):
    """Which part of the state a question belongs to."""

    PASS = "pass"
    ORDER = "order"
    MISSING = "missing"
    LEGS = "legs"


class Who(NamedTuple):
    """Whose question it is: an answer counts only while that part still waits for exactly this question."""

    part: Part
    subject: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass found and changed."""

    executions: int = 0
    adopted: int = 0
    looked_up: int = 0
    foreign_orders: int = 0

    def __str__(self) -> str:
        return (
            f"{self.executions} missed executions, {self.adopted} orders adopted, "
            f"{self.looked_up} looked up, {self.foreign_orders} foreign"
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """A pass that was asked for. `tickets`: who is to be told how it ended."""

    reason: str
    tickets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass under way. `waiting`: orders asked for by id; `symbols`: those whose legs are still to be read."""

    number: int
    wish: Wish
    started_s: float
    phase: Phase = Phase.EXECUTIONS
    asked_ms: int = 0
    waiting: frozenset[str] = frozenset()
    symbols: tuple[str, ...] = ()
    report: Report = Report()


@dataclass(frozen=True, slots=True)
class LookingUp:
    """One order that is asked for by its id, until the exchange answers.

    `due_s` is None while a question is under way. `known`: what we knew of the order when we asked; news since then
    outrank the answer "no such order". `is_paging`: the answer `row` waits for executions.
    `contradicted`: we hold it for over, and a listing has it.
    """

    symbol: str
    number: int
    wait_s: float
    due_s: float | None = None
    known: tuple[object, ...] = ()
    is_paging: bool = False
    row: OrderUpdateEvent | None = None
    contradicted: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """A finished order whose executions are missing here, asked for by its id. `due_s` as in `LookingUp`."""

    symbol: str
    since_s: float
    wait_s: float
    number: int = 0
    due_s: float | None = None
    asked_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Legs:
    """Both legs of a symbol that are being read, for a ticket (0: for the pass). `rows` wait for executions."""

    symbol: str
    looks: int
    number: int
    rows: tuple[PositionEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class ReconcileState:
    """What lives between passes. `complete_to_ms` is the watermark; `numbers` counts questions."""

    complete_to_ms: int = 0
    run: Pass | None = None
    wish: Wish | None = None
    looking: Mapping[str, LookingUp] = field(default_factory=dict)
    missing: Mapping[str, Missing] = field(default_factory=dict)
    legs: Mapping[int, Legs] = field(default_factory=dict)
    numbers: int = 0
    last_s: float | None = None
    """When the last complete pass ended."""

    @property
    def next_due_s(self) -> float | None:
        """When the next question is due, on the monotonic clock."""
        look_ups = [entry.due_s for entry in self.looking.values()]
        executions = [entry.due_s for entry in self.missing.values()]
        return min((due_s for due_s in (*look_ups, *executions) if due_s is not None), default=None)


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Asked:
    """A pass is wanted, for a reason. During a pass it is a wish for another one."""

    reason: str
    ticket: int


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


@dataclass(frozen=True, slots=True)
class ListingAnswered:
    """All open orders of the account."""

    who: Who
    rows: Sequence[OrderUpdateEvent]


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


# ---------------------------------------------------------------------- effects that ask


@dataclass(frozen=True, slots=True)
class AskExecutions:
    """The account's executions since a time."""

    who: Who
    from_ms: int


@dataclass(frozen=True, slots=True)
class AskExecutionsOf:
    """The executions of one order, whenever they were."""

    who: Who
    symbol: str
    link_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class AskListing:
    """All open orders of the account."""

    who: Who


@dataclass(frozen=True, slots=True)
class AskOrder:
    """One order by its id."""

    who: Who
    symbol: str
    link_id: str
    order_id: str


@dataclass(frozen=True, slots=True)
class AskPositions:
    """Both legs of a symbol."""

    who: Who
    symbol: str


@dataclass(frozen=True, slots=True)
class AskWallet:
    """The wallet."""

    who: Who


Question = AskExecutions | AskExecutionsOf | AskListing | AskOrder | AskPositions | AskWallet


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
    """An order that we held for over rests: live again, or cancelled when its level is taken."""

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
class Settle:
    """All executions of a finished order that anybody has are counted: wait for no more."""

    symbol: str
    key: str


@dataclass(frozen=True, slots=True)
class TakePosition:
    """Take a leg as read."""

    row: PositionEvent


@dataclass(frozen=True, slots=True)
class Align:
    """Our executions add up to `ours`, the exchange has another size: continue from the exchange's."""

    symbol: str
    direction: Direction
    ours: Decimal
    size: Decimal
    entry: Decimal | None


@dataclass(frozen=True, slots=True)
class TakeWallet:
    """Take the wallet as read."""

    wallet: WalletEvent


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell the operator. Arguments as of `worker.context.Alert`."""

    level: str
    key: str
    text: str
    strategy: str = ""


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
    | Settle
    | TakePosition
    | Align
    | TakeWallet
    | Alert
    | Finished
    | Failed
)
