"""The grid as a kind of strategy: what `check` is told, and how a strategy is made from its keys."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Instrument, LimitOrders, Side, TickerEvent
from gridbot.strategies.base import CannotTrade
from gridbot.strategies.grid import GRID, GridKeys
from gridbot.strategies.registry import DEFAULT_KIND, KINDS

D = Decimal
BTC = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))
KEYS = GridKeys(grid_count=4, grid_step=D(1))


def test_a_section_without_a_kind_is_a_grid() -> None:
    assert KINDS[DEFAULT_KIND] is GRID
    assert GRID.name == "grid"


def test_a_strategy_goes_on_from_what_the_last_one_saved() -> None:
    first = GRID.make(KEYS, BTC, "btc", None)
    assert first.ladder() is None
    placed = first.on_event(TickerEvent("BTCUSDT", D(1000), 1), LimitOrders())
    again = GRID.make(KEYS, BTC, "btc", GRID.read_state(first.state().to_dict()))
    assert again.restore_note == ""
    assert again.ladder() == first.ladder() == first.state()
    assert again.on_event(TickerEvent("BTCUSDT", D(1000), 2), LimitOrders()) == placed


def test_what_it_plans_is_what_it_places() -> None:
    """At its centre price, where no level is nearer than half a step."""
    strategy = GRID.make(KEYS, BTC, "btc", None)
    intents = strategy.on_event(TickerEvent("BTCUSDT", D(1000), 1), LimitOrders())
    plan = GRID.plan(KEYS, BTC, D(1000))
    assert [level.side for level in plan] == [Side.BUY, Side.BUY, None, Side.SELL, Side.SELL]
    planned = {(level.ticks, level.side) for level in plan if level.side is not None}
    assert {(i.ticks, i.side) for i in intents if hasattr(i, "level")} == planned
    assert len(planned) == GRID.most_orders(KEYS) == 4


def test_the_outline_has_the_distances_of_the_plan() -> None:
    outline = GRID.outline(KEYS)
    plan = [(level.side, BTC.price(level.ticks) / 10 - 100) for level in reversed(GRID.plan(KEYS, BTC, D(1000)))]
    assert [side for side, _ in outline] == [side for side, _ in plan]
    assert all(abs(one - other) < D("0.01") for (_, one), (_, other) in zip(outline, plan, strict=True))


def test_a_ladder_that_cannot_be_names_the_key_and_the_cure() -> None:
    with pytest.raises(CannotTrade) as caught:
        GRID.plan(GridKeys(grid_step=D("0.001")), BTC, D(1000))
    assert caught.value.key == "grid_step"
    assert caught.value.do.startswith("use at least ")


def test_a_step_that_does_not_pay_its_fees_is_warned_of() -> None:
    fee = D("0.0002")
    assert list(GRID.warnings(GridKeys(grid_step=D("0.05")), fee)) == []
    [warning] = GRID.warnings(GridKeys(grid_step=D("0.04")), fee)
    assert warning.startswith("grid_step 0.04 % does not pay for two maker fees of 0.02 %")
