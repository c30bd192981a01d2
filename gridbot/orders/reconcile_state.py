"""The state of the reconciler, and what a step of it may look at. Data only.

Times: `mono_s`, `since_s`, `due_s` monotonic seconds, `wall_ms` and `asked_ms` our clock in ms UTC, `complete_to_ms`
exchange time in ms UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from gridbot.core import Direction, Instrument, OrderUpdateEvent, PositionEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import Owner
from gridbot.orders.set_back import NEVER_SET_BACK, SetBack

__all__ = [
    "Doubt",
    "Ending",
    "Ends",
    "Held",
    "Legs",
    "LookingUp",
    "Missing",
    "Now",
    "Part",
    "Pass",
    "Phase",
    "ReconcileState",
    "Recorded",
    "Report",
    "Retrying",
    "View",
    "Who",
    "Wish",
]


class Now(NamedTuple):
    """The time of a step. `exchange_ms`: by the exchange's clock, as it was measured last; None while it was not."""

    mono_s: float
    wall_ms: int
    exchange_ms: int | None = None


# ---------------------------------------------------------------------- what a step may look at


@dataclass(frozen=True, slots=True)
class Held:
    """One live strategy: a step reads its book and changes nothing in it."""

    owner: Owner
    instrument: Instrument
    book: OrderBook


class Retrying(Protocol):
    """Which orders wait for another try."""

    def __contains__(self, key: str, /) -> bool: ...


class Recorded(Protocol):
    """The newest record of an order."""

    @property
    def strategy(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def order_link_id(self) -> str: ...
    @property
    def order_id(self) -> str: ...
    @property
    def shadow(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class View:
    """The account as it is when the event comes. `strategies` by symbol; `retrying` has orders that wait for a try.

    `recorded` has the orders that our records hold for open, by key, whatever has become of them. `account_tag` is
    what ids of ours begin with, whichever the strategy. `known` has also those that were adopted from another program
    and have ended: by their ids nobody could tell that they are ours; None where there are none.
    """

    strategies: Mapping[str, Held]
    ledger: Ledger
    retrying: Retrying
    recorded: Mapping[str, Recorded] = field(default_factory=dict)
    account_tag: str = ""
    known: Mapping[str, Recorded] | None = None

    @property
    def by_record(self) -> Mapping[str, Recorded]:
        """The orders that `reconcile.owns` may ask our records about."""
        return self.recorded if self.known is None else self.known


# ---------------------------------------------------------------------- state


class Phase(StrEnum):
    """Where a pass is: what it has asked and not yet heard."""

    EXECUTIONS = "executions"
    LISTING = "listing"
    ORDERS = "orders"
    FIGURES = "figures"


class Part(StrEnum):
    """Which part of the state a question belongs to."""

    PASS = "pass"
    ORDER = "order"
    END = "end"
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
    """A pass that was asked for. `tickets`: who is to be told how it ended; `since_ms`: the start of the oldest gap.

    `counted_ms` as in `Asked`; None where anybody wants everything paged.
    """

    reason: str
    tickets: tuple[int, ...]
    since_ms: int | None = None
    counted_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """The pass under way. `waiting`: orders asked for by id; `legs`: the tickets of those that are still being read.

    `asked_ms` and `cancels` (`reconcile.answered_cancels`) are of the time at which the listing was asked for. `paged`
    is what its paging began with, the state's `gap_from_ms` and `set_back`; None while that has not finished.
    """

    number: int
    wish: Wish
    started_s: float
    phase: Phase = Phase.EXECUTIONS
    asked_ms: int = 0
    cancels: Mapping[str, int] = field(default_factory=dict)
    paged: tuple[int | None, SetBack] | None = None
    waiting: frozenset[str] = frozenset()
    legs: frozenset[int] = frozenset()
    has_wallet: bool = False
    report: Report = Report()


@dataclass(frozen=True, slots=True)
class LookingUp:
    """One order that is asked for by its id, until the exchange answers.

    `due_s` is None while a question is under way. `known`: what we knew of the order when we asked; news since then
    outrank the answer "no such order". `is_paging`: the answer `row` waits for executions.
    `contradicted`: we hold it for over, and a listing has it. `wanted_again`: it was, while a question was under way.
    """

    symbol: str
    number: int
    wait_s: float
    due_s: float | None = None
    known: tuple[object, ...] = ()
    is_paging: bool = False
    row: OrderUpdateEvent | None = None
    contradicted: bool = False
    wanted_again: bool = False


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
class Ending:
    """An order that is open by our records, in no book, and in no listing since `since_s`: it has ended unseen.

    It is asked for from `due_s` on. `is_over`: that it has ended is known, by `row` (None: the exchange knows it
    no more), and its executions are asked for.
    """

    since_s: float
    wait_s: float
    due_s: float
    is_over: bool = False
    row: OrderUpdateEvent | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """The orders that have ended unseen, by key, and what is being asked about them: one question at a time.

    `number` is that of the question under way, 0 when there is none; the next one may leave at `free_s`, a while after
    a failure: twice `wait_s`. `is_paged`: the list of what ended last was read for these orders.
    """

    orders: Mapping[str, Ending] = field(default_factory=dict)
    number: int = 0
    free_s: float = 0.0
    wait_s: float = 0.5
    is_paged: bool = False

    @property
    def next_due_s(self) -> float | None:
        """When the next question is due."""
        due_s = min((order.due_s for order in self.orders.values()), default=None)
        return None if due_s is None or self.number else max(due_s, self.free_s)


@dataclass(frozen=True, slots=True)
class Legs:
    """Both legs of a symbol that are being read, for a ticket (0 and below: for the pass). `rows` wait for executions:
    for those of the last seconds, or (`pages_all`) for all since the watermark. `compares`: rows of before the last
    paging are compared once more.
    """

    symbol: str
    looks: int
    number: int
    rows: tuple[PositionEvent, ...] = ()
    pages_all: bool = False
    compares: bool = False


@dataclass(frozen=True, slots=True)
class Doubt:
    """A leg that its executions did not explain when it was read last: by how much (base coin), and since when."""

    size: Decimal
    since_s: float


@dataclass(frozen=True, slots=True)
class ReconcileState:
    """What lives between passes. `complete_to_ms` is the watermark, and `set_back` says whether the exchange's clock is
    behind it; `numbers` counts questions.

    `gap_from_ms`: the start of the oldest gap of the private stream after which no paging has finished. It may be
    behind the watermark: a pass during the gap moves that on, and the list may have had an older execution later.
    `moment`: the number of the pass of a start that paged the last moment only, 0 for none; up to `paged_ms` (exchange
    time) nothing has to be paged again for a leg; `owes_rest`: what the start left out is still to be paged.
    """

    complete_to_ms: int = 0
    set_back: SetBack = NEVER_SET_BACK
    gap_from_ms: int | None = None
    moment: int = 0
    paged_ms: int = 0
    owes_rest: bool = False
    run: Pass | None = None
    wish: Wish | None = None
    looking: Mapping[str, LookingUp] = field(default_factory=dict)
    missing: Mapping[str, Missing] = field(default_factory=dict)
    ends: Ends = Ends()
    legs: Mapping[int, Legs] = field(default_factory=dict)
    doubts: Mapping[tuple[str, Direction], Doubt] = field(default_factory=dict)
    numbers: int = 0
    unreadable: frozenset[str] = frozenset()
    """Symbols that nobody trades, of which a row could not be read: told once, until a listing is whole again."""
    last_s: float | None = None
    """When the last complete pass ended."""
    failure: str = ""
    """Why the last pass broke off; "" when it was complete."""

    @property
    def has_gap(self) -> bool:
        """Whether executions since a gap of the private stream are still to be paged."""
        return self.gap_from_ms is not None or (self.wish is not None and self.wish.since_ms is not None)

    @property
    def next_due_s(self) -> float | None:
        """When the next question is due, on the monotonic clock."""
        if not (self.looking or self.missing or self.ends.orders):
            return None  # the usual case, each second
        look_ups = [entry.due_s for entry in self.looking.values()]
        executions = [entry.due_s for entry in self.missing.values()]
        found = (*look_ups, *executions, self.ends.next_due_s)
        return min((due_s for due_s in found if due_s is not None), default=None)
