"""The words of flattening: what is wanted, what happens (events), what is to be done (effects). Pure; data only.

Sizes are base coin, prices USDT, times monotonic seconds unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Self

from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError

__all__ = [
    "BROKEN_OFF",
    "AskKnown",
    "AskLegs",
    "AskMarket",
    "AskOrders",
    "Begun",
    "Cancel",
    "CancelAnswered",
    "Close",
    "CloseAnswered",
    "Effect",
    "Event",
    "Finished",
    "KeepLatch",
    "Known",
    "LatchSaved",
    "LegName",
    "LegsListed",
    "MarketRead",
    "OrdersListed",
    "Others",
    "Problem",
    "ReadFailed",
    "Resting",
    "Terms",
    "Time",
    "Told",
    "Wanted",
    "Warn",
    "WithdrawKnown",
    "Withdrawn",
    "problem_of",
]

BROKEN_OFF = "it was broken off: this process ends; the next one of the account goes on with it"
"""What is told when a process ends in the midst of it."""
LegName = tuple[str, Direction]
"""Symbol and direction."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is done. `band` is a ratio to the last price; `settle_s` is how long a request of before may be under way.

    `foreign`: orders on the symbols that are not ours go, too. `opens_only`: orders that only reduce stay.
    """

    band: Decimal = Decimal("0.005")
    market_after_s: float = 5.0
    foreign: bool = False
    opens_only: bool = False
    settle_s: float = 0.0
    latch_wait_s: float = 0.2
    """How long the disk may take for what stops orders; then the rest goes on without it."""
    clear_s: float = 5.0
    """How long orders that do not go may keep the closes waiting."""
    told_after_s: float = 60.0
    """After this time whoever asked is told what remains; it goes on."""
    give_up_s: float = 900.0
    """Longer than the ten minutes of a ban."""


class Others(StrEnum):
    """What becomes of orders and legs on symbols that are not named: those that no strategy of the account trades."""

    UNSEEN = "unseen"
    TOLD = "told"
    """They stay, and the report says so."""
    CANCELLED = "cancelled"
    CLOSED = "closed"
    """Orders are cancelled, and legs are closed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The symbols whose orders go, each with whether its legs are closed, too."""

    symbols: Mapping[str, bool]
    terms: Terms = field(default_factory=Terms)
    others: Others = Others.UNSEEN

    @property
    def closes(self) -> bool:
        """Whether any leg is to be closed."""
        return self.others is Others.CLOSED or any(self.symbols.values())

    def takes(self, symbol: str) -> bool:
        """Whether it is about orders of this symbol."""
        return symbol in self.symbols or self.others in (Others.CANCELLED, Others.CLOSED)

    def closes_legs_of(self, symbol: str) -> bool:
        """Whether legs of this symbol are to be closed."""
        return self.symbols.get(symbol, False) or self.others is Others.CLOSED

    def tells_of(self, symbol: str) -> bool:
        """Whether the report says what is left of a symbol that is not named."""
        return self.others is not Others.UNSEEN and symbol not in self.symbols

    def has_to_go(self, row: Resting) -> bool:
        """Whether a resting order is to be cancelled."""
        terms = self.terms
        is_meant = self.takes(row.symbol) and (row.ours or terms.foreign)
        return is_meant and (row.opens or not terms.opens_only)

    def beside(self, other: Self) -> Self:
        """Both: what either wants, by the newer terms (`other`'s)."""
        symbols = dict(self.symbols)
        for symbol, closes in other.symbols.items():
            symbols[symbol] = closes or symbols.get(symbol, False)
        opens_only = self.terms.opens_only and other.terms.opens_only
        others = max(self.others, other.others, key=list(Others).index)
        terms = replace(other.terms, opens_only=opens_only)
        if others in (Others.CANCELLED, Others.CLOSED):
            terms = replace(terms, foreign=True)
        return type(self)(symbols, terms, others)

    def to_document(self) -> dict[str, Any]:
        """What a later process needs to go on, JSON-able."""
        terms = self.terms
        return {
            "symbols": dict(self.symbols),
            "band": str(terms.band),
            "market_after_s": terms.market_after_s,
            "foreign": terms.foreign,
            "opens_only": terms.opens_only,
            "others": str(self.others),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote. KeyError, TypeError, ValueError or ArithmeticError for anything else."""
        band, market_after_s, symbols = Decimal(document["band"]), document["market_after_s"], document["symbols"]
        if not (band.is_finite() and 0 < band < 1 and isinstance(market_after_s, int | float) and market_after_s >= 0):
            raise ValueError(f"expected a band below 1 and seconds, got {band} and {market_after_s!r}")
        if not isinstance(symbols, Mapping):
            raise TypeError(f"expected symbols as an object, got {symbols!r}")
        terms = Terms(
            band=band,
            market_after_s=float(market_after_s),
            foreign=bool(document["foreign"]),
            opens_only=bool(document.get("opens_only")),  # absent in what earlier versions wrote
        )
        others = Others(document.get("others", Others.UNSEEN))
        return cls({str(name): bool(closes) for name, closes in symbols.items()}, terms, others)


class Resting(NamedTuple):
    """An order that the exchange lists as open."""

    symbol: str
    order_id: str
    link_id: str
    ours: bool
    opens: bool = True


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something did not happen. `until_s`: nothing may be sent before (a ban)."""

    kind: ErrorKind
    text: str
    until_s: float | None = None


def problem_of(error: ExchangeError, now_s: float) -> Problem:
    """An error of the exchange as the machine takes it."""
    until_s = now_s + error.silence_s if error.kind is ErrorKind.IP_BAN else None
    return Problem(error.kind, str(error), until_s)


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Begun:
    """Somebody wants it; memory holds the strategies already."""


@dataclass(frozen=True, slots=True)
class LatchSaved:
    """The disk has what stops orders."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """So many orders that were known to rest are withdrawn."""

    count: int


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """All open orders of the account, asked for at `asked_s`. `under_way`: creates of ours that may land after it."""

    asked_s: float
    rows: tuple[Resting, ...]
    under_way: int = 0
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Why a row of a symbol cannot be read."""


@dataclass(frozen=True, slots=True)
class LegsListed:
    """All open legs of the account, asked for at `asked_s`."""

    asked_s: float
    sizes: Mapping[LegName, Decimal]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Why a row of a symbol cannot be read."""
    one_way: tuple[LegName, ...] = ()
    """Those that are no legs of a hedge: all that their symbol has."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the streams say of the legs during a ban, where requests have another way than HTTP.

    `sizes` is None where there is no such way. `markets` has rules and newest price by symbol, `resting` how many
    orders may rest yet.
    """

    sizes: Mapping[LegName, Decimal] | None = None
    markets: Mapping[str, tuple[Instrument, Decimal | None]] = field(default_factory=dict)
    resting: int = 0


@dataclass(frozen=True, slots=True)
class MarketRead:
    """Rules and newest price of a symbol; a price of None when there is none."""

    symbol: str
    rules: Instrument
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """A question was not answered: "orders", "legs", or the market of a symbol."""

    what: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """A cancel was taken (None), or not."""

    order_id: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class CloseAnswered:
    """A close was taken (None), or not."""

    number: int
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """Time has passed."""


Event = (
    Begun
    | LatchSaved
    | Withdrawn
    | OrdersListed
    | LegsListed
    | Known
    | MarketRead
    | ReadFailed
    | CancelAnswered
    | CloseAnswered
    | Time
)


# ---------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class KeepLatch:
    """Have the disk take what stops orders, and say when it has."""


@dataclass(frozen=True, slots=True)
class WithdrawKnown:
    """Withdraw what is known to rest, without asking for a listing."""


@dataclass(frozen=True, slots=True)
class AskOrders:
    """Read all open orders of the account."""


@dataclass(frozen=True, slots=True)
class AskLegs:
    """Read all legs of the account."""


@dataclass(frozen=True, slots=True)
class AskKnown:
    """Say what is known of the legs without HTTP."""


@dataclass(frozen=True, slots=True)
class AskMarket:
    """Read rules and price of a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel these orders; each is answered."""

    rows: tuple[Resting, ...]


@dataclass(frozen=True, slots=True)
class Close:
    """Send one reduce-only order that ends at once: at `price` or better, at the market without one.

    A quantity of 0 closes whatever the leg has (reduceOnly and closeOnTrigger), also what is below the minimum.
    """

    number: int
    symbol: str
    direction: Direction
    qty: Decimal
    price: Decimal | None = None
    one_way: bool = False
    """The position is none of a hedge."""

    @property
    def side(self) -> Side:
        return self.direction.close_side


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the operator."""

    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """It takes long: what remains by now, and why, for whoever waits. It goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more is done. `clean`: nothing rests and the legs are flat, as REST has confirmed."""

    clean: bool
    text: str


Effect = (
    KeepLatch | WithdrawKnown | AskOrders | AskLegs | AskKnown | AskMarket | Cancel | Close | Warn | Told | Finished
)
