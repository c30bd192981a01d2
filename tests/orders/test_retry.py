"""Retry queue: which failures are tried again, when, and how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.orders.retry import MAX_TRIES, WINDOW_S, RetryQueue


def test_retries_wait_1_2_4_seconds_and_end() -> None:
    queue = RetryQueue()
    now, waits = 100.0, []
    while queue.push("a", is_cancel=False, now_s=now, error="timeout"):
        wait, [item] = next((t / 10, due) for t in range(50) if (due := queue.due(now + t / 10)))
        assert item.key == "a"
        waits.append(wait)
        now += wait
    assert waits == [1.0, 2.0, 4.0]
    assert "a" not in queue


@pytest.mark.parametrize(("failed_s", "again"), [(WINDOW_S - 2, True), (WINDOW_S - 1.9, False)])
def test_a_slow_failure_falls_out_of_the_window(failed_s: float, *, again: bool) -> None:
    """The second try waits 2 s, and has to begin within the window of the first failure."""
    queue = RetryQueue()
    assert queue.push("a", is_cancel=False, now_s=0.0, error="timeout")
    assert len(queue.due(1.0)) == 1
    assert queue.push("a", is_cancel=False, now_s=failed_s, error="timeout") is again
    assert ("a" in queue) is again


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 5)), max_size=60))
def test_no_order_is_tried_more_often_than_allowed(steps: list[tuple[str, bool, float]]) -> None:
    queue, now = RetryQueue(), 0.0
    tries: dict[tuple[str, bool], int] = {}
    for key, is_cancel, wait in steps:
        pushed = queue.push(key, is_cancel=is_cancel, now_s=now, error="timeout")
        if not pushed:
            tries = {slot: n for slot, n in tries.items() if slot[0] != key}
        now += wait
        for item in queue.due(now):
            slot = (item.key, item.is_cancel)
            tries[slot] = tries.get(slot, 0) + 1
            assert tries[slot] <= MAX_TRIES
    assert len(queue) <= 6


def test_forgetting_ends_an_orders_retries() -> None:
    queue = RetryQueue()
    queue.push("a", is_cancel=False, now_s=0.0, error="timeout")
    queue.push("a", is_cancel=True, now_s=0.0, error="timeout")
    queue.forget("a")
    assert queue.due(100.0) == []


def test_a_failure_after_that_is_a_new_story() -> None:
    queue = RetryQueue()
    queue.push("a", is_cancel=False, now_s=0.0, error="timeout")
    queue.due(1.0)
    queue.forget("a")
    queue.push("a", is_cancel=False, now_s=100.0, error="timeout")
    assert [(item.tries, item.first_s, item.due_s) for item in queue.items()] == [(0, 100.0, 101.0)]


def test_what_waits_can_be_read_with_its_last_failure() -> None:
    queue = RetryQueue()
    queue.push("a", is_cancel=False, now_s=0.0, error="too many visits")
    queue.due(1.0)
    queue.push("a", is_cancel=False, now_s=1.5, error="no answer in time")
    [item] = queue.items()
    assert (item.key, item.tries, item.first_s, item.due_s) == ("a", 1, 0.0, 3.5)
    assert item.last_error == "no answer in time"
    queue.clear()
    assert queue.items() == []
    assert "a" not in queue


def test_what_is_due_comes_earliest_first_and_create_and_cancel_are_counted_apart() -> None:
    queue = RetryQueue()
    queue.push("late", is_cancel=False, now_s=0.5, error="timeout")
    queue.push("early", is_cancel=False, now_s=0.0, error="timeout")
    queue.push("early", is_cancel=True, now_s=9.0, error="timeout")
    assert [(item.key, item.is_cancel) for item in queue.due(2.0)] == [("early", False), ("late", False)]
    assert ("early" in queue, "late" in queue, len(queue)) == (True, False, 1)
    assert [item.tries for item in queue.due(10.0)] == [0]


def test_after_everything_was_forgotten_the_count_starts_again() -> None:
    queue = RetryQueue()
    queue.push("a", is_cancel=False, now_s=0.0, error="timeout")
    queue.due(1.0)
    queue.clear()
    queue.push("a", is_cancel=False, now_s=5.0, error="timeout")
    assert [item.tries for item in queue.due(6.0)] == [0]
