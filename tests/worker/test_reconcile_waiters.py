"""Who waits for the end of a pass is told of it, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gridbot.core import WalletEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.records.record_types import ReconcileRecord
from tests.execution.support import settle
from tests.worker.account_bench import Alarm
from tests.worker.reconcile_bench import BUSY, Bench


async def test_a_reconcile_asked_for_while_one_runs_leads_to_another() -> None:
    """The job of the same name is dropped, its wish is not: what happened after the listing must be seen, too."""
    bench = Bench()
    await bench.place()
    bench.queries.on_asked["wallet"] = lambda: bench.reconciler.reconcile("the stream reconnected").close()
    await bench.reconciler.reconcile("periodic")
    bench.queries.on_asked.clear()
    await settle()
    assert [record.reason for record in bench.account.notes.of(ReconcileRecord)] == [
        "periodic",
        "the stream reconnected",
    ]
    assert bench.queries.asked == ["executions", "open orders", "positions", "wallet"] * 2


async def test_a_wish_during_a_pass_that_fails_is_granted_as_well() -> None:
    bench = Bench()
    bench.queries.failures["open orders"] = [BUSY]
    first = asyncio.create_task(bench.reconciler.run("first"))
    second = asyncio.create_task(bench.reconciler.run("second"))
    third = asyncio.create_task(bench.reconciler.run("third"))
    with pytest.raises(ExchangeError):
        await first
    assert await second == await third
    records = bench.account.notes.of(ReconcileRecord)
    assert [(record.reason, record.ok) for record in records] == [("first", False), ("second", True)]


async def test_stop_ends_the_look_ups_and_the_waiting() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.reconciler.look_up(first)
    waiting = asyncio.create_task(bench.reconciler.run())
    await asyncio.sleep(0)
    await bench.reconciler.stop()
    await bench.account.clock.advance(60)
    bench.reconciler.again()
    assert waiting.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await bench.reconciler.run()
    assert "order" not in bench.queries.asked


async def test_whoever_stops_waiting_harms_nobody() -> None:
    bench = Bench()
    waiting = asyncio.create_task(bench.reconciler.run("first"))
    await asyncio.sleep(0)
    waiting.cancel()
    await settle()
    assert [record.ok for record in bench.account.notes.of(ReconcileRecord)] == [True]


async def test_a_wallet_that_cannot_be_taken_in_leaves_nobody_waiting() -> None:
    bench = Bench()
    takers: list[Callable[[], object]] = [lambda: 1 / 0, lambda: None]

    def take(event: WalletEvent, source: str) -> None:
        takers.pop(0)()

    bench.reconciler._on_wallet = take
    with pytest.raises(ZeroDivisionError):
        await bench.reconciler.run()
    assert bench.account.alarm.keys == ["fault"]
    await bench.reconciler.run()


async def test_a_fault_that_cannot_be_reported_leaves_nobody_waiting_either() -> None:
    bench = Bench()

    class Refusing(Alarm):
        def __call__(self, *_: object, **__: object) -> int:
            raise OSError("the disk is full")

    bench.queries.failures["wallet"] = [ZeroDivisionError("ours")]
    bench.reconciler._context = replace(bench.account.context, alert=Refusing(bench.account.clock))
    with pytest.raises(ZeroDivisionError):
        await bench.reconciler.run()
