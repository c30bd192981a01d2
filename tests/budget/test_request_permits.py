"""An account's permits: when a request may leave, whose turn it is, what goes back, and that no window has too many."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.budget.request_permits import (
    IDLE_S,
    PATIENCE_S,
    REST_S,
    UNSURE_REST_S,
    WINDOW_S,
    Purpose,
    RequestPermits,
)

T = 1000.0


def permits_of(lent: int, *, floor: int = 0, ahead: int = 0, keep: int | None = None) -> RequestPermits:
    permits = RequestPermits()
    permits.leased(lent, keep, floor, ahead, T)
    permits.give_back(T)  # the first look at what lies idle
    return permits


def sent(permits: RequestPermits, now_s: float, purpose: Purpose = Purpose.QUERY, *, answered: bool = True) -> None:
    permits.take(purpose, now_s)
    permits.done(now_s, answered=answered)


def test_without_permits_nothing_leaves() -> None:
    assert not RequestPermits().may(Purpose.CANCEL, T)


def test_a_permit_is_good_again_a_window_after_the_answer_however_long_that_took() -> None:
    permits = permits_of(1)
    permits.take(Purpose.QUERY, T)
    assert not permits.may(Purpose.QUERY, T + 60), "it is under way"
    permits.done(T + 60, answered=True)
    assert permits.next_s(T + 60) == pytest.approx(REST_S)
    assert REST_S > WINDOW_S
    assert not permits.may(Purpose.QUERY, T + 60 + REST_S - 0.01)
    assert permits.may(Purpose.QUERY, T + 60 + REST_S)
    assert permits.next_s(T + 60 + REST_S) is None


def test_one_without_an_answer_may_arrive_late_so_its_permit_rests_longer() -> None:
    permits = permits_of(2)
    sent(permits, T, answered=False)
    sent(permits, T + 1)
    assert permits.left(T + 1 + REST_S) == 1, "the later one is good earlier"
    assert permits.left(T + UNSURE_REST_S) == 2


def test_what_has_not_left_costs_nothing() -> None:
    permits = permits_of(1)
    permits.take(Purpose.QUERY, T)
    permits.not_sent()
    assert permits.left(T) == 1


def test_a_request_that_asked_nobody_is_paid_for_afterwards() -> None:
    permits = permits_of(1)
    sent(permits, T)
    permits.extra(T)
    assert permits.left(T) == -1
    assert permits.left(T + REST_S) == 1


def test_the_more_urgent_purpose_is_first() -> None:
    permits = permits_of(1)
    for purpose in (Purpose.QUERY, Purpose.OPEN, Purpose.CLOSE, Purpose.CANCEL):
        permits.waits(purpose, 1, T)
        assert permits.next_purpose(T) is purpose
        assert permits.may(purpose, T)
    assert not permits.may(Purpose.QUERY, T), "others wait that are more urgent"
    permits.waits(Purpose.CANCEL, 0, T)
    assert permits.next_purpose(T) is Purpose.CLOSE
    assert permits.may(Purpose.CANCEL, T), "more urgent than all that wait"


def test_nobody_waits_for_ever_behind_more_urgent_ones() -> None:
    """Under pressure each purpose has a turn a second."""
    permits = permits_of(100)
    served: deque[Purpose] = deque()
    for purpose in (Purpose.CANCEL, Purpose.QUERY):
        permits.waits(purpose, 10, T)
    for step in range(60):
        now_s = T + step / 20
        first = permits.next_purpose(now_s)
        assert first is not None
        assert permits.may(first, now_s)
        permits.take(first, now_s)
        served.append(first)
    assert served.count(Purpose.QUERY) == int(3 / PATIENCE_S) - 1
    assert served.count(Purpose.CANCEL) == 60 - served.count(Purpose.QUERY)


def test_how_long_a_purpose_has_waited_without_a_request_leaving() -> None:
    """An account that wants more than its part always has something that waits: that is no reason against its health
    while requests leave."""
    permits = permits_of(1)
    assert permits.waited_s(T) == 0
    permits.waits(Purpose.QUERY, 2, T)
    permits.waits(Purpose.OPEN, 1, T + 1)
    assert permits.waited_s(T + 3) == 3
    sent(permits, T + 3)
    assert permits.waited_s(T + 4) == 3, "an order waits since T + 1"
    permits.waits(Purpose.OPEN, 0, T + 4)
    assert permits.waited_s(T + 5) == 2, "since the last query left"
    permits.waits(Purpose.QUERY, 0, T + 5)
    assert permits.waited_s(T + 6) == 0
    assert not permits.somebody_waits


def test_what_is_wanted_by_purpose_and_ahead() -> None:
    permits = permits_of(3, ahead=6)
    permits.waits(Purpose.CLOSE, 2, T)
    assert permits.wants(T) == (0, 2, 0, 0, 0, 0), "half of what should be at hand is"
    sent(permits, T)
    assert permits.wants(T) == (0, 2, 0, 0, 0, 4)
    permits.take(Purpose.OPEN, T)
    permits.take(Purpose.OPEN, T)
    permits.take(Purpose.OPEN, T)
    assert permits.wants(T)[-1] == 6, "never more than should be at hand"


def test_what_others_need_goes_back_before_own_requests() -> None:
    permits = permits_of(10, floor=2, keep=4)
    assert permits.left(T) == permits.held == 4, "given back by the first look"
    sent(permits, T)
    permits.leased(10, 2, 2, 0, T)
    assert permits.may(Purpose.QUERY, T)
    permits.take(Purpose.QUERY, T)
    assert not permits.may(Purpose.QUERY, T), "two are left, and both are owed"
    assert permits.give_back(T) == 2
    assert permits.held == 2
    assert permits.returned == 8


def test_only_a_rested_permit_goes_back() -> None:
    permits = permits_of(3)
    for _ in range(3):
        sent(permits, T)
    permits.leased(3, 0, 0, 0, T)
    assert permits.give_back(T + REST_S - 0.1) == 0
    assert permits.give_back(T + REST_S) == 3


def test_what_lies_idle_goes_back_down_to_floor_and_ahead() -> None:
    permits = permits_of(20, floor=4, ahead=5)
    assert permits.give_back(T + IDLE_S / 2) == 0
    sent(permits, T + 1)
    assert permits.give_back(T + IDLE_S) == 14, "one was used, five are ahead"
    assert permits.give_back(T + 2 * IDLE_S) == 0, "the one that was used has just come back"
    assert permits.give_back(T + 3 * IDLE_S) == 1
    assert permits.held == 5
    assert permits_of(3, floor=4).give_back(T + 2 * IDLE_S) == 0


def test_an_older_word_changes_nothing() -> None:
    permits = permits_of(5, floor=3)
    permits.leased(2, 0, 1, 0, T)
    assert (permits.lent, permits.keep, permits.floor) == (5, None, 3)


@given(
    lent=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "answer", "lose", "lend", "recall"]), st.floats(0, 3)), max_size=60
    ),
)
def test_no_window_has_more_requests_than_there_were_permits(lent: int, steps: list[tuple[str, float]]) -> None:
    """At the exchange, where a request arrives at any time between leaving and its answer."""
    permits, now_s, most = permits_of(lent), T, lent
    left: deque[float] = deque()
    arrived: list[float] = []
    for what, wait_s in steps:
        now_s += wait_s
        if what == "take" and permits.may(Purpose.QUERY, now_s):
            permits.take(Purpose.QUERY, now_s)
            left.append(now_s)
        elif what == "answer" and left:
            left.popleft()
            arrived.append(now_s)  # as late as it can have been
            permits.done(now_s, answered=True)
        elif what == "lose" and left:
            arrived.append(left.popleft() + 9.0)
            permits.done(now_s, answered=False)
        elif what == "lend":
            most += 1
            permits.leased(permits.lent + 1, None, 0, 0, now_s)
        elif what == "recall":
            permits.leased(permits.lent, 0, 0, 0, now_s)
            most -= permits.give_back(now_s)
        held = permits.held
        assert held == most >= 0
        assert 0 <= permits.left(now_s) + permits.under_way <= held
    for end in arrived:
        assert sum(end - WINDOW_S < at <= end for at in arrived) <= permits.lent
