"""Orders that end while no worker follows them: their records get a last row, so `open_orders` shows what rests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.orders import reconcile_ends
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import OrderRecord
from gridbot.store.reading import connect
from gridbot.worker.commands import Commands
from supervisor.store.address_pace import Paces
from supervisor.store.exchange_ledger import PATIENT
from supervisor.store.exchange_ledger import connect as connect_to
from supervisor.store.exchange_repair import repair_orders
from supervisor.store.exchange_views import ViewCheck, check_views
from tests.integration.worker_bench import BTC, WorkerBench, account_of, exchange, records, resting, settings, trading
from tests.store.session import write_all

ETH: dict[str, Any] = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"}
AFTERWARDS = {
    "the same": [BTC, ETH],
    "the strategy has another name": [{**BTC, "strat_id": "btc2"}, ETH],
    "nobody trades the symbol any more": [ETH],
    "the strategy is a shadow": [{**BTC, "shadow_mode": True}, ETH],
}


def cancel(paper: PaperThread, order: Order) -> None:
    """By hand."""
    exchange = paper.server.exchange
    paper.call(lambda: exchange.cancel(account_of(paper), order, paper.server.now_ms()))


def recorded(bench: WorkerBench) -> set[str]:
    return {key for key, record in bench.assembly.context.recorded.by_key.items() if not record.shadow}


def links(paper: PaperThread) -> set[str]:
    return {order.link_id for order in resting(paper)}


async def as_on_the_exchange(bench: WorkerBench, paper: PaperThread) -> None:
    idle = bench.assembly.context.executor
    await bench.until(lambda: idle.idle and recorded(bench) == links(paper), "records that show what rests")


def view(data_dir: Path) -> set[str]:
    write_all(data_dir)
    with connect(data_dir) as con:
        return {link for (link,) in con.execute("SELECT order_link_id FROM open_orders").fetchall()}


@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_the_view_shows_what_rests_after_a_death(
    tmp_path: Path, afterwards: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`open_orders` showed 23 orders where 19 rested: those that had ended while the worker was down, for ever."""
    monkeypatch.setattr(reconcile_ends, "LATE_S", 0.5)
    config, changed = settings(tmp_path, BTC, ETH), settings(tmp_path, *AFTERWARDS[afterwards])

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await bench.quiet()
            await bench.quiet("ETHUSDT")
            [newest, *_] = bench.assembly.context.recorded
            never_sent = replace(newest, order_link_id="never-1", order_id="", state="pending")
            bench.assembly.context.record_order(never_sent)
        btc = sorted((o for o in resting(paper) if o.symbol == "BTCUSDT"), key=lambda order: order.price)
        paper.set_price("BTCUSDT", str(btc[-1].price + 50))
        for order in (*btc[:3], next(o for o in resting(paper) if o.symbol == "ETHUSDT")):
            cancel(paper, order)
        async with trading(changed, paper, crash=True) as bench:
            await as_on_the_exchange(bench, paper)
        last = {r.order_link_id: r for r in records(tmp_path) if isinstance(r, OrderRecord)}
        for order in btc[:3]:
            ended = last[order.link_id]
            assert (ended.state, ended.cum_exec_qty) == ("cancelled", Decimal(0))
            assert ended.reason == "ended while no worker followed it: CancelByUser"
            assert ended.strategy == "btc"
        filled = last[btc[-1].link_id]
        assert (filled.state, filled.cum_exec_qty) == ("filled", filled.qty)
        assert (last["never-1"].state, last["never-1"].reason) == (
            "rejected",
            "never reached the exchange, as far as it tells",
        )

    with exchange(config) as paper:
        asyncio.run(scenario(paper))
        assert view(tmp_path) == links(paper)


def test_a_death_while_the_ends_are_asked_for_and_another_one_lose_none(tmp_path: Path) -> None:
    config = settings(tmp_path, BTC)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await bench.quiet()
        for order in resting(paper):
            cancel(paper, order)
        for _ in range(2):
            async with trading(config, paper, crash=True):
                pass
        async with trading(config, paper) as bench:
            await as_on_the_exchange(bench, paper)

    with exchange(config) as paper:
        asyncio.run(scenario(paper))
        assert view(tmp_path) == links(paper)


def test_orders_of_a_shadow_strategy_end_with_their_worker(tmp_path: Path) -> None:
    config = settings(tmp_path, {**BTC, "shadow_mode": True})

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await bench.until(lambda: len(bench.assembly.context.recorded), "shadow orders")
            [newest, *_] = bench.assembly.context.recorded
            assert newest.shadow
            bench.assembly.context.record_order(replace(newest, order_link_id="left"))  # nobody withdraws it
        async with trading(config, paper, crash=True) as bench:
            assert "left" not in bench.assembly.context.recorded.by_key
        last = {r.order_link_id: r for r in records(tmp_path) if isinstance(r, OrderRecord)}
        assert (last["left"].state, last["left"].reason) == ("cancelled", "its shadow venue ended with the worker")

    with exchange(config) as paper:
        asyncio.run(scenario(paper))


def test_a_row_that_the_journal_never_had_ends_by_the_repair_of_the_ledger_check(tmp_path: Path) -> None:
    """It was named by `ledger check --exchange`, each time, and stayed in `open_orders`."""
    config = settings(tmp_path, BTC)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await bench.quiet()
            orchestrator, context = bench.assembly.orchestrator, bench.assembly.context
            ended = resting(paper)[0]
            cancel(paper, ended)
            await as_on_the_exchange(bench, paper)
            # The database holds it for open; nobody here knows of it any more.
            [known, *_] = context.recorded
            context.recorder.record(replace(known, order_link_id=ended.link_id, order_id=ended.order_id))
            bench.assembly.recorder.flush()
            commands = Commands(
                "alice",
                [bench.runner()],
                context.requests,
                orchestrator.losses,
                orchestrator.money,
                context.recorded,
                orchestrator.flattening,
            )

            def compare() -> dict[str, ViewCheck]:
                write_all(tmp_path)
                [account] = config.accounts
                paces = Paces(config, tmp_path)
                return check_views(
                    config, [account], tmp_path, lambda of: connect_to(of, paper.url, paces), PATIENT, paces
                )

            found = await asyncio.to_thread(compare)
            assert [order.link_id for order in found["alice"].stale] == [ended.link_id]
            loop = asyncio.get_running_loop()

            def correct(account: str, args: dict[str, str]) -> str:
                done: asyncio.Future[str] = asyncio.run_coroutine_threadsafe(run(args), loop)  # type: ignore[assignment]
                return done.result()

            async def run(args: dict[str, str]) -> str:
                return str(commands.run("correct", args))

            views = await asyncio.to_thread(repair_orders, found, compare, correct, lambda text: None)
            assert views["alice"].lines == ()
        last = {r.order_link_id: r for r in records(tmp_path) if isinstance(r, OrderRecord)}
        assert last[ended.link_id].state == "cancelled"

    with exchange(config) as paper:
        asyncio.run(scenario(paper))
        assert view(tmp_path) == links(paper)
