"""Further tries: which failures are tried again, when, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.orders.retry import MAX_TRIES, NO_TRIES, WINDOW_S, RetryItem, RetryQueue, Tries


def item(key: str, due_s: float, *, is_cancel: bool = False, error: str = "timeout") -> RetryItem:
    return RetryItem(key, is_cancel, 0, due_s, error)


def test_tries_wait_1_2_4_seconds_and_end() -> None:
    tries, now_s, waits = NO_TRIES, 100.0, []
    while (failed := tries.after_failure(now_s)) is not None:
        assert failed.due_s is not None
        assert failed.first_s == 100.0
        waits.append(failed.due_s - now_s)
        now_s = failed.due_s
        tries = failed.begun()
        assert tries.due_s is None
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(("failed_s", "again"), [(WINDOW_S - 2, True), (WINDOW_S - 1.9, False)])
def test_a_slow_failure_falls_out_of_the_window(failed_s: float, *, again: bool) -> None:
    """The second try waits 2 s, and has to begin within the window of the first failure."""
    first = NO_TRIES.after_failure(0.0)
    assert first == Tries(0, 0.0, 1.0)
    assert first.begun() == Tries(1, 0.0, None)
    assert (first.begun().after_failure(failed_s) is not None) is again


@given(st.lists(st.floats(0, 5), max_size=12))
def test_no_request_is_tried_more_often_than_allowed(waits: list[float]) -> None:
    tries, now_s = NO_TRIES, 0.0
    for wait_s in waits:
        now_s += wait_s
        failed = tries.after_failure(now_s)
        if failed is None:
            break
        assert failed.due_s is not None
        now_s = failed.due_s
        tries = failed.begun()
        assert tries.made <= MAX_TRIES
        assert now_s - (tries.first_s or 0.0) <= WINDOW_S


def test_what_is_due_comes_earliest_first_and_is_taken_out() -> None:
    queue = RetryQueue()
    for one in (item("late", 1.5), item("early", 1.0), item("early", 10.0, is_cancel=True)):
        queue.push(one)
    assert queue.due(0.9) == []
    assert [(one.key, one.is_cancel) for one in queue.due(1.5)] == [("early", False), ("late", False)]
    assert ("early" in queue, "late" in queue, len(queue)) == (True, False, 1)
    assert [one.is_cancel for one in queue.due(10.0)] == [True]


def test_of_one_request_only_the_last_failure_waits() -> None:
    queue = RetryQueue()
    queue.push(item("a", 1.0, error="too many visits"))
    queue.push(item("a", 3.5, error="no answer in time"))
    assert [(one.due_s, one.last_error) for one in queue.items()] == [(3.5, "no answer in time")]
    assert "a" in queue


def test_forgetting_ends_what_waits_of_one_order() -> None:
    queue = RetryQueue()
    for one in (item("a", 1.0), item("a", 1.0, is_cancel=True), item("b", 1.0)):
        queue.push(one)
    queue.forget("a")
    queue.forget("unknown")
    assert [one.key for one in queue.due(100.0)] == ["b"]
