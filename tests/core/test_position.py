"""The linked legs of a pair: what they show, and when the rules are evaluated (docs/risk.md 5.1)."""

from __future__ import annotations

import pytest

from gridbot.core import Direction, Position, PositionEvent, RiskConfig
from tests.core.helpers import BUY, LONG, SELL, SHORT, SYMBOL, d, factors, inputs, leg

RISK = RiskConfig()


def event(direction: Direction, size: str, entry: str | None = "100", liq: str | None = None, **more) -> PositionEvent:
    state = leg(size, entry, liq)
    return PositionEvent(SYMBOL, direction, state.size, state.entry_price, liq_price=state.liq_price, **more)


def test_a_pair_is_linked_both_ways():
    long, short = Position.linked_pair(RISK)
    assert (long.direction, short.direction) == (LONG, SHORT)
    assert long.opposite is short
    assert short.opposite is long
    with pytest.raises(ValueError, match=r"make both with Position\.linked_pair"):
        _ = Position(LONG, RISK).opposite
    assert "opposite" not in repr(long)


def test_nothing_is_evaluated_before_both_legs_are_known():
    long, short = Position.linked_pair(RISK)
    assert not long.known
    long.update(event(LONG, "1", liq="90"), inputs())
    assert long.known
    assert (long.rule, long.multiplier(SELL), long.low_balance) == ("", 1, False)
    short.update(event(SHORT, "0", "0"), inputs(available="1"))
    assert (long.rule, long.multiplier(SELL), long.low_balance, short.low_balance) == ("long_1", d("1.5"), True, True)


@pytest.mark.parametrize("direction", [LONG, SHORT])
def test_either_leg_recomputes_both(direction):
    long, short = Position.linked_pair(RISK)
    long.update(event(LONG, "2", liq="82"))
    short.update(event(SHORT, "1.1", liq="118"))
    assert (long.rule, short.rule) == ("", ""), "no inputs, no evaluation"
    result = (long if direction is LONG else short).recompute(inputs())
    assert (long.rule, short.rule, result.rule) == ("long_2", "short_2", "long_2,short_2")
    assert [long.multiplier(BUY), long.multiplier(SELL)] == [1, d("0.5")]
    assert [short.multiplier(BUY), short.multiplier(SELL)] == [d("0.5"), 1]
    assert long.multipliers is short.multipliers


def test_a_position_shows_its_leg():
    long, short = Position.linked_pair(RiskConfig(early_imbalance_multiplier=d("1.7")))
    long.update(event(LONG, "2", "100.5", leverage=d(10)))
    assert (long.size, long.entry_price, long.liq_price, long.value) == (d(2), d("100.5"), None, d(201))
    assert long.leg.leverage == 10
    long.update(event(LONG, "2", "0", "0"))
    assert (long.entry_price, long.liq_price, long.leg.leverage, long.value) == (None, None, 10, 0)
    long.update(event(LONG, "2", liq="55"))
    assert long.liq_price == 55
    with pytest.raises(ValueError, match="expected a long position, got short"):
        long.update(event(SHORT, "1"))
    long.update(event(LONG, "2"))
    short.update(event(SHORT, "1"))
    assert long.imbalance_multiplier == short.imbalance_multiplier == d("1.7")
    long.judge_by(RiskConfig())
    assert long.imbalance_multiplier == 1


def test_an_update_replaces_the_rule_of_before():
    long, short = Position.linked_pair(RISK)
    short.update(event(SHORT, "0", None), inputs())
    long.update(event(LONG, "2", liq="90"), inputs())
    assert long.rule == "long_1"
    long.update(event(LONG, "0", None), inputs())
    assert (long.rule, factors(long.multipliers), long.multipliers.rule) == ("", {}, "")


def test_other_settings_of_the_rules_count_for_both_legs() -> None:
    long, short = Position.linked_pair(RiskConfig())
    other = RiskConfig(min_liq_ratio=d("0.5"))
    short.judge_by(other)
    assert (long.risk, short.risk) == (other, other)
