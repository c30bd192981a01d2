"""What a grid would have rest, beside what its engine asks for at the same price."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, Instrument, LimitOrders, PlaceLimitIntent, Side, TickerEvent
from gridbot.strategies.grid import GridConfig, GridEngine

D = Decimal
TICK = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))
CONFIG = GridConfig(6, D("0.5"), D("0.3"))


def engine(price: str = "100") -> GridEngine:
    made = GridEngine("BTCUSDT", TICK, CONFIG, "s")
    made.on_event(TickerEvent("BTCUSDT", D(price)), LimitOrders())
    return made


def test_before_the_first_price_it_wishes_nothing() -> None:
    assert GridEngine("BTCUSDT", TICK, CONFIG, "s").wishes(D(100)) == ()


def test_each_level_with_a_side_has_an_order_of_each_leg_and_those_near_the_price_say_when_they_come() -> None:
    wishes = engine().wishes(D("100.4"))
    assert [(wish.ticks, wish.side) for wish in wishes[::2]] == [
        (985, Side.BUY),
        (990, Side.BUY),
        (995, Side.BUY),
        (1005, Side.SELL),
        (1010, Side.SELL),
        (1015, Side.SELL),
    ]
    assert [wish.direction for wish in wishes] == [*Direction] * 6
    assert [wish.closes for wish in wishes] == [False, True] * 3 + [True, False] * 3
    near = "within half a step of the price: placed when the price is below 100.3"
    assert [wish.waits for wish in wishes] == [""] * 6 + [near] * 2 + [""] * 4
    assert {wish.waits for wish in engine().wishes(D("101.6")) if wish.ticks == 1015} == {
        "the price has reached it: placed when the price is below 101.3"
    }
    assert {wish.waits for wish in engine().wishes(D("98.3")) if wish.ticks == 985} == {
        "the price has reached it: placed when the price is above 98.7"
    }


@given(st.integers(970, 1030))
def test_what_waits_for_nothing_is_what_the_engine_asks_for_and_the_rest_begins_where_it_says(ticks: int) -> None:
    made, price = engine(), TICK.price(ticks)
    low, high = made.grid.low, made.grid.high  # type: ignore[union-attr]
    if not low <= price <= high:
        return
    asked = made.on_event(TickerEvent("BTCUSDT", price), LimitOrders())
    wanted = {(each.direction, each.ticks, each.side) for each in asked if isinstance(each, PlaceLimitIntent)}
    wishes = made.wishes(price)
    assert {wish[:3] for wish in wishes if not wish.waits} == wanted
    for wish in wishes:
        if wish.waits:
            limit = D(wish.waits.rpartition(" ")[2])
            step = TICK.tick_size if wish.side is Side.BUY else -TICK.tick_size
            waits = {each[:3]: each.waits for each in made.wishes(limit)}
            comes = {each[:3]: each.waits for each in made.wishes(limit + step)}
            assert (waits[wish[:3]] != "", comes[wish[:3]]) == (True, "")
