"""Campaigns: an exchange that loses, repeats, delays and reorders, a price that runs about, and a death in the middle.

Afterwards the invariants of docs/architecture.md 7 must hold, whatever the seed. GRIDBOT_CAMPAIGNS=50 runs more seeds.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.core import Direction
from gridbot.exchange.failures import ExchangeError
from gridbot.paper.server.paper_thread import PaperThread
from tests.integration.worker_bench import (
    PRICE,
    WorkerBench,
    account_of,
    exchange,
    executions,
    resting,
    settings,
    trading,
)

CREATE, CREATE_BATCH = "/v5/order/create", "/v5/order/create-batch"
CANCEL, CANCEL_BATCH = "/v5/order/cancel", "/v5/order/cancel-batch"
FOR_EVER = 0

FAULTS: list[dict[str, Any]] = [
    *({"kind": "lost_reply", "endpoint": path, "probability": 0.1} for path in (CREATE, CREATE_BATCH, CANCEL)),
    *({"kind": "lost_request", "endpoint": path, "probability": 0.05} for path in (CREATE, CREATE_BATCH, CANCEL)),
    *({"kind": "error", "endpoint": path, "code": 10006, "probability": 0.1} for path in (CREATE, CANCEL_BATCH)),
    *({"kind": "error_after", "endpoint": path, "code": 10016, "probability": 0.1} for path in (CREATE, CANCEL)),
    {"kind": "error", "endpoint": "/v5/execution/list", "code": 10016, "probability": 0.3},
    *({"kind": "duplicate_frame", "topic": topic, "probability": 0.1} for topic in ("execution", "order")),
    *({"kind": "stale_frame", "topic": topic, "probability": 0.1} for topic in ("order", "position")),
    *({"kind": "lose_frame", "topic": topic, "probability": 0.05} for topic in ("execution", "order", "position")),
    {"kind": "reorder_frames", "topic": "execution", "delay_ms": 30, "probability": 0.2},
    {"kind": "double_filled", "probability": 0.1},
]
SEEDS = range(1, 1 + int(os.environ.get("GRIDBOT_CAMPAIGNS", "3")))


async def run_about(paper: PaperThread, bench: WorkerBench, rng: random.Random, steps: int) -> None:
    """Move the price by fractions of a grid step, fast enough that fills and decisions overlap."""
    price = PRICE
    for _ in range(steps):
        price = max(Decimal(48500), min(Decimal(51500), price * (1 + Decimal(rng.randint(-25, 25)) / 10_000)))
        await asyncio.to_thread(paper.set_price, "BTCUSDT", f"{price:.1f}")
        await asyncio.sleep(rng.choice((0.0, 0.005, 0.03)))


async def come_to_rest(paper: PaperThread, bench: WorkerBench) -> None:
    """No more faults, a price that only trembles; until the worker believes that it is equal to the exchange.

    The exchange moves orders outside its price band, several of them to one price (docs/bybit.md 3.13): the next
    decisions have to put that right, too.
    """
    paper.call(paper.server.faults.plan.clear)
    account = bench.assembly.context

    async def settled() -> bool:
        last = bench.runner().risk_state.last_price or PRICE
        await asyncio.to_thread(paper.set_price, "BTCUSDT", str(last + Decimal("0.1")))
        try:
            await bench.assembly.orchestrator.reconciler.run()
        except ExchangeError:
            return False
        runner = bench.runner()
        states = {order.state for order in runner.book}
        levels = Counter((order.direction, order.ticks) for order in runner.book)
        quiet = account.executor.idle and len(account.retry) == 0
        return quiet and states <= {"open", "partially_filled"} and set(levels.values()) == {1}

    deadline = asyncio.get_running_loop().time() + 45
    while not await settled():
        assert asyncio.get_running_loop().time() < deadline, [
            (order.key, order.state, order.sent_ms) for order in bench.runner().book
        ]
        await asyncio.sleep(0.2)


def check_invariants(paper: PaperThread, bench: WorkerBench) -> None:
    bench.assembly.recorder.flush()
    ours = {order.link_id: order for order in bench.runner().book}
    theirs = {order.link_id: order for order in resting(paper)}
    levels = Counter((order.direction, order.price) for order in theirs.values())
    assert all(count == 1 for count in levels.values()), "at most one live order per (direction, price)"
    assert ours.keys() == theirs.keys()
    assert all(ours[link].cum_exec_qty == order.cum_qty for link, order in theirs.items())
    made = paper.call(lambda: {execution.exec_id for execution in account_of(paper).executions})
    kept = Counter(execution.exec_id for execution in executions(bench.data_dir))
    assert kept.keys() == made, "no execution is lost, none is invented"
    assert set(kept.values()) <= {1}, "each counts once"
    legs = paper.call(lambda: {idx: leg.size for (_, idx), leg in account_of(paper).legs.items()})
    assert {direction.position_idx: bench.size(direction) for direction in Direction if bench.size(direction)} == {
        idx: size for idx, size in legs.items() if size
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_exchange_does_nothing_is_doubled_lost_or_forgotten(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    config = settings(tmp_path)
    faults = [{**fault, "times": FOR_EVER} for fault in FAULTS]

    async def run() -> None:
        with exchange(config, fault_seed=seed, faults=faults) as paper:
            async with trading(config, paper, crash=True) as bench:
                await run_about(paper, bench, rng, 60)
            async with trading(config, paper) as bench:
                await run_about(paper, bench, rng, 60)
                await come_to_rest(paper, bench)
                check_invariants(paper, bench)

    asyncio.run(run())
