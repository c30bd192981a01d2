"""The margin ratio above which an account only reduces (docs/caps.md 3)."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.risk.margin_brake import AT_LEAST_S, BrakeState, Ratio, step
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES

D = Decimal
MOST = D("0.5")
BRAKED = BrakeState(
    "the margin ratio is 0.501, max_margin_ratio is 0.5; nothing is opened until it is 0.45 or less", 7, 1.0
)


@case_table(
    ("before", "low", "high", "after"),
    [
        (BrakeState(), "0.5", "0.9", BrakeState()),  # one look of two above it, and exactly the limit
        (BrakeState(), "0.501", "0.6", BRAKED),
        (BRAKED, "0.7", "0.8", BRAKED),  # the first reason stays
        (BRAKED, "0.44", "0.451", BRAKED),
        (BRAKED, "0.44", "0.45", BrakeState()),
    ],
)
def test_it_is_on_above_the_limit_and_off_at_nine_tenths(
    before: BrakeState, low: str, high: str, after: BrakeState
) -> None:
    now_s = 1.0 if not before.reason else 1.0 + AT_LEAST_S
    assert step(before, Ratio(D(low), D(high), 7, now_s), MOST) == after
    assert step(before, Ratio(D(low), D(high), 7, now_s), None) == BrakeState(), "off"


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=30))
def test_between_the_two_marks_it_stays_as_it_was(looks: list[tuple[int, int]]) -> None:
    state = BrakeState()
    for now_ms, (tenths, more) in enumerate(looks):
        low, high = D(tenths) / 10, D(tenths + more) / 10
        before, state = state, step(state, Ratio(low, high, now_ms, now_ms * AT_LEAST_S), MOST)
        if low > MOST:
            assert state.reason
        elif high <= D("0.45"):
            assert not state.reason
        else:
            assert state == before


def test_it_stays_on_for_a_minute_since_withdrawn_orders_have_a_part_in_the_ratio() -> None:
    """Simulated (seed 51): withdrawn, the ratio was low, placed again, it was high, and so on, 40 times a minute."""
    assert step(BRAKED, Ratio(D(0), D(0), 8, 0.9 + AT_LEAST_S), MOST) == BRAKED
    assert step(BRAKED, Ratio(D(0), D(0), 8, 1.0 + AT_LEAST_S), MOST) == BrakeState()
