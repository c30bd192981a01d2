"""An order of the version before (a1c99c4) that a hand moved while we were down: ours, as our records know its id.

Its id is derived from the price of then, so the price of now makes it look foreign (issue 11).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.former_ids import hash_of
from gridbot.records.record_types import IntentRecord
from tests.execution.support import settle
from tests.records.test_open_orders import order as recorded
from tests.worker.account_bench import BTC, PRICE, SYMBOL, AccountBench, take_reconcile, ticker
from tests.worker.reconcile_bench import Bench

D = Decimal
THEN, NOW = D(49_500), D("45000.5")
LINK = f"{hash_of('btc', SYMBOL, Side.BUY, BTC.ticks(THEN), Direction.LONG)}-midc1z40"
ROW = OrderUpdateEvent(SYMBOL, "x1", LINK, Side.BUY, Direction.LONG, NOW, D("0.002"), OrderStatus.NEW, exchange_ts=5)
FILL = ExecutionEvent(SYMBOL, "e1", "x1", LINK, Side.BUY, NOW, D("0.002"), order_price=NOW, exchange_ts=6)
KNOWN = replace(recorded(LINK, order_id="x1"), strategy="btc", price=THEN)


async def test_it_is_adopted_and_cancelled_with_its_reason_when_it_fits_no_level() -> None:
    bench = Bench()
    account = bench.account
    account.context.recorded.take(KNOWN)
    await bench.place()
    bench.queries.listed_orders.append(ROW)
    report = await bench.reconciler.run()
    assert (report.adopted, report.foreign_orders) == (1, 0)
    account.runner.on_ticker(ticker(PRICE, ts=9))
    await settle()
    reasons = {record.order_link_id: record.reason for record in account.notes.of(IntentRecord)}
    assert reasons[LINK] == "outside_grid"
    assert any("cancel" in endpoint and LINK in links for endpoint, links in account.gateway.sent)
    assert account.alarm.keys == []


@pytest.mark.parametrize("is_known", [True, False])
def test_by_stream_it_is_verified_and_told_of_as_foreign_only_when_no_record_knows_it(*, is_known: bool) -> None:
    bench = AccountBench()
    bench.start()
    if is_known:
        bench.context.recorded.take(KNOWN)
    bench.runner.on_order_update(ROW)
    assert bench.alarm.keys == ([] if is_known else ["foreign.BTCUSDT"])
    assert bool(take_reconcile(bench.requests)) is is_known


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_caught_up", [True, False])
async def test_its_fill_moves_the_grid_when_a_record_knows_it(*, is_known: bool, is_caught_up: bool) -> None:
    bench = AccountBench()
    bench.start()
    if is_known:
        bench.context.recorded.take(KNOWN)
    bench.runner.on_ticker(ticker())
    await settle()
    if is_caught_up:
        bench.runner.catch_up([FILL])
    else:
        bench.runner.on_execution(FILL)
    assert (bench.runner.engine.state().to_dict()["last_fill"] == str(NOW)) is is_known
