"""Rolling limit: never more than the rate in any window, and the wait it states is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.rolling_limit import RollingLimit


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60))
def test_no_second_has_more_than_its_quota(steps: list[tuple[float, int]]) -> None:
    limit, now = RollingLimit(10, 1.05), 50.0
    taken: list[tuple[float, int]] = []
    for wait, wanted in steps:
        now += wait
        taken.append((now, limit.take(wanted, now)))
        assert sum(n for at, n in taken if at > now - 1.0) <= 10


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_waiting_as_told_always_lets_one_more_through(wants: list[int]) -> None:
    limit, now = RollingLimit(10, 1.0), 50.0
    for wanted in wants:
        limit.take(wanted, now)
        now += limit.wait_s(now)
        assert limit.take(1, now) == 1


def test_after_a_refusal_nothing_leaves_for_a_while() -> None:
    limit = RollingLimit(10, 1.0)
    assert limit.take(4, 0.0) == 4
    limit.block(5.0)
    assert limit.take(1, 4.9) == 0
    assert limit.wait_s(4.0) == pytest.approx(1.0)
    assert limit.take(10, 5.0) == 10


def test_the_header_corrects_the_rate() -> None:
    limit = RollingLimit(10, 1.0)
    limit.take(10, 0.0)
    limit.correct(20)
    assert limit.take(100, 0.1) == 10


def test_a_rate_below_one_is_ignored() -> None:
    limit = RollingLimit(2, 1.0)
    limit.correct(0)
    assert limit.take(5, 0.0) == 2


def test_the_window_is_as_long_as_asked_for() -> None:
    limit = RollingLimit(3, 5.0)
    assert [limit.take(1, at) for at in (0.0, 1.0, 2.0, 4.9)] == [1, 1, 1, 0]
    assert limit.wait_s(3.0) == pytest.approx(2.0, abs=1e-5)
    assert [limit.take(1, at) for at in (5.0, 5.5, 6.0)] == [1, 0, 1]


def test_the_longer_of_two_blocks_counts() -> None:
    limit = RollingLimit(1, 1.0)
    limit.block(5.0)
    limit.block(3.0)
    assert limit.wait_s(0.0) == 5.0
