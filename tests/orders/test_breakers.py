"""Breaker, run of failures and cap per minute (docs/risk.md 6.1, 6.2, 6.5)."""

from __future__ import annotations

import pytest

from gridbot.orders.breakers import Breaker, FailureRun, RateCap


def test_breaker_forgets_old_failures_and_success_resets() -> None:
    breaker = Breaker(threshold=3, window_s=60, cooldown_s=60)
    assert not any(breaker.fail("k", t) for t in (0.0, 50.0, 100.0)), "never three within 60 s"
    assert breaker.fail("k", 101.0)
    assert breaker.open_until(102.0) == {"k": 161.0}
    assert [breaker.is_open("k", at) for at in (160.9, 161.0)] == [True, False]
    breaker.succeed("k")
    assert not breaker.is_open("k", 102.0)


@pytest.mark.parametrize(("third_s", "opens"), [(60.0, True), (60.1, False)])
def test_failures_count_for_as_long_as_the_window(third_s: float, *, opens: bool) -> None:
    breaker = Breaker(threshold=3, window_s=60, cooldown_s=60)
    assert [breaker.fail("k", at) for at in (0.0, 30.0, third_s)] == [False, False, opens]


def test_circuits_are_apart_and_an_open_one_does_not_open_again() -> None:
    breaker = Breaker(threshold=2, window_s=60, cooldown_s=60)
    assert [breaker.fail("a", 1.0), breaker.fail("b", 1.0), breaker.fail("a", 2.0)] == [False, False, True]
    assert [breaker.fail("a", 3.0), breaker.fail("a", 4.0)] == [False, False]
    assert breaker.open_until(5.0) == {"a": 62.0}
    assert breaker.open_until(62.0) == {}


def test_what_opened_a_circuit_does_not_open_it_again() -> None:
    breaker = Breaker(threshold=2, window_s=60, cooldown_s=10)
    assert [breaker.fail("k", at) for at in (1.0, 2.0, 12.0, 13.0)] == [False, True, False, True]


def test_five_auth_failures_in_a_row_cool_down_and_a_success_between_does_not() -> None:
    run = FailureRun(threshold=5, cooldown_s=1800)
    for _ in range(4):
        run.fail(1.0)
    run.succeed()
    assert not any(run.fail(1.0) for _ in range(4))
    assert run.fail(1.0)
    assert run.is_cooling(1800.0)
    assert not run.is_cooling(1801.0)
    assert (run.cycles, run.until_s) == (1, 1801.0)


def test_while_it_cools_further_failures_neither_prolong_the_cooldown_nor_start_another() -> None:
    run = FailureRun(threshold=2, cooldown_s=100)
    assert [run.fail(0.0) for _ in range(6)] == [False, True] + [False] * 4
    assert (run.until_s, run.cycles) == (100.0, 1)
    run.succeed()
    assert (run.is_cooling(50.0), run.until_s) == (False, None), "an accepted request ends it"


def test_after_a_cooldown_it_takes_as_many_failures_again() -> None:
    run = FailureRun(threshold=3, cooldown_s=100)
    assert [run.fail(at) for at in (0.0, 1.0, 2.0, 102.0, 103.0, 104.0)] == [False, False, True, False, False, True]
    assert run.cycles == 2


def test_a_cap_counts_attempts_of_any_60_seconds() -> None:
    cap = RateCap(2)
    cap.count(0.0)
    cap.count(30.0)
    assert [cap.allows(at) for at in (59.9, 60.0)] == [False, True]
    assert [cap.used(at) for at in (60.0, 90.0)] == [1, 0]


def test_without_a_number_nothing_is_capped() -> None:
    cap = RateCap(None)
    for _ in range(1000):
        cap.count(0.0)
    assert cap.allows(0.0)
