"""Jobs beside the loop: one of a name at a time, and none takes the others with it."""

from __future__ import annotations

import asyncio

import pytest

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.worker.jobs import WORDS, Jobs
from gridbot.worker.schedule import Job, JobKind
from tests.execution.support import settle
from tests.worker.account_bench import AccountBench

CLOCK, WALLET = Job(JobKind.CLOCK), Job(JobKind.WALLET)


class Bench:
    def __init__(self) -> None:
        self.account = AccountBench()
        self.alarm = self.account.alarm
        self.done: list[str] = []
        self.ended = 0
        self.gate = asyncio.Event()
        context = self.account.context
        self.jobs = Jobs(context.faults, context.jobs, context.clock, self._after)

    def _after(self) -> None:
        self.ended += 1

    async def wait(self, name: str) -> None:
        await self.gate.wait()
        self.done.append(name)


async def test_one_job_of_a_name_runs_at_a_time() -> None:
    bench = Bench()
    for job in (CLOCK, WALLET):
        bench.jobs.start(job, bench.wait(job.name))
    assert bench.jobs.running == {"clock", "wallet"}
    with pytest.raises(ValueError, match="clock is running"):
        bench.jobs.start(CLOCK, bench.wait("clock"))
    bench.gate.set()
    await settle()
    assert sorted(bench.done) == ["clock", "wallet"]
    assert bench.ended == 2
    assert bench.jobs.running == frozenset()
    bench.jobs.start(CLOCK, bench.wait("clock"))
    await settle()
    assert sorted(bench.done) == ["clock", "clock", "wallet"]


async def test_an_error_of_the_exchange_is_logged_and_no_alert() -> None:
    bench = Bench()

    async def fail() -> None:
        raise make_error("busy", ErrorKind.RETRY)

    bench.jobs.start(WALLET, fail())
    await settle()
    assert bench.alarm.alerts == []
    assert bench.ended == 1
    assert bench.jobs.failed == {WALLET}
    assert bench.jobs.has_failed
    bench.gate.set()
    bench.jobs.start(WALLET, bench.wait("wallet"))
    await settle()
    assert bench.jobs.failed == frozenset()
    assert not bench.jobs.has_failed


async def test_a_job_that_fails_for_minutes_is_known_in_words_until_it_succeeds() -> None:
    """It was told by nothing: a line in the log each time."""
    bench = Bench()
    watch = bench.account.context.jobs

    async def fail() -> None:
        raise make_error("busy", ErrorKind.RETRY)

    for job in (Job(JobKind.TERMS, "BTCUSDT"), Job(JobKind.MONEY)):
        for _ in range(6):
            bench.jobs.start(job, fail())
            await settle()
            bench.account.clock.now_s += 61
    watch.look(bench.account.clock.now_s, is_explained=False)
    texts = watch.failing()
    assert texts.keys() == {"terms", "money"}
    assert "instrument, position mode and leverage of BTCUSDT failed 6 times in a row: busy" in texts["terms"]
    bench.gate.set()
    bench.jobs.start(Job(JobKind.MONEY), bench.wait("money"))
    await settle()
    assert watch.failing().keys() == {"terms"}


def test_every_kind_of_job_has_words() -> None:
    assert WORDS.keys() == set(JobKind)


async def test_a_fault_of_ours_is_an_alert_and_the_next_job_runs() -> None:
    bench = Bench()

    async def fail() -> None:
        raise RuntimeError("a fault of ours")

    bench.jobs.start(WALLET, fail())
    await settle()
    assert bench.alarm.keys == ["fault"]
    assert bench.account.runner.risk_state.halted == "", "it belongs to no strategy"
    bench.gate.set()
    bench.jobs.start(WALLET, bench.wait("wallet"))
    await settle()
    assert bench.done == ["wallet"]


async def test_stop_cancels_what_runs() -> None:
    bench = Bench()
    bench.jobs.start(CLOCK, bench.wait("clock"))
    await settle()
    await bench.jobs.stop()
    bench.gate.set()
    await settle()
    assert bench.done == []
    assert bench.ended == 1


async def test_a_fault_in_a_job_of_a_symbol_halts_its_strategy() -> None:
    bench = Bench()

    async def fail() -> None:
        raise RuntimeError("a fault of ours")

    bench.jobs.start(Job(JobKind.POSITIONS, "BTCUSDT"), fail())
    await settle()
    assert bench.alarm.keys == ["halt.BTCUSDT"]
    assert "a fault of ours" in bench.account.runner.risk_state.halted
