"""One decision of the grid: memory, price and orders in, memory and intents out. Pure.

The long leg is decided completely, then the short leg. A leg with far too many orders rebuilds the grid when its turn
comes: if it is the short leg, the long leg has already been decided with the old grid, and the next tick puts it right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from gridbot.core.events import TickerEvent
from gridbot.core.intents import Intent, LimitOrder, LimitOrders
from gridbot.core.vocabulary import Direction, Side
from gridbot.strategies.grid.grid_memory import GridMemory, plan_of, rebuilt
from gridbot.strategies.grid.known_interval import Edges, Eligibility
from gridbot.strategies.grid.leg_decision import LevelOrders, decide_levels, most_orders, sort_out
from gridbot.strategies.grid.plan import Plan

__all__ = ["Decision", "OrdersView", "decide", "edges_of_opens", "judge"]

_DIRECTIONS = (Direction.LONG, Direction.SHORT)

OrdersView = LimitOrders | Mapping[str, Sequence[LimitOrder]]

Decision = tuple[GridMemory, tuple[Intent, ...], tuple[Decimal, Decimal] | None]
"""The next memory; the intents; and the prices (USDT, both included) at which the same memory and orders give the same
intents. The last is None where a leg started over, and for orders without a `version`, which nobody could recognise."""


def decide(
    memory: GridMemory, event: TickerEvent, orders: OrdersView, rule: Eligibility, make: LevelOrders
) -> Decision:
    """What both legs should change at the event's price; the memory must have a grid. Raise `ImpossibleLadder`."""
    memory, intents, edges, recognisable = judge(memory, event, orders, rule, make)
    return memory, intents, rule.holds(plan_of(memory), edges) if recognisable else None


def judge(
    memory: GridMemory, event: TickerEvent, orders: OrdersView, rule: Eligibility, make: LevelOrders
) -> tuple[GridMemory, tuple[Intent, ...], Edges | None, bool]:
    """The same with what `Eligibility.holds` needs for the prices, and whether there are any: no order waits for them.

    On the hot path.
    """
    price, plan = event.last_price, plan_of(memory)
    most = most_orders(plan)
    intents: list[Intent] = []
    edges: Edges | None = None
    shown = orders if isinstance(orders, LimitOrders) else None
    recognisable = shown is not None
    for direction in _DIRECTIONS:
        of_leg = orders[direction]
        if len(of_leg) > most:
            memory = rebuilt(memory, price, event.exchange_ts)
            plan = plan_of(memory)
            intents.extend(make.cancels(of_leg, direction, "rebuild"))
            recognisable = False
            continue
        resting = _sides(of_leg) if shown is None else shown.sides(direction)
        if len(resting) != len(of_leg):
            of_leg = sort_out(plan, direction, of_leg, make, intents)
            resting = _sides(of_leg)
        if resting != plan.wanted:
            edges = edges or rule.at(plan, price)
            decide_levels(plan, direction, of_leg, resting, edges, make, intents)
    return memory, tuple(intents), edges, recognisable


def edges_of_opens(plan: Plan, price: Decimal, orders: LimitOrders, rule: Eligibility) -> Edges | None:
    """What would change the answer at a price, where closes do not count; as `judge` gives it.

    For orders of which the answer asks for no cancel.
    """
    edges: Edges | None = None
    for direction in _DIRECTIONS:
        resting = orders.sides(direction)
        for _, ticks, _, buys in plan.opens[direction]:
            if ticks not in resting:
                if edges is None:
                    edges = rule.at(plan, price)
                edges.note(ticks, buys=buys)
    return edges


def _sides(orders: Iterable[LimitOrder]) -> dict[int, Side]:
    return {order.ticks: order.side for order in orders}
