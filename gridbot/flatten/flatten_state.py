"""What flattening remembers. Changed by `flatten_step.step` alone. Pure; times are monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from gridbot.core.instrument import Instrument
from gridbot.flatten.flatten_words import Close, LegName, Problem, Resting, Wanted

__all__ = ["FlattenState", "LegToClose", "Market", "Stage"]

ZERO = Decimal(0)


class Stage(StrEnum):
    """What is under way. After `CLOSES` comes the next round, from `ORDERS`."""

    IDLE = "idle"
    LATCH = "latch"
    ORDERS = "orders"
    CANCELS = "cancels"
    LEGS = "legs"
    KNOWN = "known"
    """During a ban: instead of orders, cancels and legs."""
    MARKETS = "markets"
    CLOSES = "closes"
    REST = "rest"
    """Between two rounds."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Market:
    """Rules of a symbol and its last price, as read at `read_s`."""

    rules: Instrument
    price: Decimal | None
    read_s: float


@dataclass(slots=True)
class LegToClose:
    """A leg that is open. `size` is what the newest listing said, `found` what the first one did."""

    size: Decimal
    found: Decimal
    since_s: float | None = None
    """When its first close was sent."""
    at_market: bool = False
    most: Decimal | None = None
    """The largest piece that the exchange has not refused; None while it has refused none."""
    by_whole: bool = False
    """It is closed without a quantity: what is left is below the minimum, or its rules cannot be read."""
    one_way: bool = False
    refused: int = 0
    """Refusals since it last became smaller."""
    idle: int = 0
    """Rounds in a row in which its closes were taken and it did not become smaller."""
    next_s: float = 0.0
    problem: Problem | None = None


@dataclass(slots=True)
class FlattenState:
    """One per run. `wanted` is what is asked for."""

    wanted: Wanted
    stage: Stage = Stage.IDLE
    began_s: float = 0.0
    next_s: float = 0.0
    """When the next round may begin."""
    silent_until_s: float = 0.0
    """A ban: nothing is sent before."""
    past_ban: bool | None = None
    """Whether closes have another way than HTTP during a ban; None before anybody has said so."""
    seems_flat: bool = False
    """By the streams nothing is open, during a ban; REST has to confirm it."""
    latch_saved: bool = False
    asked_s: float = 0.0
    """When the orders of this round were asked for."""
    waiting: set[str] = field(default_factory=set)
    """What is asked or sent and not answered: questions, ids of orders, numbers of closes."""
    cleared_s: float | None = None
    """When the newest listing was asked for, if it shows that nothing rests; None when it shows otherwise."""
    resting: tuple[Resting, ...] = ()
    """What the newest listing shows of orders that go."""
    stubborn: dict[str, tuple[int, Problem]] = field(default_factory=dict)
    """Orders whose cancel was refused: how often, and why."""
    unreadable: dict[str, dict[str, str]] = field(default_factory=dict)
    """Rows that cannot be read, of the newest listing of "orders" and of "legs": the reason by symbol."""
    legs: dict[LegName, LegToClose] = field(default_factory=dict)
    listed_s: float | None = None
    """When the newest listing of the legs was asked for."""
    markets: dict[str, Market] = field(default_factory=dict)
    sent: dict[str, Close] = field(default_factory=dict)
    """Closes that are not answered, by their number."""
    last_number: int = 0
    read_problem: Problem | None = None
    read_refused: int = 0
    """Questions in a row that were refused for good, such as for a key that is not valid any more."""
    cancelled: set[str] = field(default_factory=set)
    """Orders whose cancel was taken."""
    withdrawn: int = 0
    """Orders that were withdrawn before any was listed."""
    closed: dict[LegName, Decimal] = field(default_factory=dict)
    """Size of each leg when it was first seen."""
    closes_sent: int = 0
    left_orders: dict[str, int] = field(default_factory=dict)
    """Orders that rest on symbols that are not named and stay, by symbol."""
    left_legs: dict[LegName, Decimal] = field(default_factory=dict)
    """Legs of such symbols."""
    told: bool = False
    under_way: int = 0
    """Creates of before that may land yet."""
