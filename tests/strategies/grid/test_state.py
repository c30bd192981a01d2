"""A saved grid as plain values: written, read back, and refused with the field's name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gridbot.strategies.grid import GridConfig, GridState, Level
from tests.case_table import case_table
from tests.core.helpers import BUY, SELL, SYMBOL, d, instrument

STATE = GridState(
    symbol=SYMBOL,
    grid_count=4,
    grid_step=d("1.0"),
    tick_size=d("0.10"),
    levels=(Level(980, BUY), Level(990, None), Level(1000, SELL), Level(1010, SELL), Level(1020, SELL)),
    last_fill=d("99.05"),
    anchor=d("100.01"),
    version=7,
    exchange_ts=1_700_000_000_123,
    pending=(d("98.5"),),
)


def test_written_and_read_back():
    plain = json.loads(json.dumps(STATE.to_dict()))
    assert plain == {
        "symbol": "XUSDT",
        "grid_count": 4,
        "grid_step": "1.0",
        "tick_size": "0.10",
        "levels": [[980, "Buy"], [990, "Wait"], [1000, "Sell"], [1010, "Sell"], [1020, "Sell"]],
        "last_fill": "99.05",
        "anchor": "100.01",
        "version": 7,
        "exchange_ts": 1_700_000_000_123,
        "pending": ["98.5"],
    }
    assert GridState.from_dict(plain) == STATE
    empty = GridState(SYMBOL, 4, d(1), d("0.1"))
    assert GridState.from_dict(json.loads(json.dumps(empty.to_dict()))) == empty


@case_table("name", list(STATE.to_dict()))
def test_a_missing_field_is_named(name):
    plain = STATE.to_dict()
    del plain[name]
    with pytest.raises(ValueError, match=f"^grid state: expected the field {name}, got only [a-z_]+(, [a-z_]+)+$"):
        GridState.from_dict(plain)
    with pytest.raises(ValueError, match=r"expected the field symbol, got only none$"):
        GridState.from_dict({})


@case_table(
    ("name", "value", "message"),
    [
        ("symbol", 5, "expected text in symbol, got 5"),
        ("grid_count", "4", "expected a whole number from 0 up in grid_count, got '4'"),
        ("grid_count", True, "in grid_count, got True"),
        ("version", -1, "in version, got -1"),
        ("exchange_ts", 1.5, "in exchange_ts, got 1.5"),
        ("grid_step", "0", "expected a positive number as text in grid_step, got '0'"),
        ("grid_step", 0.2, "in grid_step, got 0.2"),
        ("tick_size", "NaN", "in tick_size, got 'NaN'"),
        ("anchor", "Infinity", "in anchor, got 'Infinity'"),
        ("last_fill", "x", "in last_fill, got 'x'"),
        ("pending", "98", "expected a list in pending, got '98'"),
        ("pending", [None], "in pending, got None"),
        ("levels", {}, "expected a list in levels"),
        ("levels", [[980, "Buy", 1]], "expected .ticks, Buy.Sell.Wait. in levels"),
        ("levels", [["980", "Buy"]], "in levels, got"),
        ("levels", [[980.0, "Buy"]], "in levels, got"),
        ("levels", [[980, "buy"]], "in levels, got"),
        ("levels", [[980, None]], "in levels, got"),
        ("levels", [980], "in levels, got 980"),
    ],
)
def test_a_wrong_field_is_named(name, value, message):
    with pytest.raises(ValueError, match=f"grid state: .*{message}"):
        GridState.from_dict({**STATE.to_dict(), name: value})


def test_equal_numbers_fit_however_they_are_written():
    assert STATE.refusal(GridConfig(4, d(1)), instrument("0.1")) == ""
    assert STATE.grid(GridConfig(4, d(1)), instrument("0.1")).levels == STATE.levels
    assert STATE.seed(GridConfig(4, d("1.00")), instrument("0.5")) == d("100.01")
    assert STATE.seed(GridConfig(5, d("1.00")), instrument("0.5")) is None
    assert STATE.seed(GridConfig(4, d("1.01")), instrument("0.5")) is None
    assert replace(STATE, symbol="YUSDT").seed(GridConfig(4, d(1)), instrument("0.1")) is None


@case_table(
    ("changes", "why"),
    [
        ({"symbol": "YUSDT"}, "saved with symbol YUSDT, now XUSDT"),
        ({"grid_step": d(2)}, "saved with grid_step 2, now 1"),
        ({"grid_count": 6}, "saved with grid_count 6, now 4"),
        ({"tick_size": d("0.5")}, "saved with tick size 0.5, now 0.1"),
        ({"levels": ()}, "no grid was saved yet"),
        ({"anchor": None}, "saved without the price it was built around"),
        ({"levels": STATE.levels[:-1]}, "there are 4 levels instead of 5"),
        ({"levels": (Level(985, BUY), *STATE.levels[:-1])}, "neighbouring levels fall on the same tick"),
    ],
)
def test_levels_that_do_not_fit_are_refused(changes, why):
    """docs/strategy.md 1.6 no. 1, incident L32."""
    assert replace(STATE, **changes).refusal(GridConfig(4, d(1)), instrument("0.1")) == why


def test_no_grid_comes_from_a_state_without_one():
    with pytest.raises(ValueError, match=r"^expected a state with a grid, got one without; ask `refusal` first$"):
        GridState(SYMBOL, 4, d(1), d("0.1")).grid(GridConfig(4, d(1)), instrument("0.1"))
