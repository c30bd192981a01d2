"""A grid laid on orders that rest: the old ladder comes back whole, and what is no ladder is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, Instrument, Side, TickerEvent
from gridbot.core.intents import LimitOrder, LimitOrders
from gridbot.strategies.base import CannotTrade, LaysLadder
from gridbot.strategies.grid.engine import GridEngine
from gridbot.strategies.grid.ladder import WAIT, GridConfig, Level, ladder, problem_of_ladder
from gridbot.strategies.grid.laid_ladder import laid_on
from gridbot.strategies.grid.state import GridState
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))


def engine(count: int = 10, step: str = "0.2") -> GridEngine:
    made = GridEngine("BTCUSDT", BTC, GridConfig(count, D(step)), "btc")
    made.on_event(TickerEvent("BTCUSDT", D(50000)), LimitOrders())
    return made


def orders_of(levels: list[Level], drop: int = 0) -> list[tuple[int, Side]]:
    """Without the `drop` levels next to the centre: near the price the old bot had none."""
    middle = len(levels) // 2
    return [(ticks, side) for n, (ticks, side) in enumerate(levels) if side is not WAIT and abs(n - middle) > drop]


@settings(max_examples=examples(60), deadline=None)
@given(price=st.integers(480_000, 520_000), count=st.integers(4, 40), step=st.integers(1, 15), drop=st.integers(0, 1))
def test_the_ladder_of_any_old_centre_comes_back(price: int, count: int, step: int, drop: int) -> None:
    config = GridConfig(count, D(step) / 10)
    old = ladder(config, BTC, D(price) / 10)
    state = laid_on(GridState("BTCUSDT", count, config.grid_step, BTC.tick_size), config, orders_of(old, drop))
    assert len(state.levels) == len(old)
    assert problem_of_ladder([level.ticks for level in state.levels], config) == ""
    theirs, here = dict(orders_of(old, drop)), dict(state.levels)
    assert all(here[ticks] is side for ticks, side in theirs.items()), "each order is a level of its side"
    assert sum(side is WAIT for side in here.values()) == 1 + 2 * drop
    assert state.refusal(config, BTC) == ""


def test_a_strategy_takes_it_and_places_only_what_is_missing() -> None:
    made = engine()
    assert isinstance(made, LaysLadder)
    old = ladder(made.config, BTC, D("49973.3"))
    found = orders_of(old)
    assert {wish.ticks for wish in made.wishes_on(found, D(50000))} == {ticks for ticks, _ in found}
    before, version = made.state(), made.state_version
    assert made.state() == before, "only a question"
    made.lay_on(found)
    assert made.state_version > version
    resting = {Direction.LONG: Side.BUY, Direction.SHORT: Side.SELL}
    lists = {
        leg: [LimitOrder(f"{leg}{ticks}", side, ticks) for ticks, side in found if side is opens]
        for leg, opens in resting.items()
    }
    answer = made.on_event(TickerEvent("BTCUSDT", D(50000)), LimitOrders(lists[Direction.LONG], lists[Direction.SHORT]))
    assert all(getattr(intent, "reduce_only", False) for intent in answer), "opens rest already, closes are missing"
    again = GridEngine("BTCUSDT", BTC, made.config, "btc", restored=GridState.from_dict(made.state().to_dict()))
    assert (again.restore_note, again.state().levels) == ("", made.state().levels)


def test_holes_and_missing_ends_are_filled() -> None:
    made = engine()
    old = ladder(made.config, BTC, D("49973.3"))
    found = orders_of(old)
    for left in (found[1:], found[:-1], [each for each in found if each != found[1]], found[2:-2]):
        made.lay_on(left)
        assert len(made.state().levels) == len(old)
        assert max(abs(here.ticks - there.ticks) for here, there in zip(made.state().levels, old, strict=True)) <= 2


def test_an_order_far_away_and_levels_beyond_the_count_are_left_out() -> None:
    made = engine()
    old = ladder(made.config, BTC, D("49973.3"))
    found = orders_of(old)
    for strays in ([(300_000, Side.BUY)], [(700_000, Side.SELL)], [(300_000, Side.BUY), (700_000, Side.SELL)]):
        made.lay_on([*found, *strays])
        assert dict(found).items() < dict(made.state().levels).items()
        assert len(made.state().levels) == len(old)
    moved = found[3:]  # two Buys and five Sells: a ladder that fills have moved
    made.lay_on([*moved, (300_000, Side.BUY)])
    assert dict(moved).items() <= dict(made.state().levels).items()
    wide = ladder(GridConfig(30, D("0.2")), BTC, D("49973.3"))
    made.lay_on(orders_of(wide))
    assert {level.ticks for level in made.state().levels if level.side} < {level.ticks for level in wide}
    made.lay_on([(498_000, Side.BUY), *((ticks, side) for ticks, side in wide if side is Side.SELL)])
    assert (498_000, Side.BUY) in made.state().levels


@case_table(
    ("orders", "why"),
    [
        ([], "got orders on one side, or none"),
        ([(499_000, Side.BUY)], "got orders on one side, or none"),
        ([(500_000, Side.BUY), (499_000, Side.SELL)], "a Buy at 50000 above a Sell"),
        ([(499_000, Side.BUY), (499_001, Side.SELL)], "room for a level between Buys and Sells"),
        ([(400_000, Side.BUY), (500_000, Side.SELL)], "at most 11 levels, got"),
        ([(498_990, Side.BUY), (499_000, Side.BUY), (501_000, Side.SELL)], "less than half a step apart"),
        ([(1, Side.BUY), (501_000, Side.SELL)], "room for a level"),
        ([(3, Side.BUY), (4, Side.SELL)], "room for a level"),
    ],
)
def test_what_is_no_ladder_of_these_settings_is_refused_and_changes_nothing(
    orders: list[tuple[int, Side]], why: str
) -> None:
    made = engine()
    before = made.state()
    for ask in (made.lay_on, lambda found: made.wishes_on(found, D(50000))):
        with pytest.raises(CannotTrade, match=why):
            ask(orders)
    assert made.state() == before
