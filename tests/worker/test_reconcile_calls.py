"""What the reconciler asks and tells, as calls: answers, strategies, records, and what fails alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.core import Direction, ExecType, ExecutionEvent, Side
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import OrderState
from gridbot.records.record_types import ExecutionRecord, ReconcileRecord
from tests.worker.account_bench import SYMBOL, position
from tests.worker.reconcile_bench import BUSY, Bench, D


async def test_an_execution_of_another_symbol_is_kept_under_no_strategy() -> None:
    bench = Bench()
    bench.queries.listed_executions = [ExecutionEvent("ETHUSDT", "e", "o", "", Side.BUY, D(1), D(1), fee=D(2))]
    assert (await bench.reconciler.run()).executions == 1
    [record] = bench.account.notes.of(ExecutionRecord)
    assert (record.strategy, record.source) == ("", "backfill")
    assert bench.account.context.ledger.of("").fees == 2


async def test_money_on_a_symbol_that_nobody_trades_is_kept_and_told() -> None:
    bench = Bench()
    row = ExecutionEvent("TSLAUSDT", "e", "", "", Side.BUY, D(0), D(3), fee=D(2), exec_type=ExecType.DIVIDEND)
    bench.queries.listed_executions = [row]
    for _ in range(2):
        await bench.reconciler.run()
    ledger = bench.account.context.ledger
    assert (ledger.of("").fees, ledger.leg("", Direction.LONG, "TSLAUSDT")[0]) == (2, 0)
    text = "TSLAUSDT: the exchange booked -2 USDT (Dividend)"
    assert bench.account.alarm.alerts == [("warning", "unusual.TSLAUSDT", text, "")]


async def test_an_order_of_ours_that_the_book_does_not_know_is_adopted() -> None:
    bench = Bench()
    await bench.place()
    fresh = Bench()
    fresh.queries.listed_orders = bench.queries.listed_orders
    report = await fresh.reconciler.run()
    assert report.adopted == len(fresh.account.orders) == len(bench.account.orders)
    assert {order.key for order in fresh.account.orders} == {order.key for order in bench.account.orders}


async def test_a_foreign_order_is_counted_and_reported() -> None:
    bench = Bench()
    await bench.place()
    foreign = replace(bench.queries.listed_orders[0], order_id="theirs", order_link_id="by-hand")
    bench.queries.listed_orders.append(foreign)
    report = await bench.reconciler.run()
    assert report.foreign_orders == 1
    assert bench.account.alarm.keys == ["foreign.BTCUSDT"]


async def test_a_failure_in_the_middle_is_recorded_and_what_was_applied_stays() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.queries.listed_executions = [bench.account.fill(first)]
    bench.queries.failures["open orders"] = [BUSY]
    with pytest.raises(ExchangeError):
        await bench.reconciler.reconcile("periodic")
    [record] = bench.account.notes.of(ReconcileRecord)
    assert (record.ok, record.reason) == (False, "periodic")
    assert "busy" in record.error
    assert first.state is OrderState.FILLED
    assert bench.reconciler.last_s is None
    await bench.reconciler.reconcile("periodic")
    assert [record.ok for record in bench.account.notes.of(ReconcileRecord)] == [False, True]
    counted = bench.account.context.tallies.document()
    assert counted["reconciles"] == {"failed": 1, "complete": 1}
    assert counted["differences"].keys() == {f"{what}_orders" for what in ("adopted", "looked_up", "foreign")} | {
        "missed_executions"
    }
    assert bench.reconciler.last_s == bench.account.clock.now_s


async def test_a_leg_that_our_executions_do_not_explain_is_taken_from_the_exchange() -> None:
    bench = Bench()
    bench.queries.listed_positions = [position(Direction.LONG, "2", "49000"), position(Direction.SHORT, "0", None)]
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.ledger.leg("btc", Direction.LONG) == (2, 49000)
    assert bench.account.runner.risk_state.legs[Direction.LONG].size == 2


async def test_a_hand_trade_elsewhere_is_recorded_although_our_own_fills_go_on() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    start_ms = bench.account.clock.wall_ms()
    elsewhere = ExecutionEvent("ETHUSDT", "e", "o", "", Side.BUY, D(1), D(1), exchange_ts=start_ms)
    own = bench.account.fill(first, "own", exchange_ts=start_ms + 100_000)
    bench.account.runner.on_execution(own)
    bench.queries.listed_executions = [elsewhere, own]
    await bench.made_anew().run()  # as after a restart: the ledger is what is left
    assert [record.strategy for record in bench.account.notes.of(ExecutionRecord)] == ["btc", ""]


async def test_a_strategy_that_breaks_on_a_row_is_halted_and_the_pass_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.queries.listed_executions = [bench.account.fill(first)]

    def broken(*args: object, **more: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(bench.account.runner, "on_execution", broken)
    report = await bench.reconciler.run()
    assert report.executions == 1
    assert bench.account.runner.risk_state.halted
    assert bench.account.alarm.keys == ["halt.BTCUSDT"]
    assert bench.wallets == ["rest"]


async def test_an_answer_that_cannot_be_read_breaks_the_pass_off_with_an_alert() -> None:
    bench = Bench()
    bench.queries.failures["open orders"] = [ZeroDivisionError("ours")]
    with pytest.raises(ZeroDivisionError):
        await bench.reconciler.run()
    assert bench.account.alarm.keys == ["fault"]
    await bench.reconciler.run()
