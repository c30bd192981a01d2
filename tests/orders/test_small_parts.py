"""Retry queue, wire ids, request limit, breakers, and the table of answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.orders.outcomes import Next, after_cancel, after_place
from gridbot.orders.retry import MAX_TRIES, WINDOW_S, RetryQueue
from gridbot.rolling_limit import RollingLimit


def test_retries_wait_1_2_4_seconds_and_end() -> None:
    queue = RetryQueue()
    now, waits = 100.0, []
    while queue.push("a", is_cancel=False, now_s=now):
        wait, [item] = next((t / 10, due) for t in range(50) if (due := queue.due(now + t / 10)))
        assert item.key == "a"
        waits.append(wait)
        now += wait
    assert waits == [1.0, 2.0, 4.0]
    assert "a" not in queue


def test_a_slow_failure_falls_out_of_the_window() -> None:
    queue = RetryQueue()
    assert queue.push("a", is_cancel=False, now_s=0.0)
    assert len(queue.due(1.0)) == 1
    assert not queue.push("a", is_cancel=False, now_s=WINDOW_S)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 5)), max_size=60))
def test_no_order_is_tried_more_often_than_allowed(steps: list[tuple[str, bool, float]]) -> None:
    queue, now = RetryQueue(), 0.0
    tries: dict[tuple[str, bool], int] = {}
    for key, is_cancel, wait in steps:
        pushed = queue.push(key, is_cancel=is_cancel, now_s=now)
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
    queue.push("a", is_cancel=False, now_s=0.0)
    queue.push("a", is_cancel=True, now_s=0.0)
    queue.forget("a")
    assert queue.due(100.0) == []


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), max_size=60))
def test_no_second_has_more_than_its_quota(steps: list[tuple[float, int]]) -> None:
    limit, now = RollingLimit(10), 50.0
    taken: list[tuple[float, int]] = []
    for wait, wanted in steps:
        now += wait
        taken.append((now, limit.take(wanted, now)))
        assert sum(n for at, n in taken if at > now - 1.0) <= 10


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_waiting_as_told_always_lets_one_more_through(wants: list[int]) -> None:
    limit, now = RollingLimit(10), 50.0
    for wanted in wants:
        limit.take(wanted, now)
        now += limit.wait_s(now)
        assert limit.take(1, now) == 1


def test_after_a_refusal_nothing_leaves_for_a_while() -> None:
    limit = RollingLimit(10)
    assert limit.take(4, 0.0) == 4
    limit.block(5.0)
    assert limit.take(1, 4.9) == 0
    assert limit.wait_s(4.0) == pytest.approx(1.0)
    assert limit.take(10, 5.0) == 10


def test_the_header_corrects_the_rate() -> None:
    limit = RollingLimit(10)
    limit.take(10, 0.0)
    limit.correct(20)
    assert limit.take(100, 0.1) == 10


def error(kind: ErrorKind, outcome: Outcome = Outcome.NOT_CREATED) -> ExchangeError:
    return ExchangeError("no", kind=kind, outcome=outcome)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_error_has_its_answer(kind: ErrorKind) -> None:
    assert after_place(error(kind)).next in Next
    assert after_cancel(error(kind)).next in Next


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_lost_reply_never_becomes_a_rejection(kind: ErrorKind) -> None:
    """incident L2: a create that timed out after the exchange took it was repeated under a new id."""
    assert after_place(error(kind, Outcome.UNKNOWN)).next is Next.LOOK_UP


def test_balance_and_zero_position_never_queue() -> None:
    for kind in (ErrorKind.BALANCE, ErrorKind.RESYNC):
        assert after_place(error(kind)).next is Next.REJECT
