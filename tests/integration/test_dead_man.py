"""Disconnect-cancel-all over the real paper exchange: the grid goes with our stream, and is placed anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.worker.health import account_health
from tests.integration.worker_bench import WorkerBench, exchange, settings, trading

AFTER_S = 3


def resting(paper: PaperThread) -> int:
    return paper.call(lambda: len(next(iter(paper.server.exchange.accounts.values())).open))


def dead_man(bench: WorkerBench) -> Any:
    report = account_health(bench.assembly.orchestrator, state="trading", uptime_s=1.0, pid=1, rss=1)
    return report["dead_man"], [reason for reason in report["reasons"] if "dead_man" in reason]


def test_a_worker_whose_stream_is_gone_for_too_long_loses_its_grid_and_places_it_anew(tmp_path: Path) -> None:
    config = settings(tmp_path, accounts=[{"name": "alice", "dead_man": f"dcp {AFTER_S}"}])

    def spoil(paper: PaperThread, **fault: Any) -> None:
        paper.call(paper.server.faults.add, FaultConfig.model_validate({"channel": "private", **fault}))

    async def run() -> None:
        with exchange(config, dcp=True) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await bench.until(lambda: dead_man(bench)[0] == {"after_s": AFTER_S, "state": "set"}, "DCP to be set")
                before = {order.link_id for order in bench.runner().book}
                assert resting(paper) == len(before) > 0
                spoil(paper, kind="refuse_connections", for_s=AFTER_S + 1.5)
                spoil(paper, kind="drop_connections", mode="reset")
                await bench.until(lambda: resting(paper) == 0, "the exchange to cancel everything")
                await bench.until(lambda: not bench.runner().book, "the worker to know")
                paper.set_price("BTCUSDT", "50001")
                await bench.until(lambda: bench.runner().book and resting(paper) == len(before), "the grid to be back")
                await bench.quiet()
                assert before.isdisjoint(order.link_id for order in bench.runner().book)
                await bench.until(lambda: dead_man(bench)[0]["state"] == "set", "DCP to be set again")
                assert not bench.runner().risk_state.halted

    asyncio.run(run())


def test_an_account_that_may_not_use_it_is_told_and_trades(tmp_path: Path) -> None:
    config = settings(tmp_path, accounts=[{"name": "alice", "dead_man": "dcp 30"}])

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await bench.until(lambda: dead_man(bench)[0]["state"] == "refused", "the refusal")
                assert "orders stay when this machine is gone" in dead_man(bench)[1][0]
                await bench.until(lambda: [key for _, key, _ in bench.alerts if key == "dead_man"], "the incident")

    asyncio.run(run())
