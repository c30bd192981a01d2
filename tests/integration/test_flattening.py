"""A whole worker cancels and closes on the paper exchange: flat by REST, also over a death in the middle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pybit.unified_trading import HTTP

from gridbot.core import Direction
from gridbot.flatten.flatten_words import Terms, Wanted
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.records.record_types import OrderRecord
from gridbot.risk.holds import Who
from gridbot.worker.commands import Commands
from tests.integration.worker_bench import (
    BTC,
    WorkerBench,
    account_of,
    exchange,
    executions,
    records,
    resting,
    settings,
    trading,
)

D = Decimal
ETH = {**BTC, "strat_id": "eth", "symbol": "ETHUSDT", "tick_size": "0.01", "amount": "q0.1"}
FLAT = "flat, confirmed by REST"


def commands_of(bench: WorkerBench) -> Commands:
    orchestrator, context = bench.assembly.orchestrator, bench.assembly.context
    return Commands(
        "alice",
        list(orchestrator.runners.values()),
        context.requests,
        orchestrator.losses,
        orchestrator.money,
        context.recorded,
        orchestrator.flattening,
        orchestrator.refused,
    )


async def say(bench: WorkerBench, name: str, **args: Any) -> tuple[bool, str]:
    result = commands_of(bench).run(name, args)
    assert isinstance(result, asyncio.Future)
    return await result


def legs(paper: PaperThread) -> dict[tuple[str, int], Decimal]:
    return paper.call(lambda: {name: leg.size for name, leg in account_of(paper).legs.items() if leg.size})


async def with_legs(bench: WorkerBench, paper: PaperThread) -> None:
    """Both legs of BTCUSDT hold something, and a ladder rests around them."""
    await bench.quiet()
    paper.set_price("BTCUSDT", "49890")
    await bench.until(lambda: bench.size(Direction.LONG) == D("0.01"), "the long leg")
    paper.set_price("BTCUSDT", "50110")
    await bench.until(lambda: bench.size(Direction.SHORT) > 0, "the short leg")
    await bench.quiet()


def run(config: Any, scenario: Callable[[PaperThread], Any], **paper: Any) -> None:
    with exchange(config, **paper) as thread:
        asyncio.run(scenario(thread))


def test_a_cancel_that_leaves_running_is_not_fought_by_its_own_strategy(tmp_path: Path) -> None:
    """It went on placing while the list had to show nothing: 79 orders were cancelled, by the dozen."""
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await bench.quiet()
            before = {order.order_id for order in resting(paper)}
            slow = FaultConfig(kind="delay", endpoint="/v5/order/realtime", times=0, delay_ms=200)
            await asyncio.to_thread(paper.call, lambda: paper.server.faults.add(slow))
            cancelling = asyncio.ensure_future(say(bench, "cancel", leave_running=True))
            price = 50000
            while not cancelling.done():
                price += 1
                await asyncio.to_thread(paper.set_price, "BTCUSDT", str(price))
            done, text = await cancelling
            assert (done, "nothing rests" in text) == (True, True), text
            paper.call(paper.server.faults.plan.clear)
            await bench.until(lambda: bench.runner().risk_state.ready)
            await asyncio.to_thread(paper.set_price, "BTCUSDT", str(price + 1))
            await bench.until(lambda: resting(paper), "what it wants, placed anew")
            rows = [row for row in records(tmp_path) if isinstance(row, OrderRecord)]
            cancelled = {row.order_id for row in rows if row.state == "cancelled"}
            assert cancelled == before, "and nothing was placed meanwhile"

    run(config, scenario)


def test_kill_ends_flat_and_stays_latched_over_a_death_until_the_account_is_resumed(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await with_legs(bench, paper)
            done, text = await say(bench, "kill", reason="the key leaked")
            assert done, text
            assert text.startswith(FLAT)
            assert (legs(paper), resting(paper)) == ({}, [])
            gate = bench.assembly.context.gate
            assert gate.latched == "killed by the operator: the key leaked"
            paper.set_price("BTCUSDT", "50000")
            await bench.until(lambda: bench.runner().risk_state.last_price == D(50000))
        async with trading(config, paper) as bench:
            assert bench.assembly.context.gate.latched == "killed by the operator: the key leaked"
            paper.set_price("BTCUSDT", "50001")
            await bench.until(lambda: bench.runner().risk_state.last_price == D(50001))
            assert resting(paper) == []
            totals = bench.assembly.context.ledger
            assert all(totals.leg("btc", direction)[0] == 0 for direction in Direction)
            recorded = bench.assembly.context.recorded
            await bench.until(lambda: not recorded.by_key, "the ends of the closes, asked for by their ids")
            commands_of(bench).run("resume", {})
            paper.set_price("BTCUSDT", "50002")
            await bench.quiet()
            assert len(resting(paper)) >= 9

    run(config, scenario)
    closes = [one for one in records(tmp_path) if isinstance(one, OrderRecord) and one.reason.startswith("flatten:")]
    assert Counter(one.direction for one in closes) == {"long": 1, "short": 1}
    assert {one.strategy for one in executions(tmp_path)} == {"btc"}
    ends = {r.order_link_id: r.state for r in records(tmp_path) if isinstance(r, OrderRecord)}
    assert {ends[one.order_link_id] for one in closes} == {"filled"}


def by_hand(config: Any, paper: PaperThread) -> None:
    """The owner buys ETHUSDT in one-way mode, which no strategy trades, and has an order there."""
    keys = config.account("alice")
    session = HTTP(api_key=keys.api_key.get_secret_value(), api_secret=keys.api_secret.get_secret_value())
    session.endpoint = paper.url
    order = {"category": "linear", "symbol": "ETHUSDT", "side": "Buy", "qty": "0.3", "positionIdx": 0}
    session.place_order(**order, orderType="Market")
    session.place_order(**order, orderType="Limit", price="2000")


def test_what_the_owner_has_on_other_symbols_is_told_and_goes_when_that_is_asked_for(tmp_path: Path) -> None:
    """It stayed open after `flatten alice`, and nothing said so; a position in one-way mode was not even seen."""
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await with_legs(bench, paper)
            by_hand(config, paper)
            done, text = await say(bench, "flatten")
            assert (done, text[:23]) == (True, FLAT)
            assert text.endswith("trades it: 0.30 long of ETHUSDT, 1 order of ETHUSDT (--foreign takes it, too)")
            assert legs(paper) == {("ETHUSDT", 0): D("0.3")}
            done, text = await say(bench, "flatten", strategy="btc")
            assert (done, "ETHUSDT" in text) == (True, False), text
            done, text = await say(bench, "cancel", foreign=True)
            assert (done, resting(paper)) == (True, []), text
            done, text = await say(bench, "kill", foreign=True)
            assert done, text
            assert text.startswith(f"{FLAT}: closed 0.30 long of ETHUSDT")
            assert legs(paper) == {}

    run(config, scenario)
    assert {one.symbol for one in records(tmp_path) if isinstance(one, OrderRecord)} == {"BTCUSDT"}


def test_during_a_ban_of_http_orders_and_legs_go_by_the_trade_socket(tmp_path: Path) -> None:
    """They stayed for the ten minutes of a 403, which is about HTTP alone; that they are gone REST confirms later."""
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await with_legs(bench, paper)
            await bench.until(lambda: not bench.assembly.gateway.by_http, "the trade socket")
            paper.call(paper.server.faults.add, FaultConfig.model_validate({"kind": "ip_ban", "for_s": 600}))
            done, text = await say(bench, "flatten")
            assert (done, legs(paper), resting(paper)) == (False, {}, []), text
            assert text.startswith("NOT flat: "), text
            assert text.endswith("it goes on")
            assert "s more; by the streams all legs are closed, which REST confirms then" in text
            assert bench.assembly.orchestrator.flattening.busy

    run(config, scenario)


def test_flatten_of_one_strategy_leaves_the_other_trading_and_pauses_its_own(tmp_path: Path) -> None:
    config = settings(tmp_path, BTC, ETH)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await bench.quiet("ETHUSDT")
            await with_legs(bench, paper)
            others = {order.link_id for order in resting(paper) if order.symbol == "ETHUSDT"}
            done, text = await say(bench, "flatten", strategy="btc")
            assert done, text
            assert legs(paper) == {}
            assert {order.link_id for order in resting(paper)} == others
            assert bench.runner().risk_state.paused
            assert not bench.runner("ETHUSDT").risk_state.is_held
            assert bench.assembly.context.gate.latched == ""
            assert not bench.assembly.orchestrator.flattening.busy

    run(config, scenario)


def test_a_large_leg_goes_at_the_market_in_pieces(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        market = paper.server.exchange.markets["BTCUSDT"]
        listing = replace(market.listing, max_market_qty=D("0.004"))
        paper.call(lambda: setattr(market, "listing", listing))
        async with trading(config, paper) as bench:
            await with_legs(bench, paper)
            bench.runner().pause()
            done, text = await bench.assembly.orchestrator.flattening.begin(
                Wanted({"BTCUSDT": True}, Terms(market_after_s=0.0)), "a test"
            )
            assert done, text
            assert (legs(paper), resting(paper)) == ({}, [])
            made = [one.request for one in paper.call(lambda: list(account_of(paper).closed.values()))]
            closes = [one for one in made if one.price is None]
            assert all(one.reduce_only and one.time_in_force == "IOC" for one in closes)
            assert Counter((one.position_idx, one.qty) for one in closes) == {
                (idx, qty): count for idx in (1, 2) for qty, count in ((D("0.004"), 2), (D("0.002"), 1))
            }

    run(config, scenario)


def test_what_a_death_breaks_off_the_next_life_goes_on_with(tmp_path: Path) -> None:
    """The worker dies before the first answer; the next one of the account ends flat."""
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper, crash=True) as bench:
            await with_legs(bench, paper)
            bench.runner().pause()
            flattening = bench.assembly.orchestrator.flattening
            flattening.latch("a limit", Who.LOSS_LIMIT)
            told = flattening.begin(Wanted({"BTCUSDT": True}), "a limit")
            assert flattening.busy == {"BTCUSDT": True}
        assert (await told)[0] is False
        async with trading(config, paper) as bench:
            flattening = bench.assembly.orchestrator.flattening
            await bench.until(lambda: not flattening.busy, "the end of what was begun")
            assert (legs(paper), resting(paper)) == ({}, [])
            assert bench.assembly.context.gate.latched == "a limit"
            assert bench.runner().risk_state.paused
            await bench.until(lambda: not bench.size(Direction.LONG) and not bench.size(Direction.SHORT))

    run(config, scenario)


def test_cancel_confirms_that_nothing_rests_and_leaves_the_legs(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await with_legs(bench, paper)
            before = legs(paper)
            done, text = await say(bench, "cancel")
            assert done
            assert text.startswith("nothing rests, confirmed by REST")
            assert (legs(paper), resting(paper)) == (before, [])
            assert bench.runner().risk_state.paused

    run(config, scenario)


@pytest.mark.parametrize("name", ["flatten", "cancel"])
def test_two_that_are_asked_for_at_once_are_one(tmp_path: Path, name: str) -> None:
    config = settings(tmp_path)

    async def scenario(paper: PaperThread) -> None:
        async with trading(config, paper) as bench:
            await with_legs(bench, paper)
            first, second = await asyncio.gather(say(bench, name), say(bench, "flatten"))
            assert first == second
            assert first[0], first[1]
            assert (legs(paper), resting(paper)) == ({}, [])

    run(config, scenario)
