"""Reloads of a whole worker: strategies change, come and go; the orders of the others stay the same ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.risk.holds import Hold, Who
from gridbot.worker.reloading import CannotReload
from gridbot.worker.strategy_runner import StrategyRunner
from tests.integration.worker_bench import BTC, PRICE, WorkerBench, exchange, resting, settings, trading

ETH: dict[str, Any] = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"}
SOL: dict[str, Any] = {**BTC, "strat_id": "sol", "symbol": "SOLUSDT", "amount": "q1"}

HOLDING: dict[Hold, Callable[[StrategyRunner], object]] = {
    Hold.PAUSED: lambda runner: runner.pause(),
    Hold.REDUCING: lambda runner: runner.reduce(Who.OPERATOR, "as asked"),
    Hold.HALTED: lambda runner: runner.halt("its file is torn"),
}


def ids(paper: PaperThread, symbol: str) -> set[str]:
    return {order.order_id for order in resting(paper) if order.symbol == symbol}


async def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = asyncio.get_running_loop().time() + 10
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < deadline_s, what
        await asyncio.sleep(0.01)


async def priced(bench: WorkerBench, paper: PaperThread, symbol: str, price: str) -> None:
    await asyncio.to_thread(paper.set_price, symbol, price)
    await bench.until(lambda: bench.runner(symbol).risk_state.last_price == Decimal(price), f"{symbol} at {price}")
    await bench.quiet(symbol)


async def reload_to(bench: WorkerBench, config: GridbotConfig) -> str:
    reloading = bench.assembly.reloading
    await reloading.prepare(config)
    return await reloading.apply()


def test_strategies_change_come_and_go_and_the_others_keep_each_order(tmp_path: Path) -> None:
    def config(*strategies: dict[str, Any], **account: Any) -> GridbotConfig:
        return settings(tmp_path, *strategies, accounts=[{"name": "alice", **account}])

    first = config(BTC, ETH)

    async def live() -> None:
        async with trading(first, paper) as bench:
            await priced(bench, paper, "BTCUSDT", "50001.0")
            await priced(bench, paper, "ETHUSDT", "2501.00")
            eth, btc = ids(paper, "ETHUSDT"), ids(paper, "BTCUSDT")

            # another step: looked at first, then applied; the neighbour's orders are the same ones
            wider = config({**BTC, "grid_step": 0.5}, ETH)
            (row,) = bench.assembly.reloading.look(wider)
            assert (row["keep"], row["cancel"], row["place"]) == (0, len(btc), len(btc))
            assert await reload_to(bench, wider) == "changed btc"
            await priced(bench, paper, "BTCUSDT", "50002.0")
            await until(lambda: not ids(paper, "BTCUSDT") & btc, "orders of the old ladder go")
            await priced(bench, paper, "BTCUSDT", "50000.0")
            assert ids(paper, "ETHUSDT") == eth
            levels = {level.ticks for level in bench.runner().engine.grid.levels}  # type: ignore[attr-defined]
            assert {order.ticks for order in bench.runner().book} <= levels

            # sizes and limits only: no order moves
            btc = ids(paper, "BTCUSDT")
            sized = config({**BTC, "grid_step": 0.5, "amount": "q0.02", "caps": {"max_open_orders": 50}}, ETH)
            assert bench.assembly.reloading.look(sized)[0]["keep"] == len(btc)
            await reload_to(bench, sized)
            await priced(bench, paper, "BTCUSDT", "50000.5")
            assert (ids(paper, "BTCUSDT"), ids(paper, "ETHUSDT")) == (btc, eth)
            assert bench.runner().risk_state.caps.max_open_orders == 50

            # one more, and limits of the account
            added = config({**BTC, "grid_step": 0.5}, ETH, SOL, caps={"session_loss_limit": 7, "max_notional": "9000"})
            assert await reload_to(bench, added) == "changed btc; added sol"
            await priced(bench, paper, "SOLUSDT", "150.10")
            assert ids(paper, "SOLUSDT")
            assert ids(paper, "ETHUSDT") == eth
            assert bench.assembly.context.gate.account.max_notional.value == 9000  # type: ignore[union-attr]

            # one less: its orders are gone when it is said done, and nobody looks after it any more
            assert await reload_to(bench, config(ETH, SOL)) == "removed btc"
            assert not ids(paper, "BTCUSDT")
            assert ids(paper, "ETHUSDT") == eth
            assert list(bench.assembly.orchestrator.runners) == ["ETHUSDT", "SOLUSDT"]
            await asyncio.to_thread(paper.set_price, "BTCUSDT", "50100.0")
            bench.assembly.context.requests.refresh_positions("BTCUSDT")  # somebody had asked before
            bench.assembly.context.requests.read_terms("BTCUSDT")
            await bench.assembly.orchestrator.reconciler.run("after it is gone")
            assert not [alert for alert in bench.alerts if alert[0] == "error"], bench.alerts

            # it comes back under its name, and a live one becomes a shadow
            assert (
                await reload_to(bench, config(BTC, ETH, {**SOL, "shadow_mode": True})) == "removed sol; added btc, sol"
            )
            await priced(bench, paper, "BTCUSDT", "50000.0")
            await until(lambda: not ids(paper, "SOLUSDT"), "a shadow has no order there")
            assert ids(paper, "BTCUSDT")
            assert ids(paper, "ETHUSDT") == eth
            assert bench.runner("SOLUSDT").is_shadow

    with exchange(first, market={"source": "manual", "symbols": {
        "BTCUSDT": {"price": str(PRICE)}, "ETHUSDT": {"price": "2500"}, "SOLUSDT": {"price": "150"}
    }}) as paper:  # fmt: skip
        asyncio.run(live())


def test_holds_stay_and_what_cannot_be_done_leaves_all_as_it_was(tmp_path: Path) -> None:
    first = settings(tmp_path, BTC, ETH)

    async def live() -> None:
        async with trading(first, paper) as bench:
            await priced(bench, paper, "BTCUSDT", "50001.0")
            await priced(bench, paper, "ETHUSDT", "2501.00")
            orders = {order.order_id for order in resting(paper)}
            reloading = bench.assembly.reloading
            for strategies, words in (
                ([{**BTC, "tick_size": 5}, ETH], "expected tick_size 5"),
                ([{**BTC, "grid_step": 40, "grid_count": 500}, ETH], "no orders at the price now"),
                ([BTC, ETH, {**SOL, "symbol": "NOSUCHUSDT"}], "sol cannot start"),
            ):
                with pytest.raises(CannotReload, match=words):
                    await reloading.prepare(settings(tmp_path, *strategies))
                with pytest.raises(CannotReload, match="nothing is prepared"):
                    await reloading.apply()
            assert {order.order_id for order in resting(paper)} == orders
            # nobody can confirm that the orders are gone: what was to go trades on
            fault = FaultConfig(kind="error", endpoint="/v5/order/realtime", times=0, code=10016)
            await asyncio.to_thread(paper.call, lambda: paper.server.faults.add(fault))
            await reloading.prepare(settings(tmp_path, ETH))
            applied = asyncio.ensure_future(reloading.apply())
            await bench.until(lambda: bench.assembly.orchestrator.flattening.busy, "the cancelling")
            with pytest.raises(CannotReload, match="orders are cancelled or legs closed on BTCUSDT"):
                reloading.look(settings(tmp_path, BTC))
            assert not bench.runner().risk_state.ready
            applied.cancel()
            with pytest.raises(asyncio.CancelledError):
                await applied
            assert bench.runner().risk_state.ready
            await priced(bench, paper, "BTCUSDT", "50003.0")
            assert ids(paper, "BTCUSDT")
            assert ids(paper, "ETHUSDT") <= orders

    async def paused() -> None:
        async with trading(first, paper) as bench:
            await priced(bench, paper, "BTCUSDT", "50001.0")
            bench.runner().pause()
            before = ids(paper, "BTCUSDT")
            assert "paused" in bench.assembly.reloading.look(settings(tmp_path, {**BTC, "grid_step": 0.5}))[0]["held"]
            await reload_to(bench, settings(tmp_path, {**BTC, "grid_step": 0.5}))
            await asyncio.to_thread(paper.set_price, "BTCUSDT", "50002.0")
            await until(lambda: not ids(paper, "BTCUSDT") & before, "withdrawn while it is paused")
            assert Hold.PAUSED in bench.runner().risk_state.holds.held
            assert not ids(paper, "BTCUSDT")
            for hold in (Hold.PAUSED, Hold.REDUCING, Hold.HALTED):  # seed 2060: all halted, and what was added traded
                bench.runner().resume()
                HOLDING[hold](bench.runner())
                await reload_to(
                    bench, settings(tmp_path, {**BTC, "grid_step": 0.5}, {**ETH, "strat_id": f"eth-{hold}"})
                )
                held = str(bench.runner("ETHUSDT").risk_state.holds.held[Hold.PAUSED])
                assert f"added while all of its account was held ({hold})" in held
                await reload_to(bench, settings(tmp_path, {**BTC, "grid_step": 0.5}))
            # also where what was held goes: another symbol for the only strategy
            await reload_to(bench, settings(tmp_path, {**ETH, "strat_id": "eth2"}))
            assert list(bench.assembly.orchestrator.runners) == ["ETHUSDT"]
            assert "added while all of its account was held" in str(bench.runner("ETHUSDT").risk_state.holds.held)
            # a fault of ours between two configurations: it cannot go back by itself, and says so
            bench.assembly.orchestrator.losses.follow = lambda live: 1 / 0  # type: ignore[assignment,method-assign]
            with pytest.raises(ZeroDivisionError):
                await reload_to(bench, settings(tmp_path, {**ETH, "strat_id": "eth2"}, BTC))
            with pytest.raises(CannotReload, match="has to begin anew"):
                await bench.assembly.reloading.prepare(settings(tmp_path, {**ETH, "strat_id": "eth2"}))

    with exchange(first) as paper:
        asyncio.run(live())
    other = settings(tmp_path / "paused", BTC)
    with exchange(other) as paper:
        first = other
        asyncio.run(paused())
