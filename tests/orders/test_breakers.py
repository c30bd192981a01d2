"""Breaker, run of failures and cap per minute (docs/risk.md 6.1, 6.2, 6.5)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import remedy_for
from gridbot.orders.breakers import Breaker, Cause, Circuit, FailureRun, RateCap
from tests.core.helpers import EXAMPLES

BAD_KEY = make_error("Unmatched IP.", ErrorKind.AUTH, ret_code=10010)
NO_RIGHT = make_error("Permission denied.", ErrorKind.AUTH, ret_code=10005)


def fail(breaker: Breaker[str], *failures: tuple[str, float]) -> tuple[Breaker[str], list[bool]]:
    opened = []
    for key, at_s in failures:
        breaker, opens = breaker.failed(key, at_s)
        opened.append(opens)
    return breaker, opened


def run_of(run: FailureRun, *times: float) -> tuple[FailureRun, list[bool]]:
    begun = []
    for at_s in times:
        run, begins = run.failed(BAD_KEY, at_s)
        begun.append(begins)
    return run, begun


def counted(cap: RateCap, *times: float) -> RateCap:
    for at_s in times:
        cap = cap.counted(at_s)
    return cap


# ---------------------------------------------------------------------- breaker


def test_three_failures_within_a_minute_open_a_circuit_for_a_minute() -> None:
    breaker, opened = fail(Breaker(), ("k", 0.0), ("k", 50.0), ("k", 100.0))
    assert opened == [False] * 3, "never three within 60 s"
    assert not breaker.is_open("k", 100.0)
    breaker, opened = fail(breaker, ("k", 101.0))
    assert opened == [True]
    assert breaker.open_until(102.0) == {"k": 161.0}
    assert [breaker.is_open("k", at) for at in (101.0, 160.9, 161.0)] == [True, True, False]
    assert not breaker.is_open("another", 102.0)


@pytest.mark.parametrize(("third_s", "opens"), [(61.0, True), (61.1, False)])
def test_failures_count_for_as_long_as_the_window(third_s: float, *, opens: bool) -> None:
    _, opened = fail(Breaker(), ("k", 1.0), ("k", 30.0), ("k", third_s))
    assert opened == [False, False, opens]


def test_the_three_numbers_are_those_it_was_made_with() -> None:
    breaker, opened = fail(Breaker(threshold=2, window_s=5, cooldown_s=7), ("k", 1.0), ("k", 6.1), ("k", 11.1))
    assert opened == [False, False, True]
    assert breaker.open_until(18.0) == {"k": 18.1}
    assert (breaker.threshold, breaker.window_s, breaker.cooldown_s) == (2, 5, 7)


def test_circuits_are_apart() -> None:
    breaker, opened = fail(Breaker(threshold=2), ("a", 1.0), ("b", 1.5), ("a", 2.0))
    assert opened == [False, False, True]
    assert breaker.open_until(3.0) == {"a": 62.0}
    assert breaker.open_until(62.0) == {}
    breaker, opened = fail(breaker, ("b", 3.0))
    assert opened == [True]
    assert breaker.open_until(3.0) == {"a": 62.0, "b": 63.0}


def test_circuits_whose_cause_was_repaired_close_and_begin_at_zero() -> None:
    breaker, _ = fail(Breaker(threshold=2), ("a", 1.0), ("b", 1.5), ("a", 2.0), ("b", 2.5), ("c", 2.5))
    repaired = breaker.closed({"a", "c", "unknown"})
    assert repaired.open_until(3.0) == {"b": 62.5}
    assert fail(repaired, ("a", 3.0), ("c", 3.0))[1] == [False, False]


def test_what_fails_while_a_circuit_is_open_neither_prolongs_it_nor_counts_afterwards() -> None:
    """It was sent before. Such failures once opened the circuit again with the first one after it had closed."""
    breaker, opened = fail(Breaker(threshold=2), ("k", 1.0), ("k", 2.0), ("k", 60.0), ("k", 61.0))
    assert opened == [False, True, False, False]
    assert breaker.open_until(61.9) == {"k": 62.0}
    breaker, opened = fail(breaker, ("k", 62.0), ("k", 63.0))
    assert opened == [False, True]


def test_a_circuit_that_has_closed_begins_at_zero() -> None:
    _, opened = fail(Breaker(threshold=2, cooldown_s=10), ("k", 1.0), ("k", 2.0), ("k", 12.0), ("k", 13.0))
    assert opened == [False, True, False, True]


def test_what_is_over_is_forgotten_with_the_next_failure() -> None:
    """A level that failed once was kept for ever, and a grid that moves leaves many of them behind."""
    breaker, _ = fail(Breaker(threshold=2), ("once", 1.0), ("open", 1.5), ("open", 2.0), ("k", 61.0))
    assert set(breaker.circuits) == {"once", "open", "k"}
    breaker, _ = fail(breaker, ("k2", 61.5))
    assert set(breaker.circuits) == {"open", "k", "k2"}
    breaker, _ = fail(breaker, ("k3", 62.0))
    assert breaker.circuits == {"k": Circuit((61.0,)), "k2": Circuit((61.5,)), "k3": Circuit((62.0,))}


def test_an_open_circuit_says_what_opened_it() -> None:
    breaker: Breaker[str] = Breaker(threshold=2)
    for cause in (Cause.REFUSED, Cause.MOVED):
        breaker, _ = breaker.failed("moved", 1.0, cause)
    for cause in (Cause.MOVED, Cause.REFUSED):
        breaker, _ = breaker.failed("refused", 1.0, cause)
    breaker, _ = breaker.failed("closed", 1.0, Cause.MOVED)
    assert breaker.causes(60.9) == {"moved": Cause.MOVED, "refused": Cause.REFUSED}
    assert breaker.causes(61.0) == {}


FAILURES = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 40)), max_size=60)


@settings(max_examples=EXAMPLES, deadline=None)
@given(FAILURES)
def test_a_breaker_does_what_a_list_of_all_failures_says(steps: list[tuple[str, float]]) -> None:
    breaker: Breaker[str] = Breaker()
    now_s, history, open_until = 0.0, dict[str, list[float]](), dict[str, float]()
    for key, wait_s in steps:
        now_s += wait_s
        breaker, opens = breaker.failed(key, now_s)
        if now_s < open_until.get(key, 0.0):
            assert not opens
        else:
            history.setdefault(key, []).append(now_s)
            assert opens is (len([at for at in history[key] if now_s - at <= 60.0]) >= 3)
            if opens:
                open_until[key], history[key] = now_s + 60.0, []
        assert breaker.open_until(now_s) == {k: until for k, until in open_until.items() if now_s < until}


# ---------------------------------------------------------------------- run of failures


def test_five_failures_in_a_row_cool_down_for_half_an_hour_and_a_success_between_begins_anew() -> None:
    run, begun = run_of(FailureRun(), 1.0, 1.0, 1.0, 1.0)
    assert begun == [False] * 4
    assert not run.is_cooling(1.0)
    run, begun = run_of(run.succeeded(), 1.0, 1.0, 1.0, 1.0, 1.0)
    assert begun == [False] * 4 + [True]
    assert [run.is_cooling(at) for at in (1.0, 1800.9, 1801.0)] == [True, True, False]
    assert (run.cycles, run.until_s) == (1, 1801.0)


def test_a_cooldown_says_what_it_began_with_and_what_can_be_done() -> None:
    """Health, the incident and the strategy's row had neither code nor remedy."""
    run, _ = run_of(FailureRun(threshold=2), 1.0)
    assert run.why(1.0) == "", "it counts"
    run, _ = run.failed(NO_RIGHT, 2.0)
    said = "orders are paused after repeated authentication errors: Permission denied. (retCode 10005, auth); "
    assert run.why(2.0) == said + remedy_for(NO_RIGHT)
    assert "allow it orders and positions" in run.why(2.0)
    assert run.failed(BAD_KEY, 3.0)[0] is run, "a cancel that fails meanwhile changes nothing"
    assert run.why(1802.0) == ""
    assert run.succeeded().error is None


def test_a_success_ends_the_cooldown() -> None:
    run, _ = run_of(FailureRun(threshold=1, cooldown_s=100), 0.0)
    run = run.succeeded()
    assert (run.is_cooling(50.0), run.until_s, run.cycles) == (False, None, 1)
    assert run.succeeded() is run, "nothing to end"


def test_what_fails_while_it_cools_neither_prolongs_the_cooldown_nor_counts_afterwards() -> None:
    """Cancels are not held back, so they fail meanwhile; the first failure after the cooldown once began another."""
    run, begun = run_of(FailureRun(threshold=3, cooldown_s=100), 0.0, 1.0, 2.0, 3.0, 50.0, 101.9)
    assert begun == [False, False, True, False, False, False]
    assert (run.until_s, run.cycles) == (102.0, 1)
    run, begun = run_of(run, 102.0, 103.0, 104.0)
    assert begun == [False, False, True]
    assert (run.until_s, run.cycles) == (204.0, 2)


# ---------------------------------------------------------------------- cap per minute


def test_a_cap_counts_attempts_of_any_60_seconds() -> None:
    cap = counted(RateCap(5), 0.0, 30.0, 30.0)
    assert [cap.used(at) for at in (30.0, 59.9, 60.0, 89.9, 90.0)] == [3, 3, 2, 2, 0]
    later = counted(cap, 60.0)
    assert [later.used(at) for at in (60.0, 90.0, 120.0)] == [3, 1, 0]
    assert later == RateCap(5, ((30.0, 2), (60.0, 1)), 3), "what is over is forgotten"
    assert counted(cap, 90.0) == RateCap(5, ((90.0, 1),), 1)


def test_what_is_above_the_cap_is_not_kept() -> None:
    """A retry and a close count without being asked; the newest decide when the next one may leave."""
    cap = counted(RateCap(3), 0.0, 0.0, 1.0, 2.0)
    assert cap == RateCap(3, ((0.0, 1), (1.0, 1), (2.0, 1)), 3)
    cap = counted(cap, 2.0)
    assert cap == RateCap(3, ((1.0, 1), (2.0, 2)), 3)
    assert counted(RateCap(1), 0.0, 1.0) == RateCap(1, ((1.0, 1),), 1)
    assert counted(RateCap(1), 5.0, 5.0) == RateCap(1, ((5.0, 1),), 1)


@pytest.mark.parametrize("per_minute", [None, 0])
def test_without_a_number_nothing_is_kept(per_minute: int | None) -> None:
    cap = RateCap(per_minute)
    assert counted(cap, 0.0) is cap
    assert cap.used(0.0) == 0


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 4), st.lists(st.sampled_from([0.0, 0.5, 10.0, 30.0, 60.0]), max_size=40))
def test_a_cap_does_what_a_list_of_all_attempts_says(per_minute: int, waits: list[float]) -> None:
    cap, now_s, all_of_them = RateCap(per_minute), 0.0, list[float]()
    for wait_s in waits:
        now_s += wait_s
        cap = cap.counted(now_s)
        all_of_them.append(now_s)
        assert cap.used(now_s) == min(per_minute, len([at for at in all_of_them if now_s - at < 60.0]))
        assert cap.total == sum(count for _, count in cap.acts) <= per_minute
