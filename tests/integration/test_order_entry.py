"""A worker that sends by the trade socket: it is lost in the middle, stays away, and comes back."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.core import Side
from gridbot.exchange import order_entry
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.order_entry import OrderEntry
from gridbot.orders.order import OrderState
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.paper.streams.connections import ChannelKind
from gridbot.worker.health import account_health
from tests.integration.worker_bench import WorkerBench, account_of, ever, exchange, resting, settings, trading

CREATE = "/v5/order/create"


def config_of(data_dir: Path, order_entry: str = "auto") -> GridbotConfig:
    return settings(data_dir, accounts=[{"name": "alice", "order_entry": order_entry}])


def spoil(paper: PaperThread, kind: str, **fields: Any) -> None:
    paper.call(paper.server.faults.add, FaultConfig.model_validate({"kind": kind, **fields}))


def cut(paper: PaperThread) -> None:
    """End the trade connections, on the exchange's loop."""
    for each in list(paper.server.hub.connections):
        if each.kind is ChannelKind.TRADE:
            each.transport.abort()


def health(bench: WorkerBench) -> dict[str, Any]:
    return account_health(bench.assembly.orchestrator, state="trading", uptime_s=1, pid=1, rss=1)


async def by_socket(bench: WorkerBench) -> None:
    await bench.until(lambda: bench.assembly.orchestrator.order_entry.way is OrderEntry.WEBSOCKET, "the trade socket")


async def replace_one(bench: WorkerBench, paper: PaperThread) -> Decimal:
    """Cancel a resting buy and have the grid place its level again; its price."""
    victim = next(order for order in bench.runner().book if order.side is Side.BUY)
    bench.runner().orders.cancel(victim.key, "test")
    bench.assembly.context.executor.pump()
    await bench.until(lambda: victim.state is OrderState.CANCELLED, "the cancel")
    paper.set_price("BTCUSDT", "50001")
    return victim.price


@pytest.mark.parametrize(("kind", "made"), [("lost_reply", True), ("lost_request", False)])
def test_a_create_on_a_lost_socket_is_looked_up_and_there_once(tmp_path: Path, kind: str, made: bool) -> None:
    async def run() -> None:
        config = config_of(tmp_path)
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await by_socket(bench)
                before, passes = ever(paper), bench.assembly.orchestrator.reconciler.last_s
                spoil(paper, kind, endpoint=CREATE)
                price = await replace_one(bench, paper)
                await bench.until(lambda: len(resting(paper)) == 10, "ten orders")
                await bench.quiet()
                await by_socket(bench)
                await bench.until(
                    lambda: bench.assembly.orchestrator.reconciler.last_s != passes, "a comparison with the exchange"
                )
                assert len([order for order in resting(paper) if order.price == price]) == 1
                assert ever(paper) == before + 1

    asyncio.run(run())


def test_while_the_socket_is_away_orders_go_by_http_and_status_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_entry, "PATIENCE_S", 0.5)

    async def run() -> None:
        config = config_of(tmp_path, "websocket")
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await by_socket(bench)
                assert health(bench)["order_entry"] == {
                    "way": "websocket",
                    "socket": "ready",
                    "down_s": 0.0,
                    "reconnects": 0,
                    "error": "",
                }
                spoil(paper, "refuse_connections", channel="trade", times=0)
                paper.call(cut, paper)
                await bench.until(lambda: health(bench)["order_entry"]["way"] == "http", "HTTP")
                await replace_one(bench, paper)
                await bench.until(lambda: len(resting(paper)) == 10, "ten orders")
                await bench.until(
                    lambda: any("the trade socket is down" in reason for reason in health(bench)["reasons"]),
                    "a reason against health",
                )
                paper.call(paper.server.faults.plan.clear)
                await by_socket(bench)
                assert health(bench)["order_entry"]["reconnects"] == 1
                assert not any("trade socket" in reason for reason in health(bench)["reasons"])

    asyncio.run(run())


def test_during_a_ban_orders_go_on_by_the_socket_and_what_needs_http_waits(tmp_path: Path) -> None:
    async def run() -> None:
        config = config_of(tmp_path, "websocket")
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                await by_socket(bench)
                spoil(paper, "ip_ban", endpoint="/v5/position/list", for_s=600)
                asked = bench.assembly.orchestrator.reconciler.positions("BTCUSDT")
                with pytest.raises(ExchangeError):
                    await asked
                before = ever(paper)
                price = await replace_one(bench, paper)
                await bench.until(lambda: len(resting(paper)) == 10, "ten orders")
                await bench.quiet()
                assert ever(paper) == before + 1
                assert price in {order.price for order in resting(paper)}
                assert any("no HTTP request is sent until that is over" in each for each in health(bench)["reasons"])

    asyncio.run(run())


def test_with_http_there_is_no_trade_socket(tmp_path: Path) -> None:
    async def run() -> None:
        config = config_of(tmp_path, "http")
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                kinds = paper.call(lambda: {each.kind.value for each in paper.server.hub.connections})
                assert kinds == {"public", "private"}
                assert health(bench)["order_entry"]["way"] == "http"
                assert health(bench)["order_entry"]["socket"] is None
                assert len(resting(paper)) == 10 == len(account_of(paper).open)

    asyncio.run(run())
