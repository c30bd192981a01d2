"""Which readings are due: periodic ones, and those that somebody asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.schedule import (
    CLOCK_S,
    FAILED_S,
    FORCED_RECONCILE_MIN_S,
    MONEY_MIN_S,
    MONEY_S,
    REFRESH_MIN_S,
    UNCHECKED_MOST,
    Due,
    Intervals,
    Job,
    JobKind,
    ScheduleState,
    Second,
    next_due_s,
    step,
)
from tests.case_table import case_table
from tests.worker.account_bench import START_S

ALL = Intervals(order_sync_s=60, position_check_s=30, wallet_s=20)
NONE = Intervals(order_sync_s=0, position_check_s=0, wallet_s=0)


class Seconds:
    """A schedule and what it is asked at; a job ends at once, unless it is `running`."""

    def __init__(self, intervals: Intervals = NONE, symbols: tuple[str, ...] = ()) -> None:
        self.intervals, self.symbols = intervals, symbols
        self.state = ScheduleState()
        self.requests = RefreshRequests()
        self.running: set[str] = set()
        self.is_maintained = False

    def all_jobs(
        self,
        now_s: float,
        *,
        again: str = "",
        unchecked: int = 0,
        failed: tuple[Job, ...] = (),
        passed_s: float | None = None,
    ) -> list[Job]:
        self.state, jobs = step(
            self.state,
            Second(
                *(self.requests.wishes, self.running, again, unchecked),
                is_maintained=self.is_maintained,
                failed=failed,
                passed_s=passed_s,
            ),
            now_s,
            intervals=self.intervals,
            symbols=self.symbols,
        )
        for job in jobs:
            self.requests.started(job)
        assert len(jobs) == len({job.name for job in jobs})
        return jobs

    def jobs(self, now_s: float, *, again: str = "") -> set[Job]:
        """What is due, without the exchange's clock, log and announcements, which are always due at first."""
        always = (JobKind.CLOCK, JobKind.MONEY, JobKind.NOTICES)
        return {job for job in self.all_jobs(now_s, again=again) if job.kind not in always}


@pytest.mark.parametrize("now_s", [0.0, START_S, 1e6])
def test_what_never_ran_is_due_whatever_the_clock_says(now_s: float) -> None:
    """incident L36: 0.0 was taken for never, so after a reboot "never read" looked like "read just now"."""
    due = Due()
    assert due.take("clock", 3600, now_s)
    assert not due.take("clock", 3600, now_s)


def test_every_periodic_job_runs_in_the_first_second_of_a_machine() -> None:
    """incident L36: on a clock that has just started, too."""
    jobs = Seconds(ALL, ("BTCUSDT",)).all_jobs(START_S)
    kinds = [JobKind.RECONCILE, JobKind.POSITIONS, JobKind.CLOCK, JobKind.WALLET, JobKind.MONEY, JobKind.NOTICES]
    assert [job.kind for job in jobs] == kinds
    assert jobs[0].subject == "periodic"


def test_what_the_start_has_just_read_is_read_again_a_little_later_and_then_at_its_interval() -> None:
    """A fleet that starts has one window of requests for its starts, and each account read all of it twice."""
    seconds = Seconds(Intervals(order_sync_s=60, position_check_s=3, wallet_s=20, first_s=7), ("BTCUSDT",))
    found = {now_s: {job.kind for job in seconds.all_jobs(START_S + now_s)} - {JobKind.NOTICES} for now_s in range(69)}
    assert found[0] == set()
    assert found[3] == {JobKind.POSITIONS}, "which is so often wanted"
    assert found[7] == {JobKind.RECONCILE, JobKind.CLOCK, JobKind.WALLET}
    assert JobKind.MONEY in found[9], "it takes the time that the clock has just read"
    assert [now_s for now_s, kinds in found.items() if JobKind.RECONCILE in kinds] == [7, 67]
    seconds.requests.reconcile("asked")
    assert Job(JobKind.RECONCILE, "asked") in seconds.jobs(START_S + 100), "what others want does not wait"


def test_what_a_whole_pass_has_read_is_not_read_again_beside_it() -> None:
    """Each minute both legs of all symbols were read twice; when passes fail, they are read all the same."""
    seconds = Seconds(Intervals(order_sync_s=61, position_check_s=63, wallet_s=300), ("BTCUSDT",))
    found = {}
    for second in range(620):
        passed_s = START_S + min(61 * (second // 61), 305)  # the pass of second 366 breaks off, and each one after it
        jobs = seconds.all_jobs(START_S + second, passed_s=passed_s)
        found[second] = {job.kind for job in jobs} & {JobKind.POSITIONS, JobKind.WALLET}
    assert {second: kinds for second, kinds in found.items() if kinds} == {
        **{305 + 63 * number: {JobKind.POSITIONS} for number in (1, 2, 3, 4)},
        605: {JobKind.WALLET},
    }
    seconds.requests.refresh_positions("BTCUSDT")
    asked = seconds.all_jobs(START_S + 621, passed_s=START_S + 620)
    assert Job(JobKind.POSITIONS, "BTCUSDT") in asked, "what others want does not wait"


def test_a_request_runs_in_the_first_second_of_a_machine() -> None:
    """incident L36: the limits of requests have the same clock."""
    second = Seconds()
    second.requests.reconcile("asked")
    second.requests.refresh_wallet()
    second.requests.refresh_positions("BTCUSDT")
    assert second.jobs(START_S) == {
        Job(JobKind.RECONCILE, "asked"),
        Job(JobKind.WALLET),
        Job(JobKind.POSITIONS, "BTCUSDT"),
    }


@given(st.lists(st.floats(0, 50), max_size=40), st.floats(0.5, 100))
def test_a_job_runs_at_its_interval_and_not_sooner(steps: list[float], every_s: float) -> None:
    due, now_s, last_s = Due(), 0.0, None
    for passed_s in steps:
        now_s += passed_s
        expected = last_s is None or now_s - last_s >= every_s
        assert due.take("job", every_s, now_s) is expected
        if expected:
            last_s = now_s


def test_an_interval_of_zero_switches_a_job_off() -> None:
    assert Seconds(NONE, ("BTCUSDT",)).jobs(START_S) == set()


def test_the_offset_to_the_exchange_s_clock_is_measured_each_hour() -> None:
    second = Seconds()

    def measured(now_s: float) -> bool:
        return Job(JobKind.CLOCK) in second.all_jobs(now_s)

    assert [measured(at) for at in (1.0, 2.0, CLOCK_S, CLOCK_S + 1.0)] == [True, False, False, True]


def test_the_exchange_s_transaction_log_is_read_every_five_minutes() -> None:
    second = Seconds()

    def read(now_s: float) -> bool:
        return Job(JobKind.MONEY) in second.all_jobs(now_s)

    assert [read(at) for at in (1.0, 2.0, MONEY_S, MONEY_S + 1.0)] == [True, False, False, True]


def test_many_executions_that_are_not_compared_are_compared_each_minute() -> None:
    seconds, money = Seconds(), Job(JobKind.MONEY)
    assert money in seconds.all_jobs(0.0)
    assert money not in seconds.all_jobs(MONEY_MIN_S, unchecked=UNCHECKED_MOST)
    assert money not in seconds.all_jobs(MONEY_MIN_S - 1, unchecked=UNCHECKED_MOST + 1)
    assert money in seconds.all_jobs(MONEY_MIN_S, unchecked=UNCHECKED_MOST + 1)
    assert money not in seconds.all_jobs(2 * MONEY_MIN_S)


@pytest.mark.parametrize("after_s", [0, 17])
def test_announcements_are_read_every_five_minutes_by_each_account_at_another_second(after_s: int) -> None:
    second = Seconds(replace(NONE, notices_after_s=after_s))
    starts = [now_s for now_s in range(700) if Job(JobKind.NOTICES) in second.all_jobs(float(now_s))]
    assert starts == [after_s, after_s + 300, after_s + 600]


def test_around_a_maintenance_announcements_are_read_each_minute() -> None:
    second = Seconds()
    second.is_maintained = True
    starts = [now_s for now_s in range(130) if Job(JobKind.NOTICES) in second.all_jobs(float(now_s))]
    assert starts == [0, 60, 120]


def test_requests_are_bundled_until_their_time_has_come() -> None:
    second = Seconds()
    second.requests.refresh_wallet()
    second.requests.refresh_positions("BTCUSDT")
    second.requests.reconcile("first")
    assert len(second.jobs(START_S)) == 3
    for _ in range(3):
        second.requests.refresh_wallet()
        second.requests.refresh_positions("BTCUSDT")
        second.requests.reconcile("second")
        second.requests.reconcile("third")
    assert second.jobs(START_S + 1) == set()
    assert second.jobs(START_S + FORCED_RECONCILE_MIN_S) == {Job(JobKind.RECONCILE, "second")}
    assert second.jobs(START_S + REFRESH_MIN_S) == {Job(JobKind.WALLET), Job(JobKind.POSITIONS, "BTCUSDT")}
    assert second.jobs(START_S + 100) == set()


def test_each_symbol_has_its_own_limit() -> None:
    second = Seconds()
    second.requests.refresh_positions("BTCUSDT")
    second.jobs(START_S)
    second.requests.refresh_positions("ETHUSDT")
    second.requests.refresh_positions("BTCUSDT")
    assert second.jobs(START_S + 1) == {Job(JobKind.POSITIONS, "ETHUSDT")}
    assert second.requests.wishes.positions == {"BTCUSDT"}


def test_a_reconcile_is_repeated_every_ten_seconds_as_long_as_there_is_a_reason() -> None:
    second = Seconds()
    due = [bool(second.jobs(START_S + n, again="missing")) for n in range(12)]
    assert [n for n, is_due in enumerate(due) if is_due] == [0, 10]


def test_only_readings_of_different_symbols_run_beside_each_other() -> None:
    assert Job(JobKind.POSITIONS, "A").name != Job(JobKind.POSITIONS, "B").name
    assert Job(JobKind.RECONCILE, "a").name == Job(JobKind.RECONCILE, "b").name


@case_table("name", ["reconcile", "positions.BTCUSDT", "terms.BTCUSDT", "wallet"])
def test_a_wish_that_comes_while_its_job_runs_leads_to_another_run(name: str) -> None:
    """The request was taken out and its job dropped: what was asked for in that time was never read."""
    second = Seconds()

    def ask() -> None:
        second.requests.reconcile("asked")
        second.requests.refresh_wallet()
        second.requests.refresh_positions("BTCUSDT")
        second.requests.read_terms("BTCUSDT")

    ask()
    assert len(second.jobs(START_S)) == 5
    second.running = {name}
    ask()
    assert name not in {job.name for job in second.jobs(START_S + 30)}
    assert name not in {job.name for job in second.jobs(START_S + 40)}, "for as long as it runs"
    second.running = set()
    assert {job.name for job in second.jobs(START_S + 41)} == {name}


def test_a_period_that_begins_while_its_job_runs_is_owed() -> None:
    second = Seconds(ALL, ("BTCUSDT",))
    second.all_jobs(START_S)
    names = ["reconcile", "positions.BTCUSDT", "margin_mode", "terms.BTCUSDT", "clock", "wallet", "money", "notices"]
    second.running = set(names)
    assert second.all_jobs(START_S + CLOCK_S) == []
    second.running = set()
    jobs = second.all_jobs(START_S + CLOCK_S + 1)
    assert [job.name for job in jobs] == names
    assert second.all_jobs(START_S + CLOCK_S + 2) == []


@pytest.mark.parametrize("job", [Job(JobKind.CLOCK), Job(JobKind.TERMS, "BTCUSDT"), Job(JobKind.NOTICES)])
def test_a_job_that_failed_is_tried_again_each_minute_until_it_succeeds(job: Job) -> None:
    """The clock was measured an hour later, and terms that were asked for were not read at all."""
    second = Seconds()
    second.requests.read_terms("BTCUSDT")
    assert job in second.all_jobs(START_S)
    assert second.all_jobs(START_S + FAILED_S - 0.1, failed=(job,)) == []
    assert second.all_jobs(START_S + FAILED_S, failed=(job,)) == [job]
    second.running.add(job.name)
    assert second.all_jobs(START_S + 2 * FAILED_S, failed=(job,)) == [], "it runs"
    second.running.clear()
    assert second.all_jobs(START_S + 2 * FAILED_S + 1) == []


def test_a_reason_that_was_asked_for_goes_before_that_of_the_clock() -> None:
    second = Seconds(ALL)
    second.requests.reconcile("asked")
    assert Job(JobKind.RECONCILE, "asked") in second.jobs(START_S, again="missing")
    assert second.jobs(START_S + FORCED_RECONCILE_MIN_S) == set(), "one run is enough for all of them"


def test_terms_are_read_each_hour_but_not_at_once_since_the_start_has_read_them() -> None:
    second = Seconds(NONE, ("BTCUSDT",))
    terms = Job(JobKind.TERMS, "BTCUSDT")
    assert terms not in second.jobs(START_S)
    assert terms not in second.jobs(START_S + 3599)
    assert terms in second.jobs(START_S + 3600)


def test_terms_that_are_asked_for_are_read_at_most_every_thirty_seconds() -> None:
    second = Seconds()
    found = []
    for now_s in range(61):
        second.requests.read_terms("BTCUSDT")
        found += [now_s for job in second.jobs(START_S + now_s) if job.kind is JobKind.TERMS]
    assert found == [0, 30, 60]


def test_the_margin_mode_is_read_with_terms_once_for_all_symbols_and_alone_when_it_is_asked_for() -> None:
    """It was read for each symbol, though the account has one."""
    second, mode = Seconds(NONE, ("BTCUSDT", "ETHUSDT")), Job(JobKind.MARGIN_MODE)
    assert mode not in second.all_jobs(START_S)
    assert second.all_jobs(START_S + 3600).count(mode) == 1
    for symbol in second.symbols:
        second.requests.read_terms(symbol)
    assert second.all_jobs(START_S + 3700).count(mode) == 1
    second.requests.read_margin_mode()
    second.requests.read_margin_mode()
    assert second.jobs(START_S + 3729) == set()
    assert second.jobs(START_S + 3730) == {mode}


def test_disconnect_cancel_all_is_set_when_it_is_asked_for_and_again_while_that_fails() -> None:
    second, job = Seconds(), Job(JobKind.DEAD_MAN)
    assert job not in second.all_jobs(START_S + 3600)
    for _ in range(2):
        second.requests.set_dead_man()
        assert second.all_jobs(START_S + 3601).count(job) == (_ == 0)
    assert job in second.jobs(START_S + 3601 + 10), "no wish is dropped"


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 40))
def test_whoever_jumps_to_the_next_due_second_starts_the_same_jobs_at_the_same_times(
    order_s: int, positions_s: int, wallet_s: int
) -> None:
    intervals = Intervals(order_sync_s=order_s, position_check_s=positions_s, wallet_s=wallet_s)
    each, jumping = Seconds(intervals, ("BTCUSDT",)), Seconds(intervals, ("BTCUSDT",))
    started = [(now_s, job) for now_s in range(400) for job in each.all_jobs(now_s)]
    found: list[tuple[int, Job]] = []
    now_s = 0
    while now_s < 400:
        found += [(now_s, job) for job in jumping.all_jobs(now_s)]
        now_s = max(now_s + 1, math.ceil(next_due_s(jumping.state, intervals)))
    assert found == started
