"""Jobs beside the loop: one of a name at a time, and none takes the others with it."""

from __future__ import annotations

import asyncio

import pytest

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.worker.jobs import Jobs
from tests.execution.support import settle
from tests.worker.account_bench import AccountBench


class Bench:
    def __init__(self) -> None:
        self.account = AccountBench()
        self.alarm = self.account.alarm
        self.done: list[str] = []
        self.ended = 0
        self.gate = asyncio.Event()
        self.jobs = Jobs(self.account.context.faults, self._after)

    def _after(self) -> None:
        self.ended += 1

    async def wait(self, name: str) -> None:
        await self.gate.wait()
        self.done.append(name)


async def test_one_job_of_a_name_runs_at_a_time() -> None:
    bench = Bench()
    for name in ("a", "b"):
        bench.jobs.start(name, bench.wait(name))
    assert bench.jobs.running == {"a", "b"}
    with pytest.raises(ValueError, match="a is running"):
        bench.jobs.start("a", bench.wait("a"))
    bench.gate.set()
    await settle()
    assert sorted(bench.done) == ["a", "b"]
    assert bench.ended == 2
    assert bench.jobs.running == frozenset()
    bench.jobs.start("a", bench.wait("a"))
    await settle()
    assert sorted(bench.done) == ["a", "a", "b"]


async def test_an_error_of_the_exchange_is_logged_and_no_alert() -> None:
    bench = Bench()

    async def fail() -> None:
        raise make_error("busy", ErrorKind.RETRY)

    bench.jobs.start("wallet", fail())
    await settle()
    assert bench.alarm.alerts == []
    assert bench.ended == 1


async def test_a_fault_of_ours_is_an_alert_and_the_next_job_runs() -> None:
    bench = Bench()

    async def fail() -> None:
        raise RuntimeError("a fault of ours")

    bench.jobs.start("wallet", fail())
    await settle()
    assert bench.alarm.keys == ["fault"]
    assert bench.account.runner.risk_state.halted == "", "it belongs to no strategy"
    bench.gate.set()
    bench.jobs.start("wallet", bench.wait("wallet"))
    await settle()
    assert bench.done == ["wallet"]


async def test_stop_cancels_what_runs() -> None:
    bench = Bench()
    bench.jobs.start("a", bench.wait("a"))
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

    bench.jobs.start("positions.BTCUSDT", fail(), "BTCUSDT")
    await settle()
    assert bench.alarm.keys == ["halt.BTCUSDT"]
    assert "a fault of ours" in bench.account.runner.risk_state.halted
