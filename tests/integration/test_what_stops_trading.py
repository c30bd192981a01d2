"""What keeps a whole worker from trading, or one strategy of it: a limit, a fault, an instrument, the price band."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.core import Direction, Side
from gridbot.exchange.remedies import remedy_for
from gridbot.orders.breakers import Cause
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.risk.obstacles import of_account
from gridbot.risk.refusals import Refusal
from gridbot.worker.health import account_health
from gridbot.worker.job_watch import FAILS_FOR_S, Reading
from gridbot.worker.shutdown import cancel_everything, flatten
from tests.integration.worker_bench import (
    BTC,
    ever,
    exchange,
    resting,
    settings,
    trading,
)

D = Decimal


def test_a_wrong_tick_halts_the_strategy_before_any_order(tmp_path: Path) -> None:
    """incident L30."""
    config = settings(tmp_path, {**BTC, "tick_size": "0.5"})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                [(level, key, text)] = bench.alerts
                assert (level, key) == ("error", "halt.BTCUSDT")
                assert "expected tick_size 0.5" in text
                assert "the exchange has 0.1" in text
                paper.set_price("BTCUSDT", "49890")
            assert ever(paper) == 0

    asyncio.run(run())


def test_the_loss_limit_latches_cancels_and_survives_a_restart(tmp_path: Path) -> None:
    config = settings(tmp_path, accounts=[{"name": "alice", "caps": {"session_loss_limit": "0.01"}}])

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
                bench.assembly.orchestrator.guard_losses()  # the fee of one fill is more than a cent
                assert bench.assembly.context.gate.loss_latched
                await bench.until(lambda: not resting(paper), "nothing rests any more")
            async with trading(config, paper) as bench:
                paper.set_price("BTCUSDT", "49891")
                await bench.until(lambda: bench.runner().risk_state.last_price == D(49891))
                assert bench.assembly.context.gate.loss_latched
                assert resting(paper) == []
                bench.assembly.orchestrator.losses.clear()
                paper.set_price("BTCUSDT", "49892")
                await bench.until(lambda: len(resting(paper)) > 0, "trading again after an operator looked")

    asyncio.run(run())


def test_a_fault_in_one_event_halts_its_strategy_which_still_knows_the_price(tmp_path: Path) -> None:
    """Incident L59: what goes wrong with one event takes nothing else with it; the position can still be closed."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                runner = bench.runner()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)

                def broken(*_: object) -> None:
                    raise RuntimeError("a fault of ours")

                runner.engine.on_event = broken  # type: ignore[assignment, method-assign]
                paper.set_price("BTCUSDT", "49889")
                await bench.until(lambda: runner.risk_state.halted, "the halt")
                assert "a fault of ours" in runner.risk_state.halted
                paper.set_price("BTCUSDT", "49850")
                await bench.until(lambda: runner.risk_state.last_price == D(49850), "the price known all the same")
                assert await cancel_everything(bench.assembly.orchestrator, 10) == []
                assert await flatten(bench.assembly.orchestrator, 10) == []

    asyncio.run(run())


def test_a_symbol_that_is_no_longer_listed_halts_its_own_strategy_alone(tmp_path: Path) -> None:
    gone = {**BTC, "strat_id": "gone", "symbol": "GONEUSDT"}
    config = settings(tmp_path, gone, BTC)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                orchestrator = bench.assembly.orchestrator
                health = account_health(orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                shown = {row["strat_id"]: (row["state"], row["reason"]) for row in health["strategies"]}
                assert shown["btc"] == ("active", "")
                assert shown["gone"][0] == "halted"
                assert "expected to trade GONEUSDT, the exchange says: Not supported symbols" in shown["gone"][1]
                assert health["health"] == "degraded"
                assert [key for _, key, _ in bench.alerts] == ["halt.GONEUSDT"]

    asyncio.run(run())


@pytest.mark.parametrize("code", [10005, 10010, 10018])
def test_what_stops_the_account_is_told_with_code_and_remedy_also_in_the_row_of_the_strategy(
    tmp_path: Path, code: int
) -> None:
    """Key failures and a ban: health, the incident and the strategy's row had neither."""
    shadow = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1", "shadow_mode": True}
    config = settings(tmp_path, BTC, shadow)
    endpoints = ("/v5/order/create", "/v5/order/create-batch")
    faults = [{"kind": "error", "endpoint": endpoint, "times": 0, "code": code} for endpoint in endpoints]

    async def run() -> None:
        with exchange(config) as paper:
            for fault in faults:
                paper.call(paper.server.faults.add, FaultConfig.model_validate(fault))
            async with trading(config, paper) as bench:
                context = bench.assembly.context
                await bench.until(lambda: of_account(context.gate, context.executor.ban, context.clock.monotonic_s()))
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                [reason] = health["reasons"]
                assert f"(retCode {code}" in reason
                assert reason.endswith(remedy_for(from_ret_code(code, "")))
                assert health["health"] == ("degraded" if code == 10018 else "auth_cooldown")
                assert [row["reason"] for row in health["strategies"]] == [reason, ""], "a shadow sends nothing"
                bench.assembly.orchestrator.records.record_state()
                told = {incident["key"]: incident["text"] for incident in context.alert.rows()}
                lasts, _, text = reason.partition(" s more: ")
                assert int(lasts.removeprefix("for ")) > 60
                assert told == {"ip_ban" if code == 10018 else "auth": text}

    asyncio.run(run())


def test_levels_outside_the_price_band_wait_until_it_has_them(tmp_path: Path) -> None:
    """Last 4 % above mark: the exchange moved our buys to 51000, and they were cancelled and placed again for ever."""
    config = settings(tmp_path)
    market = {
        "source": "manual",
        "mark_halflife_s": 100_000,
        "symbols": {"BTCUSDT": {"price": "50000"}, "ETHUSDT": {"price": "2500"}},
    }

    async def run() -> None:
        with exchange(config, market=market) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await asyncio.to_thread(paper.set_price, "BTCUSDT", "52000")
                await bench.until(lambda: bench.runner().risk_state.last_price == D(52000))
                await bench.until(lambda: Refusal.PRICE_BAND in bench.runner().placement.refusals, "levels that wait")
                await bench.until(lambda: bench.assembly.context.executor.idle, "the answers")
                before = ever(paper)
                for cent in range(1, 40):
                    await asyncio.to_thread(paper.set_price, "BTCUSDT", str(52000 + D(cent) / 10))
                await bench.until(lambda: bench.runner().risk_state.last_price == D("52003.9"))
                await bench.until(lambda: bench.assembly.context.executor.idle, "the answers")
                assert ever(paper) == before, "nothing is sent that would be moved"
                assert {order.price for order in resting(paper) if order.side is Side.BUY} <= {
                    order.price for order in bench.runner().book
                }
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                [row] = health["strategies"]
                assert row["waiting"]["outside_price_band"] > 0
                assert " at the exchange's price band (" in row["reason"]
                assert health["reasons"] == []
                beyond = next(
                    ticks for (_, ticks), why in bench.runner().placement.refused.items() if why is Refusal.PRICE_BAND
                )
                order = replace(next(iter(bench.runner().book)), ticks=beyond)
                context = bench.assembly.context
                for _ in range(3):
                    context.gate.refused(order, context.clock.monotonic_s(), cause=Cause.MOVED)
                watched = Reading("money", "reading the log")
                for at_s in (0.0, FAILS_FOR_S):
                    context.jobs.ended(watched, from_ret_code(10016, "busy"), at_s)
                context.jobs.look(FAILS_FOR_S, is_explained=False)
                health = account_health(bench.assembly.orchestrator, state="running", uptime_s=1, pid=1, rss=1)
                failing, learnt = health["reasons"]
                assert failing.startswith("reading the log failed 2 times in a row: busy (retCode 10016, ambiguous); ")
                assert "btc: 1 level waits at the exchange's price band (" in learnt
                assert "it has moved their orders to other prices" in learnt
                assert [row["reason"] for row in health["strategies"]] == [learnt]

    asyncio.run(run())
