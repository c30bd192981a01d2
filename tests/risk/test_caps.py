"""Comparing with a cap, and the warning before it is reached (docs/risk.md 6.2)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.risk.caps import CapWatch

D = Decimal


@pytest.mark.parametrize(("value", "refused"), [("99.99", False), ("100", False), ("100.01", True)])
def test_a_cap_refuses_what_exceeds_it(value: str, *, refused: bool) -> None:
    assert CapWatch(lambda key, text: None).exceeds("s1.max_notional", D(value), D(100)) is refused


def test_a_warning_comes_once_on_the_way_up_and_again_after_it_was_below() -> None:
    warnings: list[tuple[str, str]] = []
    watch = CapWatch(lambda key, text: warnings.append((key, text)))
    for value in ("79.99", "80", "95", "101"):
        watch.exceeds("s1.max_notional", D(value), D(100))
    assert warnings == [("s1.max_notional", "s1.max_notional: 80 of 100 used")]
    watch.exceeds("s2.max_notional", D(90), D(100))
    assert [key for key, _ in warnings] == ["s1.max_notional", "s2.max_notional"], "each cap warns for itself"
    for value in ("79", "85.50"):
        watch.exceeds("s1.max_notional", D(value), D(100))
    assert warnings[2:] == [("s1.max_notional", "s1.max_notional: 85.5 of 100 used")]
