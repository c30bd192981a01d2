"""The band of limit prices, with the figures of docs/bybit.md 3.13."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.price_limits import PREMIUM_WINDOW_MS, RollingMean, price_limits
from tests.case_table import case_table

D = Decimal


@case_table(
    ("index", "premium", "highest", "lowest"),
    [
        ("2498", "0", "2525", "2475"),
        ("2498", "10", "2535", "2475"),
        ("2498", "-10", "2525", "2465"),
        ("2498", "1000", "2550", "2475"),  # never beyond the second ratio
        ("2540", "0", "2540", "2475"),  # nor below the index
        ("2460", "0", "2525", "2460"),
    ],
)
def test_the_rule(index: str, premium: str, highest: str, lowest: str) -> None:
    found = price_limits(D(2500), D(index), D(premium), x=D("0.01"), y=D("0.02"), tick=D("0.5"))
    assert found == (D(highest), D(lowest))


def test_limits_lie_on_a_tick_inside_the_band() -> None:
    assert price_limits(D("2500.3"), D(2500), D(0), x=D("0.01"), y=D("0.02"), tick=D(1)) == (D(2525), D(2476))


def test_the_mean_forgets_second_by_second() -> None:
    mean = RollingMean(PREMIUM_WINDOW_MS)
    assert mean.value == 0
    mean.add(D(10), 1_000)
    mean.add(D(20), 1_500)
    assert (mean.value, mean.changes) == (15, 2)
    mean.add(D(40), 1_000 + PREMIUM_WINDOW_MS)
    assert mean.value == 40
