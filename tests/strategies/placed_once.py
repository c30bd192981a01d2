"""A second strategy, as small as one can be: Buy orders below the first price, each placed once and never again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from pydantic import Field

from gridbot.core import Direction, Event, ExecutionEvent, Instrument, LimitOrders, Side, TickerEvent, WalletEvent
from gridbot.core.intents import Intent, PlaceLimitIntent
from gridbot.strategies.base import CannotTrade, PlannedLevel, StrategyKeys, WantedEvent, Wish


class OnceKeys(StrategyKeys):
    """Orders below the price at the start."""

    orders: int = Field(3, ge=1, le=20, description="How many.")
    distance: Decimal = Field(Decimal(1), gt=0, description="Percent of the price from one to the next.")


@dataclass(frozen=True, slots=True)
class OnceState:
    """`waiting` are the levels (ticks) still to be placed, None before the first price; `fills` counts."""

    waiting: tuple[int, ...] | None = None
    fills: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {"waiting": None if self.waiting is None else list(self.waiting), "fills": self.fills}


class PlacedOnce:
    """It waits for the wallet, since it wants that event, and for a price."""

    quiet_interval = None
    restore_note = ""

    def __init__(self, keys: OnceKeys, instrument: Instrument, strat_id: str, restored: OnceState | None) -> None:
        self.keys, self.instrument, self.strat_id = keys, instrument, strat_id
        self.state_version = 0
        self.balance: Decimal | None = None
        self._state = restored or OnceState()

    def on_event(self, event: Event, limit_orders: LimitOrders, /) -> Sequence[Intent]:
        if isinstance(event, WalletEvent):
            self.balance = event.wallet_balance
        elif isinstance(event, ExecutionEvent):
            self._count(event)
        elif isinstance(event, TickerEvent) and self.balance is not None:
            return self._place(event.last_price, {order.ticks for order in limit_orders.long})
        return ()

    def prepare(self, limit_orders: LimitOrders, /) -> None:
        """Its answers cost nothing."""

    def _count(self, fill: ExecutionEvent) -> None:
        """A filled order was placed, even if it was gone again before a price showed it among the resting ones."""
        waiting = self._state.waiting
        if waiting is not None:
            filled = self.instrument.ticks(fill.price if fill.order_price is None else fill.order_price)
            waiting = tuple(ticks for ticks in waiting if ticks != filled)
        self._become(OnceState(waiting, self._state.fills + 1))

    def state(self) -> OnceState:
        return self._state

    def ladder(self) -> None:
        return None

    def wishes(self, price: Decimal) -> list[Wish]:
        waits = "waits for the wallet" if self.balance is None else ""
        return [Wish(Direction.LONG, ticks, Side.BUY, waits) for ticks in reversed(self._state.waiting or ())]

    def _place(self, price: Decimal, there: set[int]) -> Sequence[Intent]:
        waiting = self._state.waiting
        if waiting is None:
            waiting = tuple(_levels(self.keys, self.instrument, price))
        self._become(replace(self._state, waiting=tuple(ticks for ticks in waiting if ticks not in there)))
        return [self._intent(level, ticks) for level, ticks in enumerate(self._state.waiting or ())]

    def _intent(self, level: int, ticks: int) -> PlaceLimitIntent:
        symbol, side, leg = self.instrument.symbol, Side.BUY, Direction.LONG
        return PlaceLimitIntent(symbol, side, ticks, leg, reduce_only=False, level=level)

    def _become(self, state: OnceState) -> None:
        if state != self._state:
            self._state = state
            self.state_version += 1


class OnceKind:
    name = "once"
    keys = OnceKeys
    wants: frozenset[WantedEvent] = frozenset({WalletEvent})

    def make(self, keys: OnceKeys, instrument: Instrument, strat_id: str, restored: OnceState | None) -> PlacedOnce:
        return PlacedOnce(keys, instrument, strat_id, restored)

    def read_state(self, plain: Mapping[str, Any]) -> OnceState:
        try:
            waiting = plain["waiting"]
            return OnceState(None if waiting is None else tuple(map(int, waiting)), int(plain["fills"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected waiting and fills, got {dict(plain)!r}") from error

    def summary(self, keys: OnceKeys) -> str:
        return f"{keys.orders} orders, once"

    def most_orders(self, keys: OnceKeys) -> int:
        return keys.orders

    def plan(self, keys: OnceKeys, instrument: Instrument, price: Decimal) -> list[PlannedLevel]:
        return [PlannedLevel(ticks, Side.BUY) for ticks in reversed(_levels(keys, instrument, price))]

    def outline(self, keys: OnceKeys) -> list[tuple[Side | None, Decimal]]:
        return [(Side.BUY, -keys.distance * number) for number in range(1, keys.orders + 1)]

    def warnings(self, keys: OnceKeys, maker_fee: Decimal) -> Iterator[str]:
        if keys.distance < 200 * maker_fee:
            yield f"distance {keys.distance} % is less than two fees"


def _levels(keys: OnceKeys, instrument: Instrument, price: Decimal) -> list[int]:
    """In ticks, nearest first."""
    if keys.orders * keys.distance >= 100:
        raise CannotTrade(
            f"{instrument.symbol}: expected prices above zero; use fewer orders",
            key="distance",
            expected=f"prices above zero with {keys.orders} orders",
            got=f"`{keys.distance}`",
            do="use fewer orders",
        )
    parts = (100 - keys.distance * number for number in range(1, keys.orders + 1))
    return [int(price * part / 100 / instrument.tick_size) for part in parts]
