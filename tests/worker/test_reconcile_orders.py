"""Single orders that do not fit: contradicted ends, cancels without effect, look-ups, missing executions."""

from __future__ import annotations

import pytest

from gridbot.core import OrderStatus
from gridbot.exchange.requests import OrderAck
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import result_of_cancel
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S
from gridbot.orders.reconcile_turn import FIRST_WAIT_S
from gridbot.orders.retry import MAX_TRIES
from tests.execution.support import settle
from tests.worker.reconcile_bench import BUSY, Bench

# ---------------------------------------------------------------------- final, yet listed


async def test_one_stale_answer_does_not_end_an_order_for_good() -> None:
    """It is missing in one listing and unknown in one answer; the next listing has it."""
    bench = Bench()
    [first, *_] = await bench.place()
    listed, bench.queries.listed_orders = bench.queries.listed_orders, bench.queries.listed_orders[1:]
    await bench.reconciler.run()
    assert first.state is OrderState.CANCELLED
    bench.queries.listed_orders = listed
    bench.queries.found[first.link_id] = listed[0]
    await bench.reconciler.run()
    assert first.state is OrderState.OPEN
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    assert bench.account.alarm.keys == ["revived.BTCUSDT"]


async def test_a_stale_listing_does_not_revive_what_the_exchange_said_is_over() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.on_order_update(bench.account.update(first, OrderStatus.CANCELLED, exchange_ts=5))
    await bench.reconciler.run()
    assert first.state is OrderState.CANCELLED
    assert "order" not in bench.queries.asked


async def test_a_listing_of_the_same_millisecond_is_checked_by_a_question() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    over = bench.account.update(first, OrderStatus.CANCELLED, exchange_ts=bench.queries.listed_orders[0].exchange_ts)
    bench.account.runner.on_order_update(over)
    bench.queries.found[first.link_id] = over
    await bench.reconciler.run()
    assert first.state is OrderState.CANCELLED
    assert bench.queries.asked.count("order") == 1


# ---------------------------------------------------------------------- a cancel without effect


async def _cancelled(bench: Bench) -> TrackedOrder:
    """An order whose cancel the exchange has accepted; it still rests, and the stream tells nothing."""
    [first, *_] = await bench.place()
    bench.account.runner.orders.cancel(first.key, "outside_grid")
    bench.account.runner.orders.pump()
    await settle()
    assert first.is_cancel_answered
    bench.account.gateway.log.clear()
    return first


async def test_a_cancel_that_had_no_effect_is_sent_again_by_a_listing_alone() -> None:
    """It stayed withdrawn and resting until somebody looked it up, and nobody did."""
    bench = Bench()
    first = await _cancelled(bench)
    for _ in range(MAX_TRIES):
        await bench.reconciler.run()
        bench.account.runner.orders.pump()  # as each second does
        await settle()
    assert bench.account.gateway.sent == [("order/cancel", [first.link_id])] * MAX_TRIES
    assert "order" not in bench.queries.asked
    await bench.reconciler.run()
    assert (first.state, first.withdrawn) == (OrderState.OPEN, ""), "its tries are used up: who wants may ask again"


async def test_a_listing_asked_for_before_the_cancel_was_answered_repeats_no_cancel() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    orders, gateway = bench.account.runner.orders, bench.account.gateway
    gateway.log.clear()
    gateway.is_silent = True
    orders.cancel(first.key, "outside_grid")
    orders.pump()
    await settle()
    accepted = result_of_cancel(OrderAck(first.order_id, first.link_id))
    bench.queries.on_asked["open orders"] = lambda: orders._steps.cancelled(first, accepted)
    await bench.reconciler.run()
    assert first.is_cancel_answered
    gateway.is_silent = False
    await settle()
    assert gateway.sent == [("order/cancel", [first.link_id])]


# ---------------------------------------------------------------------- look-ups


async def test_a_look_up_waits_a_moment_and_goes_on_until_the_exchange_answers() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.book.lose_reply(first.key, "timed out")
    bench.queries.found[first.link_id] = bench.account.update(first, OrderStatus.NEW, exchange_ts=5)
    bench.queries.failures["order"] = [BUSY, BUSY]
    times: list[float] = []
    bench.queries.on_asked["order"] = lambda: times.append(bench.account.clock.now_s)
    started_s = bench.account.clock.now_s
    for _ in range(3):
        bench.reconciler.look_up(first)
    await bench.account.clock.advance(60)
    assert [at_s - started_s for at_s in times] == pytest.approx([1, 3, 7]), "one look-up at a time for an order"
    assert first.state is OrderState.OPEN
    assert bench.account.clock.timers == []


async def test_an_order_that_ended_meanwhile_is_not_looked_up() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.on_order_update(bench.account.update(first, OrderStatus.CANCELLED, exchange_ts=5))
    bench.reconciler.look_up(first)
    await bench.account.clock.advance(60)
    assert bench.queries.asked == []


async def test_no_such_order_is_no_answer_when_the_order_has_been_heard_of_since() -> None:
    """The exchange takes a lost request in at last, while the question after it is on its way."""
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.book.lose_reply(first.key, "timed out")
    appears = bench.account.update(first, OrderStatus.NEW, exchange_ts=5)
    bench.queries.on_asked["order"] = lambda: bench.account.runner.on_order_update(appears)
    bench.reconciler.look_up(first)
    await bench.account.clock.advance(FIRST_WAIT_S)
    assert first.state is OrderState.OPEN
    bench.queries.found[first.link_id] = appears
    await bench.account.clock.advance(30)
    assert first.state is OrderState.OPEN


# ---------------------------------------------------------------------- missing executions


def _filled(bench: Bench, order: TrackedOrder) -> None:
    filled = bench.account.update(order, OrderStatus.FILLED, cum_exec_qty=order.qty, exchange_ts=5)
    bench.account.runner.on_order_update(filled)


async def each_second(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        await bench.account.clock.advance(1)
        bench.reconciler.again()


async def test_executions_that_never_come_are_given_up_after_a_minute_with_an_alert() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    half = bench.account.fill(first, qty=first.qty / 2, leaves_qty=first.qty / 2)
    bench.account.runner.on_execution(half)
    bench.queries.executions_by_order[first.link_id] = [half]
    _filled(bench, first)
    assert not bench.reconciler.again(), "they may be on their way"
    await bench.account.clock.advance(FIRST_WAIT_S + 0.1)
    assert bench.reconciler.again()
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    await each_second(bench, round(SETTLE_AFTER_S) + 5)
    assert not bench.account.runner.book.has_live(first.direction, first.ticks)
    [(_, key, text, _)] = bench.account.alarm.alerts
    assert key == f"unsettled.{first.key}"
    assert f"executed {first.qty} by the order's own account" in text
    assert f"the executions list has {half.qty}" in text, "the figure of before it was settled"
    assert not bench.reconciler.again()


async def test_missing_executions_are_asked_for_by_the_order_whenever_they_were() -> None:
    """Both frames of a fill were lost, and other fills went on: paging by time has left it behind."""
    bench = Bench()
    [first, *_] = await bench.place()
    bench.queries.executions_by_order[first.link_id] = [bench.account.fill(first, exchange_ts=1)]
    _filled(bench, first)
    bench.reconciler.again()
    await bench.account.clock.advance(FIRST_WAIT_S)
    assert bench.queries.asked == ["executions of an order"]
    assert bench.account.context.ledger.of("btc").fills == 1
    assert not bench.account.runner.book.has_live(first.direction, first.ticks)
    await each_second(bench, 2)
    assert not bench.reconciler.again()


async def test_nothing_is_given_up_while_the_exchange_does_not_answer() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    _filled(bench, first)
    bench.queries.failures["executions of an order"] = [BUSY] * 10
    await each_second(bench, 200)
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    assert bench.account.alarm.alerts == []
