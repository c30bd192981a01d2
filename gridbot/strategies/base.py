"""What a strategy is to the rest of the program: events in, intents out, a state that survives a restart. Pure.

A `StrategyKind` is what `kind:` in a strategy's section of the file names. It declares keys of that section, tells
`check` what would rest, and makes a `Strategy` for each section. `gridbot/strategies/registry.py` lists the kinds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from pydantic import ConfigDict

from gridbot.core.events import Event, OrderUpdateEvent, PositionEvent, WalletEvent
from gridbot.core.instrument import Instrument
from gridbot.core.intents import Intent, LimitOrders
from gridbot.core.vocabulary import Direction, Side
from gridbot.doors.strict_model import StrictModel

__all__ = [
    "CannotTrade",
    "Ladder",
    "LaysLadder",
    "PlannedLevel",
    "SavedState",
    "Strategy",
    "StrategyKeys",
    "StrategyKind",
    "WantedEvent",
    "Wish",
]

KeysT = TypeVar("KeysT", bound="StrategyKeys")
StateT = TypeVar("StateT", bound="SavedState")
WantedEvent = type[OrderUpdateEvent] | type[PositionEvent] | type[WalletEvent]


class CannotTrade(ValueError):
    """The strategy cannot have its orders at this price with these settings; the text says why and what would help.

    `key` of its section is wrong, `expected` says what would be right, `got` what it is, `do` what to change.
    """

    def __init__(self, text: str, *, key: str, expected: str, got: str, do: str) -> None:
        super().__init__(text)
        self.key, self.expected, self.got, self.do = key, expected, got, do


class StrategyKeys(StrictModel):
    """Base of a kind's own keys. They stand in the file beside the keys that all strategies share."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SavedState(Protocol):
    """Everything that a strategy's next decisions depend on, as a value: the file's writer reads it in its thread."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; Decimals as text."""
        ...


class Ladder(Protocol):
    """A strategy's price levels, for records and status. Prices in USDT, levels as (whole ticks, side or None)."""

    @property
    def symbol(self) -> str: ...
    @property
    def tick_size(self) -> Decimal: ...
    @property
    def levels(self) -> Sequence[tuple[int, Side | None]]: ...
    @property
    def anchor(self) -> Decimal | None: ...
    @property
    def last_fill(self) -> Decimal | None: ...
    @property
    def version(self) -> int: ...
    @property
    def exchange_ts(self) -> int: ...


class Wish(NamedTuple):
    """An order that a strategy would have rest, at `ticks` (whole ticks).

    `waits` says why it does not ask for it at this price, and at which it does; empty when it asks for it.
    """

    direction: Direction
    ticks: int
    side: Side
    waits: str = ""

    @property
    def closes(self) -> bool:
        return self.side is self.direction.close_side


class Strategy(Protocol):
    """The decisions about one symbol. No I/O, no clock, no logging: equal events give equal intents.

    `state_version` rises with every change of what `state()` returns. `restore_note` says why a saved state was not
    taken back, else it is empty.
    """

    state_version: int
    restore_note: str

    @property
    def quiet_interval(self) -> tuple[Decimal, Decimal] | None:
        """Prices from low to high (USDT, both included) at which the answer to a ticker stays empty, or None.

        It holds until the next event other than such a ticker, and while the orders' `version` stays the same.
        """
        ...

    @property
    def known_interval(self) -> tuple[Decimal, Decimal, Sequence[Intent]] | None:
        """As `quiet_interval`, with the answer that each ticker inside gets, the same object each time."""
        ...

    @property
    def opening_interval(self) -> tuple[Decimal, Decimal] | None:
        """As `known_interval`, where the answer asks for no cancel: inside, it differs by nothing but closes."""
        ...

    def on_event(self, event: Event, limit_orders: LimitOrders, /) -> Sequence[Intent]:
        """Decide. Tickers and executions always come, other events as the kind's `wants` says.

        `limit_orders` are the strategy's live and in-flight orders. Only the answer to a ticker may hold intents: with
        any other event a strategy takes note. Those that are refused come again with the next ticker's answer. Raise
        `CannotTrade` if there is no answer: the strategy is halted then.
        """
        ...

    def prepare(self, limit_orders: LimitOrders, /) -> None:
        """Something has happened, and there is time now: work out what the next ticker's answer will need.

        No answer becomes another by it, and nothing is raised.
        """
        ...

    def state(self) -> SavedState:
        """What has to survive a restart. It is saved at start and whenever `state_version` moved."""
        ...

    def ladder(self) -> Ladder | None:
        """Its levels now; None when it has none, then no grid is recorded."""
        ...

    def wishes(self, price: Decimal) -> Sequence[Wish]:
        """All orders that it would have rest, at a price (USDT), from the lowest up. For operators, not for trading."""
        ...


@runtime_checkable
class LaysLadder(Protocol):
    """A strategy whose ladder can be laid on orders that rest already (`adopt --ladder`)."""

    def wishes_on(self, orders: Sequence[tuple[int, Side]], price: Decimal, /) -> Sequence[Wish]:
        """What it would have rest at `price` (USDT) with its ladder on these orders: (whole ticks, side).

        Raises CannotTrade when no ladder of its settings lies on them.
        """
        ...

    def lay_on(self, orders: Sequence[tuple[int, Side]], /) -> None:
        """Have its ladder there from now on; it is a change of `state`. Raises CannotTrade, and changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class PlannedLevel:
    """A level as `check` shows it: whole ticks, side (None: no order). `remark` says why its order would wait."""

    ticks: int
    side: Side | None
    remark: str = ""


class StrategyKind(Protocol[KeysT, StateT]):
    """One kind of strategy, without state of its own. `keys` given to its methods have passed its model."""

    @property
    def name(self) -> str:
        """As in `kind:`; lower-case letters. It is part of the names of saved files, so it stays for ever."""
        ...

    @property
    def keys(self) -> type[KeysT]:
        """The model of its own keys."""
        ...

    @property
    def wants(self) -> frozenset[WantedEvent]:
        """The events besides tickers and executions that its strategies are given."""
        ...

    def make(self, keys: KeysT, instrument: Instrument, strat_id: str, restored: StateT | None) -> Strategy:
        """The strategy, going on from `restored` if that fits."""
        ...

    def read_state(self, plain: Mapping[str, Any]) -> StateT:
        """What `SavedState.to_dict` wrote; raise ValueError naming what is missing or wrong."""
        ...

    # ------------------------------------------------------------------ for `check`, offline

    def summary(self, keys: KeysT) -> str:
        """A few words, such as `50 levels of 0.2 %`."""
        ...

    def most_orders(self, keys: KeysT) -> int:
        """The number of levels that can have an order at one time."""
        ...

    def plan(self, keys: KeysT, instrument: Instrument, price: Decimal) -> Sequence[PlannedLevel]:
        """Its levels at a price (USDT), lowest first. Raise `CannotTrade`."""
        ...

    def outline(self, keys: KeysT) -> Sequence[tuple[Side | None, Decimal]]:
        """Sides and distances from the price in percent, highest first, where no price is known; may be empty."""
        ...

    def warnings(self, keys: KeysT, maker_fee: Decimal) -> Iterable[str]:
        """Settings that are allowed but often a mistake. `maker_fee` is a fraction."""
        ...
