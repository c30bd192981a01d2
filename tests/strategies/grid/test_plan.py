"""What is worked out once per grid: the order in which levels are visited, and look-ups by price."""

from __future__ import annotations

from gridbot.core.vocabulary import Direction
from gridbot.strategies.grid import Grid, GridConfig, Level
from gridbot.strategies.grid.leg_decision import LevelOrders
from gridbot.strategies.grid.plan import Plan
from tests.case_table import case_table
from tests.core.helpers import BUY, LONG, SELL, SHORT, d, instrument

SIDES = {"B": BUY, "S": SELL, "w": None}


def plan_of(sides: str) -> Plan:
    """A plan for levels at 98.0, 99.0 … with these sides."""
    levels = tuple(Level(980 + 10 * index, SIDES[side]) for index, side in enumerate(sides))
    return Plan.of(Grid(GridConfig(len(sides) - 1, d(1)), instrument("0.1"), levels, d(100), None))


@case_table(
    ("sides", "visited"),
    [
        ("BBwSS", [1, 3, 0, 4]),
        ("BwSSS", [0, 2, 3, 4]),
        ("BwwSS", [0, 3, 4]),  # the middle of 1 and 2 is 1
        ("BwwwS", [0, 4]),
        ("wBBSw", [2, 1, 3]),  # the first and the last one count, whatever is between
        ("wBBSS", [1, 2, 3, 4]),
        ("BBSSw", [3, 2, 1, 0]),
        ("BBSSS", [2, 1, 3, 0, 4]),  # nothing waits: the middle of the list
    ],
)
def test_levels_are_visited_from_the_centre_outwards_the_lower_one_first(sides, visited):
    """docs/strategy.md 2.4 c."""
    plan = plan_of(sides)
    assert [index for index, *_ in plan.walk] == visited
    assert [(ticks, side) for _, ticks, side, _ in plan.walk] == [(980 + 10 * i, SIDES[sides[i]]) for i in visited]
    assert all(is_buy == (side is BUY) for _, _, side, is_buy in plan.walk)


def test_levels_are_found_by_their_price():
    plan = plan_of("BBwSS")
    assert plan.sides == {980: BUY, 990: BUY, 1000: None, 1010: SELL, 1020: SELL}
    assert plan.wanted == {980: BUY, 990: BUY, 1010: SELL, 1020: SELL}
    assert (plan.lowest, plan.highest, plan.low, plan.high) == (980, 1020, d("98.0"), d("102.0"))
    assert plan.intents == {LONG: [None] * 5, SHORT: [None] * 5}
    assert plan.intents[LONG] is not plan.intents[SHORT]


def test_the_next_plan_keeps_the_placements_of_levels_that_stay_in_their_place():
    """What is kept is what would be made anew."""
    make = LevelOrders("BTCUSDT")
    grid = Grid.build(GridConfig(10, d(1)), instrument("0.1"), d(100))
    plan = Plan.of(grid)
    for index, ticks, side, _ in plan.walk:
        for direction in Direction:
            make.place(plan.intents[direction], index, ticks, side, direction)
    kept = []
    for fill, market in (("101", "101.2"), ("102", "102"), ("99", "98"), ("104.1", "104.1"), ("104.1", "150")):
        grid = grid.filled(d(fill), d(market))
        plan = Plan.of(grid, plan)
        kept.append(sum(intent is not None for intent in plan.intents[LONG]))
        for direction, intents in plan.intents.items():
            assert len(intents) == len(grid.levels)
            for index, intent in enumerate(intents):
                ticks, wanted = grid.levels[index]
                assert intent is None or wanted is not None
                if wanted is not None:
                    made = make.place(intents, index, ticks, wanted, direction)
                    assert intent in (None, made)
    assert 0 in kept, "a ladder that has moved on, or was built anew, keeps none"
    assert max(kept) > 5
