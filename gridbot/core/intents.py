"""What a strategy wants done. An intent says what, not how: sizing, ids, caps and sending come later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import final

from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Direction, Side

__all__ = ["CancelIntent", "Intent", "LimitOrder", "LimitOrders", "PlaceLimitIntent"]

_LONG = Direction.LONG


@quick_value(frozen=True, slots=True)
class LimitOrder:
    """One live or in-flight order as the engine sees it.

    `key` names it for a `CancelIntent` (our orderLinkId, or the exchange's order id for an adopted order without one).
    `ticks` is its price in whole ticks; `has_fills` is true once something was executed.
    """

    key: str
    side: Side
    ticks: int
    has_fills: bool = False


class LimitOrders:
    """Live and in-flight orders of both legs, held by their owner and shown to the engine.

    The owner increments `version` with every change of either list. While it stays the same, the engine can answer
    from memory without looking at the lists.
    """

    __slots__ = ("_sides", "_sides_version", "long", "short", "version")

    def __init__(self, long: Iterable[LimitOrder] = (), short: Iterable[LimitOrder] = (), version: int = 0) -> None:
        self.long = list(long)
        self.short = list(short)
        self.version = version
        self._sides: tuple[dict[int, Side], dict[int, Side]] = ({}, {})
        self._sides_version = -1

    def __getitem__(self, direction: Direction) -> list[LimitOrder]:
        return self.long if direction == _LONG else self.short

    def sides(self, direction: Direction) -> Mapping[int, Side]:
        """The side of each order of a leg by its ticks (of several at one price that of the last). On the hot path:
        worked out once for a version."""
        if self._sides_version != self.version:
            self._sides = (
                {order.ticks: order.side for order in self.long},
                {order.ticks: order.side for order in self.short},
            )
            self._sides_version = self.version
        return self._sides[direction != _LONG]

    def __repr__(self) -> str:
        return f"LimitOrders(long={self.long!r}, short={self.short!r}, version={self.version})"


@quick_value(frozen=True, slots=True)
class PlaceLimitIntent:
    """Rest a limit order at a level. `ticks` is the price in whole ticks, `level` the index in the grid now.

    The strategy does not choose the quantity: `quantity_for` does.
    """

    symbol: str
    side: Side
    ticks: int
    direction: Direction
    reduce_only: bool
    level: int


@final
@quick_value(frozen=True, slots=True)
class CancelIntent:
    """Cancel the order with this `key`; `reason` is rebuild, duplicate, side_mismatch or outside_grid."""

    symbol: str
    key: str
    reason: str
    side: Side
    ticks: int
    direction: Direction


Intent = PlaceLimitIntent | CancelIntent
