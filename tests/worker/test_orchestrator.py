"""An account's life without a network: start, the loop around trading, stop. The parts have tests of their own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

import pytest

from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.orders.reconcile_turn import MOMENT_MS
from gridbot.records.record_types import ReconcileRecord
from gridbot.worker.orchestrator import CHECKPOINT_S
from tests.execution.support import settle
from tests.worker.account_bench import take_reconcile
from tests.worker.orchestrator_bench import Bench


async def test_nothing_is_routed_before_the_account_is_equal_to_the_exchange() -> None:
    bench = Bench()
    bench.streams.push(50000)
    assert bench.account.orders == []
    await bench.orchestrator.start()
    assert bench.streams.calls == ["start"]
    assert bench.queries.asked == ["executions", "open orders", "positions", "wallet"]
    assert bench.account.notes.of(ReconcileRecord)[0].reason == "start"
    assert bench.account.orders, "what waited was routed then"
    await bench.orchestrator.stop()


@pytest.mark.parametrize(("is_brought", "behind_ms"), [(False, MOMENT_MS - 50_000), (True, OVERLAP_MS)])
async def test_a_start_pages_all_where_another_host_had_the_account_until_now(is_brought: bool, behind_ms: int) -> None:
    bench = Bench()
    ledger, now_ms = bench.account.context.ledger, 1_000_000
    ledger.begin(now_ms)
    ledger.last_exec_ts = now_ms + 50_000
    reconciler = bench.orchestrator.reconciler
    reconciler._state = replace(reconciler._state, complete_to_ms=now_ms)
    bench.checkpoint.is_brought = is_brought
    await bench.orchestrator.start()
    assert bench.queries.asked_from[0] == now_ms - behind_ms
    await bench.orchestrator.stop()


async def test_a_start_that_fails_lets_no_strategy_trade() -> None:
    bench = Bench()
    bench.queries.failures["open orders"] = [make_error("busy", ErrorKind.RETRY)]
    with pytest.raises(ExchangeError):
        await bench.orchestrator.start()
    bench.streams.push(50000)
    assert bench.account.orders == []
    await bench.orchestrator.stop()
    assert bench.streams.calls == ["start", "stop"]


async def test_fills_that_are_untold_are_told_at_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    """The last burst before a stop had no line at INFO."""
    bench = Bench()
    await bench.orchestrator.start()
    bench.streams.push(50000)
    await settle()
    for order in bench.account.orders[:2]:
        bench.account.runner.on_execution(bench.account.fill(order, exec_id=order.link_id))
    with caplog.at_level(logging.INFO):
        await bench.orchestrator.stop()
    assert "[fill] 1 more since the last line" in caplog.text


async def test_the_loop_guards_the_losses_and_saves_the_ledger_until_shutdown() -> None:
    bench = Bench()
    await bench.orchestrator.start()
    started_s = bench.account.clock.now_s
    await asyncio.wait_for(bench.orchestrator.run_until_shutdown(bench.shutdown), 5)
    passed_s = bench.account.clock.now_s - started_s
    assert bench.losses.checked > 10
    assert 1 <= len(bench.checkpoint.saved) <= passed_s / CHECKPOINT_S
    await bench.orchestrator.stop()


async def test_a_latched_account_withdraws_its_orders() -> None:
    bench = Bench()
    await bench.orchestrator.start()
    bench.streams.push(50000)
    await settle()
    bench.losses.is_latched = True
    bench.orchestrator.guard_losses()
    assert {order.state for order in bench.account.orders} == {"pending_cancel"}
    await bench.orchestrator.stop()


async def test_what_arrived_and_cannot_be_read_is_an_alert_and_a_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.orchestrator.start()

    def broken() -> None:
        raise RuntimeError("a fault of ours")

    take_reconcile(bench.account.requests)
    with monkeypatch.context() as patch:
        patch.setattr(bench.streams, "drain", broken)
        bench.streams.push(50000)
        bench.streams.push(50000)
    assert bench.account.alarm.keys == ["fault"], "once"
    assert take_reconcile(bench.account.requests) == "what has arrived could not be read"
    bench.streams.push(50000)
    assert bench.account.orders, "the next one is read"
    await bench.orchestrator.stop()


async def test_the_next_decision_is_prepared_when_something_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it cannot be prepared costs nothing: the price itself is decided."""
    bench = Bench()
    await bench.orchestrator.start()
    engine, prepared = bench.account.runner.engine, []
    with monkeypatch.context() as patch:
        patch.setattr(engine, "prepare", lambda orders: prepared.append((bench.recorder.written, len(orders.long))))
        bench.streams.push(50000)
        assert prepared == [], "nothing was recorded"
        bench.recorder.is_new, written = True, bench.recorder.written
        bench.streams.push(50000)
        assert prepared == [(written + 1, len(bench.account.orders) // 2)], "behind the records"

        def broken(orders: object) -> None:
            raise RuntimeError("a fault of ours")

        patch.setattr(engine, "prepare", broken)
        bench.streams.push(50001)
    assert bench.account.alarm.keys == ["fault"]
    assert not bench.account.runner.risk_state.halted
    bench.streams.push(50000)
    assert engine.known_interval is not None
    await bench.orchestrator.stop()


@pytest.mark.parametrize("guard", ["losses", "caps"])
async def test_without_a_guard_no_strategy_trades(monkeypatch: pytest.MonkeyPatch, guard: str) -> None:
    bench = Bench()
    await bench.orchestrator.start()

    def broken(*_: object) -> bool:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(getattr(bench.orchestrator, guard), "check", broken)
    await asyncio.wait_for(bench.orchestrator.run_until_shutdown(bench.shutdown), 5)
    assert bench.account.alarm.keys == ["halt.BTCUSDT"], "once, and the worker has lived on"
    assert f"the guard over the {guard} failed" in bench.account.runner.risk_state.halted
    await bench.orchestrator.stop()


async def test_a_strategy_that_cannot_withdraw_or_stop_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.orchestrator.start()

    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.account.runner.orders, "cancel_all", broken)
    bench.losses.is_latched = True
    bench.orchestrator.guard_losses()
    assert bench.account.alarm.keys == ["halt.BTCUSDT"]
    monkeypatch.setattr(bench.account.runner, "stop", broken)
    await bench.orchestrator.stop()
    assert bench.account.alarm.keys == ["halt.BTCUSDT", "fault.BTCUSDT"]
    assert bench.streams.calls == ["start", "stop"], "the stop went on to its end"


async def test_a_ledger_that_cannot_be_saved_is_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    await bench.orchestrator.start()

    def broken(ledger: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.checkpoint, "save", broken)
    await asyncio.wait_for(bench.orchestrator.run_until_shutdown(bench.shutdown), 5)
    assert bench.account.alarm.keys == ["fault"]
    await bench.orchestrator.stop()


async def test_a_look_up_that_breaks_halts_its_strategy_and_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended in silence, and its order stayed unresolved until the next comparison."""
    bench = Bench()
    await bench.orchestrator.start()
    bench.streams.push(50000)
    await settle()
    order, other = bench.account.orders[:2]

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(bench.queries, "find_order", broken)
        bench.account.runner.book.lose_reply(order.key, "timed out")
        bench.account.requests.look_up(order)
        await settle()
    assert bench.account.alarm.keys[0] == "halt.BTCUSDT", "then the comparison breaks on the same"
    assert "looking up an order failed" in bench.account.runner.risk_state.halted
    bench.account.runner.book.lose_reply(other.key, "timed out")
    bench.account.requests.look_up(other)
    await settle()
    assert "order" in bench.queries.asked
    await bench.orchestrator.stop()


async def test_a_fault_in_the_clock_itself_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def broken(now_s: float) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(bench.orchestrator.clockwork, "tick", broken)
    await bench.orchestrator.start()
    with pytest.raises(RuntimeError, match="a fault of ours"):
        await asyncio.wait_for(bench.orchestrator.run_until_shutdown(bench.shutdown), 5)
    await bench.orchestrator.stop()


async def test_a_posted_look_up_is_made() -> None:
    bench = Bench()
    await bench.orchestrator.start()
    bench.streams.push(50000)
    await settle()
    order = bench.account.orders[0]
    bench.account.runner.book.lose_reply(order.key, "timed out")
    bench.account.requests.look_up(order)
    await settle()
    assert "order" in bench.queries.asked
    await bench.orchestrator.stop()


async def test_stop_lets_nothing_new_out_and_leaves_what_rests() -> None:
    bench = Bench()
    await bench.orchestrator.start()
    bench.streams.push(50000)
    await settle()
    resting = {order.key for order in bench.account.orders}
    await bench.orchestrator.stop()
    assert bench.account.gate.stopping
    assert {order.key for order in bench.account.orders} == resting
    sent = len(bench.account.gateway.sent)
    bench.streams.push(50100)
    await settle()
    assert len(bench.account.gateway.sent) == sent
    assert bench.recorder.written > 0
