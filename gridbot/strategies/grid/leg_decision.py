"""What one leg should change: which orders go, which levels get one. Pure.

The order of one leg's intents: duplicates in the order of the list; levels from the centre outwards, where a cancel of
the wrong side stands before its replacement; orders off the grid in the order of the list.

    orders at one price                                   intents
    none, the level has a side and is eligible            place
    the level's side, or any on a level that waits        none
    the other side                                        cancel `side_mismatch`; place if eligible
    several                                               cancel `duplicate` all but the best, which is then judged
    a price that is no level                              cancel `outside_grid`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gridbot.core.intents import CancelIntent, Intent, LimitOrder, PlaceLimitIntent
from gridbot.core.vocabulary import Direction, Side
from gridbot.strategies.grid.known_interval import Edges
from gridbot.strategies.grid.plan import Plan

__all__ = ["LevelOrders", "decide_levels", "most_orders", "sort_out"]

SPARE_ORDERS = 10
"""One leg with more orders than levels plus this many means that something went wrong: rebuild the grid."""


class LevelOrders:
    """The intents about the levels of one strategy."""

    __slots__ = ("symbol",)

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol

    def place(
        self, known: list[PlaceLimitIntent | None], level: int, ticks: int, side: Side, direction: Direction
    ) -> PlaceLimitIntent:
        """The placement of a level, put into `known` for the next time."""
        intent = known[level] = PlaceLimitIntent(
            symbol=self.symbol,
            side=side,
            ticks=ticks,
            direction=direction,
            reduce_only=side is direction.close_side,
            level=level,
        )
        return intent

    def cancels(self, orders: Iterable[LimitOrder], direction: Direction, reason: str) -> list[CancelIntent]:
        return [CancelIntent(self.symbol, order.key, reason, order.side, order.ticks, direction) for order in orders]


def most_orders(plan: Plan) -> int:
    """A leg with more orders than this starts over."""
    return len(plan.grid.levels) + SPARE_ORDERS


def sort_out(
    plan: Plan, direction: Direction, orders: Sequence[LimitOrder], make: LevelOrders, intents: list[Intent]
) -> Sequence[LimitOrder]:
    """One order per price: of the level's side if there is one, then one with fills, then the first."""
    best: dict[int, LimitOrder] = {}
    for order in orders:
        rival = best.get(order.ticks)
        if rival is None or _rank(order, plan) > _rank(rival, plan):
            best[order.ticks] = order
    lost = [order for order in orders if best[order.ticks] is not order]
    intents.extend(make.cancels(lost, direction, "duplicate"))
    return [order for order in orders if best[order.ticks] is order]


def decide_levels(
    plan: Plan,
    direction: Direction,
    orders: Sequence[LimitOrder],
    resting: Mapping[int, Side],
    edges: Edges,
    make: LevelOrders,
    intents: list[Intent],
) -> None:
    """Add the intents of a leg with one order per price, and note in `edges` which levels without one are eligible.

    `resting` is the side of each of the orders by its ticks.
    """
    known = plan.intents[direction]
    buy_limit, sell_limit = edges.buy_limit, edges.sell_limit
    next_buy, next_sell = edges.next_buy, edges.next_sell
    last_buy, last_sell = edges.last_buy, edges.last_sell
    for index, ticks, side, buys in plan.walk:
        if ticks in resting:
            if resting[ticks] == side:
                continue
            wrong = [order for order in orders if order.ticks == ticks]
            intents.extend(make.cancels(wrong, direction, "side_mismatch"))
        if buys:
            if ticks > buy_limit:
                if ticks < next_buy:
                    next_buy = ticks
                continue
            if ticks > last_buy:
                last_buy = ticks
        elif ticks < sell_limit:
            if ticks > next_sell:
                next_sell = ticks
            continue
        elif ticks < last_sell:
            last_sell = ticks
        intents.append(known[index] or make.place(known, index, ticks, side, direction))
    edges.next_buy, edges.next_sell = next_buy, next_sell
    edges.last_buy, edges.last_sell = last_buy, last_sell
    if not resting.keys() <= plan.sides.keys():
        outside = [order for order in orders if order.ticks not in plan.sides]
        intents.extend(make.cancels(outside, direction, "outside_grid"))


def _rank(order: LimitOrder, plan: Plan) -> tuple[bool, bool]:
    return plan.sides.get(order.ticks) == order.side, order.has_fills
