"""A restart after the exchange has changed the size of a tick: the old ladder is ours, and no second one comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import OrderStatus, OrderUpdateEvent
from gridbot.orders.reconcile import Plan, compare
from gridbot.records.record_types import IntentRecord
from tests.execution.support import settle
from tests.worker.account_bench import BTC, AccountBench, strategy, ticker

D = Decimal
PRICE = D("0.5123")


def account(tick: str, **more: Any) -> AccountBench:
    """A coin of half a dollar under this tick size, with a grid of twelve steps of 0.25 %."""
    rules = replace(BTC, tick_size=D(tick), qty_step=D(1), min_order_qty=D(1), max_order_qty=D(100_000))
    keys = {"grid_count": 12, "grid_step": 0.25, "amount": "q100", **more}
    bench = AccountBench(config=strategy(**keys), instrument=rules)
    bench.start()
    return bench


async def old_ladder() -> list[OrderUpdateEvent]:
    """Eleven orders that rest, made under a tick of 0.0001."""
    bench = account("0.0001")
    bench.runner.on_ticker(ticker(PRICE))
    await settle()
    assert len(bench.orders) >= 11
    return [bench.update(order, OrderStatus.NEW) for order in bench.orders][:11]


def restart(bench: AccountBench, rows: list[OrderUpdateEvent]) -> Plan:
    """The first comparison of a new life, carried out."""
    runner = bench.runner
    plan = compare(
        runner.book,
        rows,
        owner=runner.orders.owner,
        instrument=bench.instrument,
        asked_ms=10_000,
        cancels={},
        recorded=bench.context.recorded.by_key,
    )
    for row in plan.adopt:
        runner.orders.adopt(row, "reconcile")
    return plan


@pytest.mark.parametrize("tick", ["0.0005", "0.00001", "0.0002", "0.001", "0.0001"])
async def test_eleven_orders_over_a_change_of_the_tick_size(tick: str) -> None:
    """None is foreign, none is doubled, each rests or is cancelled with a reason; then the ladder is whole."""
    rows = await old_ladder()
    bench = account(tick)
    book = bench.runner.book
    plan = restart(bench, rows)
    assert (len(plan.adopt), plan.foreign) == (11, ())
    for ts in range(5):
        bench.runner.on_ticker(ticker(PRICE))
        await settle()
        levels = Counter((order.direction, order.ticks) for order in bench.orders)
        made = [order for order in bench.orders if order.link_id not in {row.order_link_id for row in rows}]
        assert all(levels[order.direction, order.ticks] == 1 for order in made), "a level with an old order has no new"
        for order in bench.orders:
            leaves = order.withdrawn and order.on_wire
            status = OrderStatus.CANCELLED if leaves else OrderStatus.NEW
            bench.runner.on_order_update(bench.update(order, status, exchange_ts=10 + ts))
    assert not any(order.withdrawn for order in bench.orders)
    assert all(bench.instrument.price(order.ticks) == order.price for order in bench.orders)
    fresh = account(tick)
    fresh.runner.on_ticker(ticker(PRICE))
    assert terms(bench) == terms(fresh), "the ladder of somebody who begins today"
    assert len(book.limit_orders.long) + len(book.limit_orders.short) == len(bench.orders)
    await settle()


def terms(bench: AccountBench) -> set[tuple[object, ...]]:
    return {(order.direction, order.side, order.price) for order in bench.orders}


async def test_what_fits_no_level_counts_and_says_why_it_goes() -> None:
    rows = await old_ladder()
    bench = account("0.0005")
    restart(bench, rows)
    off_tick = [row for row in rows if row.price % D("0.0005")]
    assert off_tick
    assert len(bench.runner.book) == 11
    assert bench.runner.book.opening_notional() == sum(row.price * row.qty for row in rows)
    reasons = {record.order_link_id: record.reason for record in bench.notes.of(IntentRecord)}
    assert reasons == {row.order_link_id: "its price is no level under today's tick size" for row in off_tick}
    bench.runner.orders.pump()
    await settle()
    sent = [link for endpoint, links in bench.gateway.sent if "cancel" in endpoint for link in links]
    assert sorted(sent) == sorted(row.order_link_id for row in off_tick)


async def test_a_fill_of_an_order_that_is_on_its_way_out_moves_leg_ledger_and_grid() -> None:
    rows = await old_ladder()
    bench = account("0.0005")
    restart(bench, rows)
    bench.runner.on_ticker(ticker(PRICE))
    [order, *_] = [order for order in bench.orders if order.withdrawn]
    bench.runner.on_execution(bench.fill(order))
    ledger = bench.context.ledger
    assert ledger.leg("btc", order.direction) == (order.qty, order.price)
    assert ledger.of("btc").fills == 1
    assert bench.runner.engine.state().to_dict()["last_fill"] == str(order.price)
    await settle()
