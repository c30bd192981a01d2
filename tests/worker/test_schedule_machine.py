"""The clockwork's choice under any order of requests, ends, failures and jumps of the clock.

The rules are `gridbot/worker/schedule_invariants.py`.
"""

from __future__ import annotations

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gridbot.worker import schedule_invariants as invariants
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.schedule import (
    APART_S,
    CLOCK_S,
    MONEY_S,
    NOTICES_S,
    REFRESH_MIN_S,
    TERMS_S,
    Intervals,
    Job,
    JobKind,
    ScheduleState,
    Second,
    Wishes,
    step,
)
from gridbot.worker.schedule_invariants import Start
from tests.examples import examples

EXAMPLES = examples(40)
SYMBOLS = ("BTCUSDT", "ETHUSDT")


class Seconds(RuleBasedStateMachine):
    """Requests come at any time, jobs end when the machine says so, and a second passes now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1.0
        self.state = ScheduleState()
        self.requests = RefreshRequests()
        self.running: set[str] = set()
        self.starts: list[Start] = []
        self.asked: dict[str, float] = {}
        """When each job was asked for that has not started since, by the job's name."""
        self.wrong: list[str] = []
        self.intervals = Intervals(order_sync_s=60, position_check_s=30, wallet_s=20)

    # ------------------------------------------------------------------ what can happen

    @rule(sync=st.sampled_from([0, 1, 60]), check=st.sampled_from([0, 5, 30]), wallet=st.sampled_from([0, 2, 20]))
    @precondition(lambda self: not self.starts)
    def the_configuration_says(self, sync: int, check: int, wallet: int) -> None:
        self.intervals = Intervals(order_sync_s=sync, position_check_s=check, wallet_s=wallet)

    @rule(reason=st.sampled_from(["a gap", "asked by the operator"]))
    def a_comparison_is_asked_for(self, reason: str) -> None:
        self.requests.reconcile(reason)
        self.asked.setdefault("reconcile", self.now_s)

    @rule(symbol=st.sampled_from(SYMBOLS))
    def positions_are_asked_for(self, symbol: str) -> None:
        self.requests.refresh_positions(symbol)
        self.asked.setdefault(f"positions.{symbol}", self.now_s)

    @rule(symbol=st.sampled_from(SYMBOLS))
    def terms_are_asked_for(self, symbol: str) -> None:
        self.requests.read_terms(symbol)
        self.asked.setdefault(f"terms.{symbol}", self.now_s)
        self.asked.setdefault("margin_mode", self.now_s)

    @rule()
    def the_margin_mode_is_asked_for(self) -> None:
        self.requests.read_margin_mode()
        self.asked.setdefault("margin_mode", self.now_s)

    @rule()
    def the_wallet_is_asked_for(self) -> None:
        self.requests.refresh_wallet()
        self.asked.setdefault("wallet", self.now_s)

    @rule(data=st.data())
    @precondition(lambda self: self.running)
    def a_job_ends(self, data: st.DataObject) -> None:
        """Well or not: the schedule does not hear which."""
        self.running.discard(data.draw(st.sampled_from(sorted(self.running))))

    @rule(
        seconds=st.sampled_from([0.0, 1.0, 1.0, 1.0, 4.999, 5.0, 10.0, 61.0, 3600.0, 86400.0]),
        again=st.sampled_from(["", "the last one failed"]),
    )
    def a_second(self, seconds: float, again: str) -> None:
        self.now_s += seconds
        before = frozenset(self.running)
        for name in self.asked.keys() & before:
            event(f"asked for while it runs: {name}")
        if again:
            event(again)
        self.state, jobs = step(
            self.state,
            Second(self.requests.wishes, before, again),
            self.now_s,
            intervals=self.intervals,
            symbols=SYMBOLS,
        )
        self.wrong += filter(None, [invariants.one_of_a_name(jobs, before)])
        for job in jobs:
            self.requests.started(job)
            event(f"starts {job.kind}")
            self.starts.append(Start(job, self.now_s))
            self.wrong += invariants.broken_rules(self.starts, before)
            self.asked.pop(job.name, None)
            self.running.add(job.name)
        left = self.requests.wishes | self.state.owed
        self.wrong += filter(
            None,
            [
                invariants.wishes_have_reasons(left, self.running, self.state.last_s, self.now_s),
                *(
                    invariants.periods_kept(self.state.last_s.get(period), every_s, self.now_s)
                    for period, every_s in (
                        ("order_sync", self.intervals.order_sync_s),
                        ("position_check", self.intervals.position_check_s),
                        ("wallet_check", self.intervals.wallet_s),
                        ("clock_check", CLOCK_S),
                        ("terms_check", TERMS_S),
                        ("money_check", MONEY_S),
                        ("notices_check", NOTICES_S),
                        ("again", REFRESH_MIN_S if again else 0.0),
                    )
                ),
            ],
        )

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def nothing_wrong_was_started(self) -> None:
        assert self.wrong == []

    @invariant()
    def nothing_that_was_asked_for_is_dropped(self) -> None:
        assert {job.name for job in self.requests.wishes.jobs()} == self.asked.keys()

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.state.last_s) <= 8 + 6 + 2 * len(SYMBOLS)

    def teardown(self) -> None:
        """Once every job ends, everything that was asked for is served within its time apart."""
        self.running.clear()
        self.a_second(APART_S[JobKind.TERMS] + 1, again="")  # one more: sums of seconds are not exact
        assert self.wrong == []
        assert not self.asked


Seconds.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None)
TestSeconds = Seconds.TestCase

WALLET = Job(JobKind.WALLET)


def test_each_rule_finds_its_offender() -> None:
    starts = [Start(WALLET, 1.0), Start(WALLET, 10.9)]
    assert "again after" in invariants.as_far_apart(starts)
    assert invariants.broken_rules([Start(WALLET, 1.0)], {"wallet"}) == ["['wallet'] started twice"]
    assert "twice" in invariants.one_of_a_name([WALLET, WALLET], ())
    assert "nothing keeps them" in invariants.wishes_have_reasons(Wishes(wallet=True), (), {"wallet": 1.0}, 11.0)
    assert "nothing keeps them" in invariants.wishes_have_reasons(Wishes(wallet=True), (), {}, 1.0)
    assert "is not over" in invariants.periods_kept(1.0, 10.0, 11.0)
    assert "is not over" in invariants.periods_kept(None, 10.0, 11.0)


@pytest.mark.parametrize("last_s", [1.0, 2.0])
def test_what_is_allowed_is_no_offence(last_s: float) -> None:
    assert invariants.broken_rules([Start(WALLET, 1.0), Start(WALLET, 11.0)], ()) == []
    assert not invariants.wishes_have_reasons(Wishes(wallet=True), (), {"wallet": last_s}, 10.0)
    assert not invariants.wishes_have_reasons(Wishes(wallet=True), {"wallet"}, {}, 10.0)
    assert not invariants.periods_kept(last_s, 10.0, 10.9)
    assert not invariants.periods_kept(None, 0.0, 10.9)


def test_terms_that_wait_ask_again_for_a_margin_mode_that_has_begun() -> None:
    """The two begin apart: what the exchange said in between was not asked for (found by 400 examples)."""
    requests = RefreshRequests()
    requests.read_terms("BTCUSDT")
    requests.started(Job(JobKind.MARGIN_MODE))
    assert not requests.wishes.margin_mode
    requests.read_terms("BTCUSDT")
    assert requests.wishes.margin_mode
