from __future__ import annotations

from supervisor.store.retention_clock import AGREED_S, STEP_US, RetentionClock
from supervisor.store.writer_process import TRIM_S
from tests.case_table import case_table

SECOND = 1_000_000
NOW = 20_000 * 86_400 * SECOND
AHEAD = 40 * 86_400 * SECOND


@case_table(
    ("wrong_by_us", "counts"),
    [
        ([0, 0, 0], [False, True, True]),
        ([AHEAD, 0, 0], [False, False, True]),  # right a minute after the start
        ([0, 0, AHEAD, 0, 0], [False, True, False, False, True]),  # ahead for minutes
        ([0, 0, AHEAD, AHEAD], [False, True, False, True]),  # it was behind before
        ([0, STEP_US, 2 * STEP_US], [False, True, True]),  # drift
        ([0, STEP_US + 1, STEP_US + 1], [False, False, True]),
        ([0, -AHEAD, 0], [False, False, False]),
    ],
)
def test_a_clock_counts_from_the_second_look_on_after_a_start_or_a_step(
    wrong_by_us: list[int], counts: list[bool]
) -> None:
    clock, hour_us = RetentionClock(), round(TRIM_S * SECOND)
    looks = [(NOW + at * hour_us + wrong_us, 160.0 + at * TRIM_S) for at, wrong_us in enumerate(wrong_by_us)]
    assert [clock.counts(*look) for look in looks] == counts


def test_looks_soon_after_one_another_say_nothing_more() -> None:
    clock = RetentionClock()
    assert [clock.counts(NOW + at * SECOND, 160.0 + at) for at in (0, 1, 2, 2999)] == [False] * 4
    assert clock.counts(NOW + 3000 * SECOND, 160.0 + AGREED_S)
