"""The ladder: built, filled, shifted and refused, on numbers worked out by hand from docs/strategy.md 1."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from gridbot.strategies.grid import Grid, GridConfig, ImpossibleLadder, Level, ladder, smallest_step
from gridbot.strategies.grid.ladder import problem_of_ladder
from tests.case_table import case_table
from tests.core.helpers import BUY, EXAMPLES, SELL, d, instrument


def ticks_of(grid: Grid) -> list[int]:
    return [level.ticks for level in grid.levels]


def sides_of(grid: Grid) -> str:
    """One letter a level, lowest first: B, S, or w for WAIT."""
    return "".join("w" if level.side is None else level.side[0] for level in grid.levels)


def build(price: str, tick: str = "0.1", count: int = 4, step: str = "1", threshold: str = "0.3") -> Grid:
    return Grid.build(GridConfig(count, d(step), d(threshold)), instrument(tick), d(price))


# ---------------------------------------------------------------------- build


def test_levels_compound_from_the_rounded_one_before():
    grid = build("100")
    # up 1000·1.01 = 1010, ·1.01 = 1020.1; down 1000·0.99 = 990, ·0.99 = 980.1
    assert grid.levels == (Level(980, BUY), Level(990, BUY), Level(1000, None), Level(1010, SELL), Level(1020, SELL))
    assert (grid.low, grid.high, grid.anchor, grid.last_fill) == (d("98.0"), d("102.0"), d(100), None)
    assert grid.price(grid.levels[1]) == d("99.0")


def test_the_first_step_starts_from_the_unrounded_price():
    # 100.05 is 1000.5 ticks, the centre rounds down to 1000; up 1000.5·1.01 = 1010.505 and not 1000·1.01 = 1010
    assert ticks_of(build("100.05")) == [980, 990, 1000, 1011, 1021]
    # 100.152 is 1001.52 ticks, the centre 1002; down 1001.52·0.99 = 991.50 → 992 is 991.5048, up 1011.5352
    assert ticks_of(build("100.152")) == [982, 992, 1002, 1012, 1022]
    # 100.151 is 1001.51 ticks: down 1001.51·0.99 = 991.4949, while 1002·0.99 = 991.98
    assert ticks_of(build("100.151")) == [981, 991, 1002, 1012, 1022]


@case_table(("price", "centre"), [("100.05", 1000), ("100.15", 1002), ("100.0500001", 1001), ("100.0499999", 1000)])
def test_ties_go_to_even(price, centre):
    assert ticks_of(build(price))[2] == centre


def test_ties_of_a_step_go_to_even():
    # 50·1.01 = 50.5 → 50 would be the same tick; 150·1.01 = 151.5 → 152, ·1.01 = 153.52 → 154; 150·0.99 = 148.5 → 148
    assert ticks_of(build("15")) == [147, 148, 150, 152, 154]
    with pytest.raises(ImpossibleLadder, match="same tick"):
        build("5.0")


@case_table(("count", "levels"), [(4, 5), (5, 5), (6, 7), (7, 7), (50, 51), (51, 51)])
def test_half_of_the_count_goes_each_way(count, levels):
    grid = build("60000", count=count, step="0.2")
    assert len(grid.levels) == levels == GridConfig(count).levels
    assert sides_of(grid) == "B" * (levels // 2) + "w" + "S" * (levels // 2)


def test_defaults_are_the_documented_ones():
    assert GridConfig() == GridConfig(50, d("0.2"), d("0.3"))


@case_table(
    ("arguments", "error", "message"),
    [
        ((3,), ValueError, "grid_count: expected a whole number from 4 up, got 3"),
        ((4.0,), ValueError, "grid_count"),
        ((50, d(0)), ValueError, "grid_step: expected percent above 0 and below 100, got 0"),
        ((50, d(100)), ValueError, "grid_step"),
        ((50, 0.2), TypeError, "grid_step: expected a Decimal, got float 0.2"),
        ((50, d("0.2"), d("-0.1")), ValueError, "rebalance_threshold: expected a fraction from 0 to 1, got -0.1"),
        ((50, d("0.2"), d("1.1")), ValueError, "rebalance_threshold"),
        ((50, d("0.2"), 0.3), TypeError, "rebalance_threshold: expected a Decimal"),
    ],
)
def test_impossible_configurations_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        GridConfig(*arguments)


def test_the_outermost_values_are_allowed():
    assert GridConfig(4, d("99.9"), d(1)).rebalance_threshold == 1
    assert GridConfig(4, d("0.001"), d(0)).grid_step == d("0.001")


# ---------------------------------------------------------------------- impossible ladders


def test_an_impossible_ladder_names_tick_step_and_a_step_that_works():
    """The LTC case of incident L31: 0.2 % of 44 USDT is less than a tick of 0.1."""
    ltc = instrument("0.1")
    with pytest.raises(ImpossibleLadder) as caught:
        ladder(GridConfig(20, d("0.2")), ltc, d("44.06"))
    error = caught.value
    assert str(error) == (
        "XUSDT: expected 21 different levels around 44.06, but with tick 0.1 and grid_step 0.2 % neighbouring levels "
        "fall on the same tick; the smallest grid_step that works here is 0.205 %"
    )
    assert error.smallest_step == d("0.205") == GridConfig(20).smallest_step(ltc, d("44.06"))
    assert len(ladder(GridConfig(20, d("0.205")), ltc, d("44.06"))) == 21
    with pytest.raises(ImpossibleLadder):
        ladder(GridConfig(20, d("0.204")), ltc, d("44.06"))


def test_where_no_step_works_the_error_says_so():
    with pytest.raises(ImpossibleLadder, match=r"; no grid_step works here; use a smaller grid_count$") as caught:
        build("0.5", count=50)
    assert caught.value.smallest_step is None


def test_a_ladder_never_reaches_zero():
    with pytest.raises(ImpossibleLadder, match="not above zero"):
        build("1", tick="1", step="60")


def test_levels_closer_than_half_a_step_are_refused():
    # 10.51 rounds up to the centre 11, and 10.51·1.1884 = 12.49 down to 12: 9.09 % apart instead of 9.42 %
    with pytest.raises(ImpossibleLadder, match="less than half a step apart"):
        build("10.51", tick="1", step="18.84")


@pytest.mark.parametrize("price", ["0", "-1"])
def test_a_price_to_build_around_is_positive(price):
    with pytest.raises(ValueError, match="expected a positive price"):
        build(price)
    assert smallest_step(4, instrument(), d(price)) is None


@case_table(
    ("ticks", "problem"),
    [
        ([100, 101, 102, 103, 104], ""),
        ([100, 101, 102, 103], "there are 4 levels instead of 5"),
        ([0, 101, 102, 103, 104], "the lowest level is not above zero"),
        ([100, 101, 101, 103, 104], "neighbouring levels fall on the same tick"),
        ([100, 102, 101, 103, 104], "neighbouring levels fall on the same tick"),
        ([2000, 2010, 2021, 2032, 2043], ""),  # 10 of 2000 is exactly half a step
        ([2001, 2011, 2022, 2033, 2044], "neighbouring levels are less than half a step apart"),
        ([1, 2, 3, 4, 5], ""),
    ],
)
def test_the_invariant_of_a_ladder(ticks, problem):
    assert problem_of_ladder(ticks, GridConfig(4, d(1))) == problem


@settings(max_examples=EXAMPLES, deadline=None)
@given(price=st.integers(5_000, 10**6), off=st.integers(0, 9), count=st.integers(4, 8))
def test_a_small_step_is_the_first_thousandth_of_a_percent_that_works(price, off, count):
    at, rules = Decimal(price) / 10 + Decimal(off) / 100, instrument("0.1")
    for thousandths in range(1, 128):
        try:
            ladder(GridConfig(count, Decimal(thousandths) / 1000), rules, at)
        except ImpossibleLadder:
            continue
        assert smallest_step(count, rules, at) == Decimal(thousandths) / 1000
        break


@settings(max_examples=EXAMPLES, deadline=None)
@given(price=st.integers(300, 10**7), count=st.integers(4, 60))
def test_the_smallest_step_works_and_a_clearly_smaller_one_does_not(price, count):
    at, rules = Decimal(price) / 10, instrument("0.1")
    step = smallest_step(count, rules, at)
    if step is None:
        reject()
    assert len(ladder(GridConfig(count, step), rules, at)) == 2 * (count // 2) + 1
    assert len(step.normalize().as_tuple().digits) <= 3 or step > 1
    if step > d("0.002"):
        with pytest.raises(ImpossibleLadder):
            ladder(GridConfig(count, step * d("0.99") - d("0.001")), rules, at)


@case_table(
    ("tick", "price", "count", "step"),
    [
        ("1", "4", 4, "16.7"),
        ("0.1", "0.9", 4, "6.26"),
        ("0.0001", "0.9", 20, "0.006"),
        ("0.1", "60000", 50, "0.001"),
        ("0.1", "44.06", 50, "0.205"),
        ("1", "3", 4, "25.1"),
        ("1", "9.725", 14, "12.501"),  # 12.6 does not work
        ("1", "2", 4, None),
    ],
)
def test_smallest_steps(tick, price, count, step):
    assert smallest_step(count, instrument(tick), d(price)) == (None if step is None else d(step))


# ---------------------------------------------------------------------- fills


def test_a_fill_waits_around_it_and_sides_follow_the_market():
    grid = build("100").filled(d("99"), d("99.5"))
    # 990 waits; 1000 turned from WAIT to Sell; one shift, as (3 − 1)/4 > 0.3: the top goes, 980·0.99 = 970.2 comes
    assert ticks_of(grid) == [970, 980, 990, 1000, 1010]
    assert sides_of(grid) == "BBwSS"
    assert grid.last_fill == d("99")
    assert grid.anchor == d(100)


@case_table(
    ("fill", "waits"),
    [("99.2475", False), ("99.24749", True), ("98.7525", False), ("98.75251", True), ("99", True)],
)
def test_the_wait_band_is_open_at_a_quarter_step(fill, waits):
    # level 99.0: |99.0 − F| / 99.0 · 100 < 0.25 means less than 0.2475 away
    grid = build("100", threshold="1").filled(d(fill), d("100.5"))
    assert sides_of(grid) == ("BwBSS" if waits else "BBBSS")


@case_table(
    ("last", "sides"), [("99.0000001", "BBSSS"), ("98.9999999", "BSSSS"), ("100.5", "BBBSS"), ("101.95", "BBBBS")]
)
def test_sides_compare_the_exact_price(last, sides):
    assert sides_of(build("100", threshold="1").filled(d("50"), d(last))) == sides


def test_a_level_exactly_at_the_market_keeps_its_side():
    grid = build("100", threshold="1")
    assert sides_of(grid.filled(d("50"), d("99"))) == "BBSSS"  # 990 was a Buy
    assert sides_of(grid.filled(d("50"), d("101"))) == "BBBSS"  # 1010 was a Sell
    assert sides_of(grid.filled(d("50"), d("100"))) == "BBwSS"  # 1000 was waiting since the build
    assert sides_of(grid.filled(d("100"), d("99"))) == "BBwSS"


@case_table("last", ["98.0", "102.0", "97", "110"])
def test_a_fill_with_the_market_at_or_beyond_the_bounds_rebuilds_around_the_market(last):
    grid = build("100", threshold="1").filled(d("98"), d(last))
    assert grid.anchor == d(last)
    assert ticks_of(grid)[2] == int(d(last) * 10)


@pytest.mark.parametrize("last", ["98.0001", "101.9999"])
def test_just_inside_the_bounds_nothing_is_rebuilt(last):
    assert build("100").filled(d("100"), d(last)).anchor == d(100)


def test_the_top_is_appended_as_a_sell_one_step_above_the_outermost_level():
    grid = build("100").filled(d("101"), d("101.5"))
    # B B B(1000) w(1010) S: (3 − 1)/4 > 0.3: 980 goes, 1020·1.01 = 1030.2 comes
    assert ticks_of(grid) == [990, 1000, 1010, 1020, 1030]
    assert sides_of(grid) == "BBwSS"


def test_a_shift_is_exactly_one_step():
    # 620001·1.01 = 626201.01; down: 576001 · 0.99 = 570240.99
    config, rules = GridConfig(4, d(1), d(0)), instrument("0.1")
    prices = (576_001, 590_000, 600_000, 610_000, 620_001)
    grid = Grid(config, rules, tuple(Level(ticks, BUY) for ticks in prices), d(60000))
    assert ticks_of(grid.filled(d(1), d(61500)))[-1] == 626_201
    assert ticks_of(grid.filled(d(1), d(58000)))[0] == 570_241


def test_a_shift_measures_from_the_outermost_level_even_when_it_waits():
    """The old bot measured from the highest Sell: there is none here, and it appended a level at price 0."""
    grid = build("100").filled(d("102"), d("101.9"))
    assert sides_of(grid) == "BBBwS"
    assert ticks_of(grid) == [990, 1000, 1010, 1020, 1030]
    grid = build("100").filled(d("98"), d("98.1"))
    assert sides_of(grid) == "BwSSS"
    assert ticks_of(grid) == [970, 980, 990, 1000, 1010]


@pytest.mark.parametrize(("threshold", "shifts"), [("0.5", False), ("0.4999", True), ("0.5001", False)])
def test_the_threshold_has_to_be_exceeded(threshold, shifts):
    # B B B w S: (3 − 1)/(3 + 1) = 0.5
    up = build("100", threshold=threshold).filled(d("101"), d("101.5"))
    assert ticks_of(up)[0] == (990 if shifts else 980)
    down = build("100", threshold=threshold).filled(d("99"), d("98.5"))
    assert ticks_of(down)[-1] == (1010 if shifts else 1020)


def test_a_balanced_grid_does_not_shift():
    assert ticks_of(build("100", threshold="0").filled(d("100"), d("100"))) == [980, 990, 1000, 1010, 1020]


def test_a_band_over_all_levels_leaves_the_grid_alone():
    grid = build("100", count=4, step="1")
    waiting = Grid(grid.config, grid.instrument, tuple(Level(level.ticks, None) for level in grid.levels), grid.anchor)
    assert sides_of(waiting.filled(d("100"), d("100"))) == "BBwSS"  # no band is that wide: C decides again


def test_at_most_one_shift_per_fill():
    grid = build("100", count=20).filled(d("108"), d("108.1"))
    assert ticks_of(grid)[:2] == ticks_of(build("100", count=20))[1:3]


def test_a_shift_that_rounding_makes_impossible_is_left_out():
    # around 60 ticks 1 % is 0.6 ticks: 50·0.99 = 49.5 rounds to 50, the lowest level itself
    config, rules = GridConfig(4, d(1), d(0)), instrument("1")
    levels = tuple(Level(ticks, BUY) for ticks in (50, 51, 52, 53, 54))
    after = Grid(config, rules, levels, d(52)).filled(d("50.1"), d("50.6"))
    assert [level.ticks for level in after.levels] == [50, 51, 52, 53, 54]
    assert sides_of(after) == "wSSSS"
    assert after.last_fill == d("50.1")


def test_a_second_fill_of_the_same_price_is_worked_out_as_ever():
    """Both legs are filled at once: the ladder remembers that another such fill changes nothing."""
    at, known = [d(90 + number) for number in range(21)], 0
    for fill, last in [(fill, last + part) for fill in at for last in at for part in (d(0), d("0.4"))]:
        once = build("100", count=20, threshold="0.1").filled(fill, last)
        anew = Grid(once.config, once.instrument, once.levels, once.anchor, once.last_fill)
        assert once.filled(fill, last) == anew.filled(fill, last)
        known += once.filled(fill, last) is once
    assert 0 < known < 2 * len(at) ** 2


def test_a_rebuild_keeps_the_last_fill():
    grid = build("100").filled(d("100"), d("100")).rebuilt(d("200"))
    assert (grid.anchor, grid.last_fill) == (d(200), d(100))


def test_the_ambient_decimal_context_decides_nothing():
    expected = build("61234.57", tick="0.01", count=50, step="0.2").filled(d("61000.01"), d("61111.11"))
    bounds = (expected.low, expected.high)
    with localcontext() as context:
        context.prec = 3
        context.rounding = "ROUND_UP"
        assert build("61234.57", tick="0.01", count=50, step="0.2").filled(d("61000.01"), d("61111.11")) == expected
        assert (expected.low, expected.high) == bounds


# ---------------------------------------------------------------------- any path


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    count=st.integers(4, 40),
    step=st.sampled_from(["0.05", "0.2", "0.7", "3", "11"]),
    threshold=st.sampled_from(["0", "0.3", "0.6"]),
    moves=st.lists(st.tuples(st.integers(-150, 150), st.integers(-150, 150)), max_size=40),
)
def test_any_path_of_fills_keeps_the_invariant(count, step, threshold, moves):
    config = GridConfig(count, d(step), d(threshold))
    try:
        grid = Grid.build(config, instrument("0.1"), d("2345.6"))
    except ImpossibleLadder:
        return
    price = d("2345.6")
    for move, miss in moves:
        price = max(d("0.1"), (price * (1 + d(move) * d(step) / 10000)).quantize(d("0.01")))
        filled = max(d("0.1"), price * (1 + d(miss) * d(step) / 10000))
        before = grid
        try:
            grid = grid.filled(filled, price)
        except ImpossibleLadder:
            assert not before.low < price < before.high
            return
        assert problem_of_ladder(ticks_of(grid), config) == ""
        assert len(set(ticks_of(grid)) ^ set(ticks_of(before))) <= 2 or grid.anchor == price
        for level in grid.levels:
            if level.side is None:
                near = abs(grid.price(level) - filled) / grid.price(level) * 100 < d(step) / 4
                assert near or grid.price(level) == price, "WAIT far from the fill, and not where the market stands"
