"""Whether a worker may send, at each border; what it says when not; what it is told by whom."""

from __future__ import annotations

import pytest

from gridbot.exchange.failures import ErrorKind, Outcome, TransientError
from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.lease_watch import RECV_WINDOW_MS, LeaseWatch

S = 1_000_000_000
MS = 1_000_000


class Bench:
    def __init__(self) -> None:
        self.now_ns = 100 * S
        self.watch = LeaseWatch(LeaseTerm(3, 100 * S, 109 * S), lambda: self.now_ns, lambda: 1_800_000_000_000)

    def measure(self, exchange_ms: int = 0) -> None:
        own = self.watch.clock.own_ms()
        self.watch.clock.learn(1_800_000_000_000 + own + exchange_ms, own, own)

    def at(self, seconds: float) -> bool:
        self.now_ns = round(seconds * S)
        return self.watch.may_send()


def bench() -> Bench:
    it = Bench()
    it.measure()
    return it


def test_it_sends_until_its_end_and_not_at_it():
    it = bench()
    assert [it.at(100), it.at(108.999_999_999), it.at(109), it.at(110)] == [True, True, False, False]
    assert it.watch.left_s() == -1
    assert "no lease of the account: nothing is sent" in it.watch.why_not()
    it.watch.extend(LeaseTerm(3, 105 * S, 114 * S))
    assert it.watch.may_send()
    assert it.watch.why_not() == ""


@pytest.mark.parametrize(
    "term",
    [LeaseTerm(4, 105 * S, 114 * S), LeaseTerm(2, 105 * S, 114 * S), LeaseTerm(3, 99 * S, 108 * S)],
    ids=["of a later holder", "of an earlier one", "older"],
)
def test_a_term_of_another_epoch_or_an_older_one_changes_nothing(term):
    it = bench()
    it.watch.extend(term)
    assert (it.watch.epoch, it.at(108.9), it.at(109)) == (3, True, False)


def test_without_the_exchanges_time_nothing_leaves():
    it = Bench()
    assert not it.watch.may_send()
    assert "time is not known to half a second" in it.watch.why_not()
    it.measure()
    assert it.watch.may_send()
    it.watch.extend(LeaseTerm(3, 100 * S, 9_000 * S))
    # 1 ms at first, 500 ppm of its age: half a second after 998 s.
    assert [it.at(1097.9), it.at(1098.1)] == [True, False]
    it.measure()
    assert it.watch.may_send()


def test_after_a_jump_of_our_clock_only_a_renewal_that_was_sent_later_counts():
    it = bench()
    it.now_ns = 101 * S
    it.measure(5_000)
    assert not it.watch.may_send()
    assert "the clock of this machine has jumped" in it.watch.why_not()
    it.watch.extend(LeaseTerm(3, 101 * S - 1, 110 * S - 1))
    assert not it.watch.may_send()
    assert it.watch.left_s() < 0
    it.watch.extend(LeaseTerm(3, 101 * S, 110 * S))
    assert it.watch.may_send()


def test_a_later_holder_at_the_exchange_ends_it_for_good():
    it = bench()
    it.watch.supersede(5)
    it.watch.supersede(4)
    it.watch.extend(LeaseTerm(3, 105 * S, 114 * S))
    assert not it.watch.may_send()
    assert it.watch.superseded_by == 5
    assert "epoch 5, ours is 3" in it.watch.why_not()


def test_what_was_not_sent_has_had_no_effect_and_may_be_sent_later():
    it = bench()
    it.at(120)
    error = it.watch.refusal()
    assert isinstance(error, TransientError)
    assert (error.kind, error.outcome, error.ret_code) == (ErrorKind.NO_LEASE, Outcome.NOT_CREATED, None)
    assert error.message.startswith("not sent: this host has no lease")


def test_a_term_crosses_the_pipe_as_it_is_and_nothing_else_does():
    term = LeaseTerm(3, 100 * S, 109 * S)
    assert LeaseTerm.from_message(term.to_message()) == term
    assert RECV_WINDOW_MS == 2000
    for wrong in ({}, {**term.to_message(), "epoch": "x"}):
        with pytest.raises((KeyError, ValueError)):
            LeaseTerm.from_message(wrong)
