"""Stops that protect a position: their kinds, their prices, how a trailing one follows the price. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from gridbot.core.vocabulary import Direction

__all__ = ["STOP_OF_CREATE_TYPE", "Attached", "StopKind", "StopPrice", "TpslMode", "TradingStop", "Trail"]

ZERO = Decimal(0)


class TpslMode(StrEnum):
    """Whether a take-profit or stop-loss closes the whole position or a quantity of it."""

    FULL = "Full"
    PARTIAL = "Partial"


class StopKind(StrEnum):
    """Bybit's `stopOrderType` of the stops of a position; a partial one closes a quantity, the others everything."""

    TAKE_PROFIT = "TakeProfit"
    STOP_LOSS = "StopLoss"
    TRAILING = "TrailingStop"
    PARTIAL_TAKE_PROFIT = "PartialTakeProfit"
    PARTIAL_STOP_LOSS = "PartialStopLoss"

    @property
    def is_partial(self) -> bool:
        return self in (StopKind.PARTIAL_TAKE_PROFIT, StopKind.PARTIAL_STOP_LOSS)

    @property
    def is_profit(self) -> bool:
        return self in (StopKind.TAKE_PROFIT, StopKind.PARTIAL_TAKE_PROFIT)

    @property
    def create_type(self) -> str:
        return f"CreateBy{self.value}"

    def direction(self, position: Direction) -> int:
        """`triggerDirection`: 1 when the price has to rise to it, 2 when it has to fall."""
        return 1 if self.is_profit is (position is Direction.LONG) else 2


STOP_OF_CREATE_TYPE: Mapping[str, StopKind] = {kind.create_type: kind for kind in StopKind}


@dataclass(frozen=True, slots=True)
class StopPrice:
    """Where a take-profit or stop-loss is triggered, by which price, and at which limit it then closes (None: any)."""

    price: Decimal
    by: str = "LastPrice"
    limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """Take-profit and stop-loss that an order brings along; they are placed when it fills."""

    mode: TpslMode = TpslMode.FULL
    take_profit: StopPrice | None = None
    stop_loss: StopPrice | None = None

    def __bool__(self) -> bool:
        return self.take_profit is not None or self.stop_loss is not None

    def stops(self) -> Iterator[tuple[StopKind, StopPrice]]:
        """The stops that it makes."""
        partial = self.mode is TpslMode.PARTIAL
        if self.take_profit is not None:
            yield (StopKind.PARTIAL_TAKE_PROFIT if partial else StopKind.TAKE_PROFIT), self.take_profit
        if self.stop_loss is not None:
            yield (StopKind.PARTIAL_STOP_LOSS if partial else StopKind.STOP_LOSS), self.stop_loss


@dataclass(frozen=True, slots=True)
class Trail:
    """A trailing stop: it keeps `distance` (USDT) behind the best last price since it `follows`.

    It follows at once, or from the moment when the price reaches `active_price`.
    """

    distance: Decimal
    active_price: Decimal | None = None
    follows: bool = False

    def first_trigger(self, position: Direction, last: Decimal) -> Decimal:
        """Trigger price when it is set while the last price is `last`."""
        base = last if self.active_price is None else self.active_price
        return base - self.distance if position is Direction.LONG else base + self.distance

    def follow(self, position: Direction, trigger: Decimal, last: Decimal) -> tuple[Trail, Decimal]:
        """The trail and its trigger price after the last price became `last`."""
        sign = 1 if position is Direction.LONG else -1
        if not self.follows:
            if self.active_price is not None and (last - self.active_price) * sign < 0:
                return self, trigger
            return replace(self, follows=True), last - self.distance * sign
        candidate = last - self.distance * sign
        return self, candidate if (candidate - trigger) * sign > 0 else trigger


@dataclass(frozen=True, slots=True)
class TradingStop:
    """What `position/trading-stop` asks for: stops of the whole position to set, move or (None) remove, and partial
    stops to add, each for `qty`."""

    whole: Mapping[StopKind, StopPrice | Trail | None]
    parts: Mapping[StopKind, StopPrice]
    qty: Decimal = ZERO
