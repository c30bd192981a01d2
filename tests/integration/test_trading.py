"""The way of an order through a whole worker: placed, filled, taken up again after a restart, withdrawn."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path

from gridbot.core import Direction, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.exchange.requests import OrderAck, OrderRequest
from gridbot.orders.book import OrderBook
from gridbot.orders.order import OrderState
from gridbot.records.record_types import IntentRecord, OrderRecord, RunRecord
from gridbot.worker.shutdown import cancel_everything, flatten
from tests.integration.worker_bench import (
    BTC,
    account_of,
    ever,
    exchange,
    executions,
    records,
    resting,
    settings,
    trading,
)
from tests.worker.account_bench import grid_of

D = Decimal


def closes(book: OrderBook) -> bool:
    """Whether an order that closes is among the live ones."""
    return any(order.reduce_only for order in book)


def test_a_ladder_is_placed_once_and_each_step_is_recorded(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                orders = resting(paper)
                # 5 levels on each side of the price; without a position only the opening half of each pair rests
                assert Counter(o.side for o in orders) == {Side.BUY: 5, Side.SELL: 5}
                assert all(o.request.time_in_force == "PostOnly" and not o.request.reduce_only for o in orders)
                assert len({(o.side, o.price) for o in orders}) == 10
                assert {o.link_id for o in orders} == {o.link_id for o in bench.runner().book}
                paper.set_price("BTCUSDT", "50001")
                await bench.until(lambda: bench.runner().risk_state.last_price == D(50001))
                assert ever(paper) == 10

    asyncio.run(run())
    steps = [r for r in records(tmp_path) if isinstance(r, OrderRecord)]
    assert Counter(r.state for r in steps) == {"pending": 10, "open": 10}
    intents = [r for r in records(tmp_path) if isinstance(r, IntentRecord)]
    assert {r.verdict for r in intents} == {"sent"}
    assert [r.event for r in records(tmp_path) if isinstance(r, RunRecord)] == ["start", "end"]


def test_a_fill_moves_the_grid_and_opens_the_way_back(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                runner = bench.runner()
                paper.set_price("BTCUSDT", "49890")  # through the first Buy at 49900
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.01"), "the long position")
                paper.set_price("BTCUSDT", "49950")
                await bench.until(partial(closes, runner.book), "a closing order")
                await bench.quiet()
                assert grid_of(runner).last_fill == D(49900)
                assert not any(o.ticks == 499000 for o in runner.book), "the level of the last fill waits"
                [close] = [o for o in runner.book if o.reduce_only]
                assert (close.side, close.direction, close.qty) == (Side.SELL, Direction.LONG, D("0.01"))
                paper.set_price("BTCUSDT", str(close.price + 10))
                await bench.until(lambda: bench.size(Direction.LONG) == 0, "the position closed")
                totals = bench.assembly.context.ledger.of("btc")
                await bench.until(lambda: totals.realised == (close.price - D(49900)) * D("0.01"), "the profit")

    asyncio.run(run())
    fills = executions(tmp_path)
    assert len({f.exec_id for f in fills}) == len(fills)
    assert fills[0].direction == "long"


def test_a_restart_adopts_every_order_and_doubles_none(tmp_path: Path) -> None:
    """incident L2, incident L29: no order is doubled over a restart."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                grid = grid_of(bench.runner())
                before = {o.link_id for o in resting(paper)}
            for crash in (True, False):
                async with trading(config, paper, crash=crash) as bench:
                    await bench.quiet()
                    paper.set_price("BTCUSDT", "50002" if crash else "50003")
                    await bench.until(lambda: bench.runner().risk_state.last_price in (D(50002), D(50003)))
                    await bench.quiet()
                    assert {o.link_id for o in bench.runner().book} == before
                    assert grid_of(bench.runner()) == grid
            assert {o.link_id for o in resting(paper)} == before
            assert ever(paper) == 10

    asyncio.run(run())
    events = [(r.event, r.about_run_id) for r in records(tmp_path) if isinstance(r, RunRecord)]
    assert [event for event, _ in events] == ["start", "end", "start", "crashed", "start", "end"]
    assert events[3][1] == events[2][1], "the crashed run is the one that never ended"


def test_a_fill_while_nobody_watched_reaches_grid_and_ledger_once(tmp_path: Path) -> None:
    """incident L18: what was filled in the gap moves the grid before its order can be taken for cancelled."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper, crash=True) as bench:
                await bench.quiet()
            paper.set_price("BTCUSDT", "49890")
            paper.set_price("BTCUSDT", "49950")
            for _ in range(2):
                async with trading(config, paper) as bench:
                    runner = bench.runner()
                    assert bench.assembly.context.ledger.of("btc").fills == 1
                    assert bench.size(Direction.LONG) == D("0.01")
                    book = runner.book
                    await bench.until(partial(closes, book), "a closing order")
                    await bench.quiet()
                    assert grid_of(runner).last_fill == D(49900)
                    assert not any(o.side is Side.BUY and o.ticks == 499000 for o in book)

    asyncio.run(run())
    [fill] = executions(tmp_path)
    assert (fill.price, fill.source) == (D(49900), "backfill")


def test_a_lost_reply_leaves_one_order(tmp_path: Path) -> None:
    """incident L2: the exchange took the order and the answer was lost; it used to be sent again under a new id."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                orders = bench.assembly.gateway
                really, lost = orders.place_order, []

                async def forgetful(order: OrderRequest) -> OrderAck:
                    ack = await really(order)
                    if lost:
                        return ack
                    lost.append(order.order_link_id)
                    raise ExchangeError("timed out", kind=ErrorKind.AMBIGUOUS, outcome=Outcome.UNKNOWN)

                orders.place_order = forgetful  # type: ignore[method-assign]
                victim = next(o for o in bench.runner().book if o.side is Side.BUY)
                bench.runner().orders.cancel(victim.key, "test")
                bench.assembly.context.executor.pump()
                await bench.until(lambda: victim.state is OrderState.CANCELLED)
                paper.set_price("BTCUSDT", "50001")
                await bench.until(lambda: lost, "the lost reply")
                await bench.quiet()
                assert [o.link_id for o in resting(paper) if o.price == victim.price] == lost
                assert len(resting(paper)) == 10

    asyncio.run(run())


def test_a_request_that_never_arrived_goes_again_under_the_same_id(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                orders = bench.assembly.gateway
                really, tried = orders.place_order, []

                async def refuse_once(order: OrderRequest) -> OrderAck:
                    tried.append(order.order_link_id)
                    if len(tried) == 1:
                        raise ExchangeError("connection reset", kind=ErrorKind.AMBIGUOUS, outcome=Outcome.UNKNOWN)
                    return await really(order)

                orders.place_order = refuse_once  # type: ignore[method-assign]
                victim = next(o for o in bench.runner().book if o.side is Side.BUY)
                bench.runner().orders.cancel(victim.key, "test")
                bench.assembly.context.executor.pump()
                await bench.until(lambda: victim.state is OrderState.CANCELLED)
                paper.set_price("BTCUSDT", "50001")
                await bench.until(lambda: len(tried) == 2, "the second try")
                await bench.quiet()
                assert len(set(tried)) == 1
                assert len(resting(paper)) == 10

    asyncio.run(run())


def test_an_order_that_vanished_is_asked_for_and_placed_again(tmp_path: Path) -> None:
    """Cancelled on the exchange without a word on the stream: found by the sweep, its level is free again."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()

                def cancel_silently() -> str:
                    account = account_of(paper)
                    order = next(iter(account.open.values()))
                    paper.server.exchange.cancel(account, order, paper.server.now_ms())
                    paper.server.exchange.outbox.take()  # nobody is told
                    return order.link_id

                gone = paper.call(cancel_silently)
                for order in bench.runner().book:
                    order.sent_ms = 0  # long ago
                report = await bench.assembly.orchestrator.reconciler.run()
                assert report.looked_up == 1
                found = bench.runner().book.get(gone)
                assert found is not None
                assert found.state is OrderState.CANCELLED
                paper.set_price("BTCUSDT", "50001")
                await bench.until(lambda: len(bench.runner().book) == 10, "the level placed again")
                await bench.quiet()
                assert gone not in {o.link_id for o in resting(paper)}

    asyncio.run(run())


def test_a_manual_order_is_left_alone_and_reported(tmp_path: Path) -> None:
    """incident L6: foreign orders are listed, never touched."""
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                rest = bench.assembly.rest
                by_hand = OrderRequest(
                    "BTCUSDT", Side.BUY, Direction.LONG, D("0.01"), D(45000), "my-own-order", reduce_only=False
                )
                await rest.orders.place_order(by_hand)
                await bench.until(lambda: any(key == "foreign.BTCUSDT" for _, key, _ in bench.alerts), "the alert")
                await bench.assembly.orchestrator.reconciler.run()
                await cancel_everything(bench.assembly.orchestrator, 10)
                assert [o.link_id for o in resting(paper)] == ["my-own-order"]

    asyncio.run(run())


def test_flatten_leaves_neither_orders_nor_positions(tmp_path: Path) -> None:
    config = settings(tmp_path)

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
                paper.set_price("BTCUSDT", "50110")
                await bench.until(lambda: bench.size(Direction.SHORT) > 0)
                assert await cancel_everything(bench.assembly.orchestrator, 10) == []
                assert resting(paper) == []
                assert await flatten(bench.assembly.orchestrator, 10) == []
                assert all(leg.size == 0 for leg in paper.call(lambda: list(account_of(paper).legs.values())))

    asyncio.run(run())


def test_a_shadow_strategy_decides_and_sends_nothing(tmp_path: Path) -> None:
    config = settings(tmp_path, {**BTC, "shadow_mode": True})

    async def run() -> None:
        with exchange(config) as paper:
            async with trading(config, paper) as bench:
                runner = bench.runner()
                await bench.until(lambda: len(runner.book) == 10, "the hypothetical ladder")
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) == D("0.01"), "the hypothetical position")
                assert bench.assembly.context.ledger.of("btc").fills == 1
                assert ever(paper) == 0
            async with trading(config, paper) as bench:
                assert bench.assembly.context.ledger.of("btc").fills == 1
                paper.set_price("BTCUSDT", "49880")
                await bench.until(lambda: len(bench.runner().book) > 0)
                await bench.until(lambda: bench.size(Direction.LONG) >= D("0.01"), "the position of the earlier run")

    asyncio.run(run())
    assert executions(tmp_path)[0].shadow
    assert {r.verdict for r in records(tmp_path) if isinstance(r, IntentRecord)} <= {"shadow", "refused"}


def test_a_position_from_before_is_taken_over_with_its_entry(tmp_path: Path) -> None:
    """Realised PnL of the first close needs the entry that the exchange remembers, not ours."""
    first, second = settings(tmp_path / "one"), settings(tmp_path / "two")

    async def run() -> None:
        with exchange(first) as paper:
            async with trading(first, paper) as bench:
                await bench.quiet()
                paper.set_price("BTCUSDT", "49890")
                await bench.until(lambda: bench.size(Direction.LONG) > 0)
            async with trading(second, paper) as bench:  # another installation: no ledger, no grid
                assert bench.assembly.context.ledger.leg("btc", Direction.LONG) == (D("0.01"), D(49900))
                await bench.quiet()  # the first grid's orders are withdrawn, the second one's rest
                paper.set_price("BTCUSDT", "49891")
                await bench.until(partial(closes, bench.runner().book), "a closing order")
                await bench.quiet()
                close = max((o for o in bench.runner().book if o.reduce_only), key=lambda o: o.price)
                paper.set_price("BTCUSDT", str(close.price + 10))
                totals = bench.assembly.context.ledger.of("btc")
                await bench.until(lambda: totals.realised == (close.price - D(49900)) * D("0.01"), "the profit")

    asyncio.run(run())
