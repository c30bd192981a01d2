"""Executor: what leaves in which order, what need not leave any more, and the end. Limits and answers stand beside."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from gridbot.exchange.requests import RateLimit
from gridbot.execution.latency_trace import Stage
from gridbot.orders.order import OrderState
from tests.execution.support import START_MS, START_S, Bench, names, outcomes

# ---------------------------------------------------------------------- the order in which requests leave


async def test_cancels_leave_first_then_closes_then_opens() -> None:
    """incident L39: new orders failed for want of what the cancels behind them were about to free."""
    bench = Bench()
    bench.place("far open", distance=9)
    bench.place("near open", distance=1)
    bench.place("far close", close=True, distance=9)
    bench.place("near close", close=True, distance=1)
    bench.cancel("old")
    await bench.pump()
    assert bench.gateway.sent == [
        ("order/cancel", ["old"]),
        ("order/create-batch", ["near close", "far close", "near open", "far open"]),
    ]


async def test_a_later_cancel_still_goes_before_an_order_that_waits() -> None:
    bench = Bench(max_in_flight=1)
    bench.gateway.is_silent = True
    bench.place("first")
    await bench.pump()
    bench.place("second")
    bench.cancel("old")
    await bench.pump()
    bench.gateway.is_silent = False
    await bench.clock.advance(0)
    assert [links for _, links in bench.gateway.sent] == [["first"], ["old"], ["second"]]


async def test_equals_leave_in_the_order_they_came() -> None:
    bench = Bench()
    bench.place("c", "a", "b", distance=3)
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", ["c", "a", "b"])]


async def test_requests_have_left_when_pump_returns() -> None:
    bench = Bench()
    bench.place("a")
    bench.executor.pump()
    assert bench.gateway.sent == [("order/create", ["a"])]
    bench.place("b", "c")
    bench.executor.pump()
    assert bench.gateway.sent[1:] == [("order/create-batch", ["b", "c"])]


async def test_what_nobody_pumps_leaves_in_the_next_turn_together() -> None:
    """A cancel that news made necessary waited for the second to end."""
    bench = Bench()
    bench.cancel("old 1")
    bench.cancel("old 2")
    assert bench.gateway.sent == []
    assert bench.clock.timers == [0.0]
    await bench.clock.advance(0)
    assert bench.gateway.sent == [("order/cancel-batch", ["old 1", "old 2"])]


async def test_a_cancel_does_not_wait_for_the_budget_of_orders() -> None:
    bench = Bench()
    bench.gateway.limits["order/create"] = RateLimit(limit=1, remaining=0, reset_ms=0)
    bench.place("first")
    await bench.pump()
    bench.place("second")
    await bench.pump()
    assert [seconds > 0.5 for seconds in bench.clock.timers] == [True]
    bench.cancel("old")
    assert bench.clock.timers == [0.0]
    await bench.clock.advance(0)
    assert [links for _, links in bench.gateway.sent] == [["first"], ["old"]]
    assert len(bench.clock.timers) == 1
    await bench.clock.advance(2)
    assert [links for _, links in bench.gateway.sent] == [["first"], ["old"], ["second"]]


async def test_a_batch_leaves_at_its_end_without_a_timer() -> None:
    bench = Bench()
    with bench.executor.batch:
        bench.place("a", "b")
        assert bench.clock.timers == []
        assert bench.gateway.sent == []
    assert bench.gateway.sent == [("order/create-batch", ["a", "b"])]
    assert bench.clock.timers == []
    bench.place("c")
    assert bench.clock.timers == [0.0], "the batch is over: what nobody pumps asks again"


async def test_what_a_broken_batch_has_queued_leaves_in_the_next_turn() -> None:
    """Whoever contains the fault may drop it before that."""
    bench = Bench()
    with contextlib.suppress(LookupError), bench.executor.batch:
        bench.cancel("a")
        raise LookupError
    assert bench.gateway.sent == []
    await bench.clock.advance(0)
    assert bench.gateway.sent == [("order/cancel", ["a"])]


async def test_after_the_end_nothing_asks_by_itself() -> None:
    bench = Bench()
    bench.executor.close()
    bench.cancel("old")
    assert bench.clock.timers == []
    assert not bench.executor.asks_again


async def test_an_owner_hears_when_its_order_leaves_and_alone_notes_it() -> None:
    """The state of an order is changed by its life only."""
    bench = Bench()
    orders = [*bench.place("a", "b"), *bench.cancel("old")]
    before = [replace(order) for order in orders]
    bench.clock.now_s += 2
    await bench.pump()
    assert bench.owner.sent_ms == dict.fromkeys("ab", START_MS + 2000)
    assert orders == before


async def test_a_batch_of_cancels_leaves_before_a_single_order() -> None:
    bench = Bench()
    bench.place("new")
    bench.cancel("old 1", "old 2", symbol="BTCUSDT")
    bench.cancel("old 3", symbol="ETHUSDT")
    await bench.pump()
    assert bench.gateway.sent == [
        ("order/cancel-batch", ["old 1", "old 2"]),
        ("order/cancel", ["old 3"]),
        ("order/create", ["new"]),
    ]


async def test_an_order_is_journalled_before_it_leaves() -> None:
    bench = Bench()
    bench.place("a", "b")
    await bench.pump()
    request = bench.gateway.requests[0]
    sent = ["sent a", "sent b"]
    assert bench.log == ["sending a", "sending b", "journalled", request, *sent, "placed a", "placed b"]


async def test_a_cancel_is_journalled_before_it_leaves() -> None:
    bench = Bench()
    bench.cancel("a")
    await bench.pump()
    assert bench.log == ["journalled", bench.gateway.requests[0], "cancelled a"]


async def test_cancels_are_batched_by_symbol() -> None:
    bench = Bench()
    bench.cancel("a", symbol="BTCUSDT")
    bench.cancel("b", symbol="ETHUSDT")
    bench.cancel("c", symbol="BTCUSDT")
    await bench.pump()
    assert bench.gateway.sent == [("order/cancel-batch", ["a", "c"]), ("order/cancel", ["b"])]
    assert set(outcomes(bench)) == {"a", "b", "c"}


# ---------------------------------------------------------------------- orders that need no request any more


@pytest.mark.parametrize("state", sorted(set(OrderState) - {OrderState.PENDING}))
async def test_an_order_withdrawn_before_its_turn_is_not_created(state: OrderState) -> None:
    bench = Bench()
    bench.place("a")
    [gone] = bench.place("b")
    bench.place("c")
    gone.state = state
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", ["a", "c"])]
    assert "b" not in bench.owner.sent_ms


@pytest.mark.parametrize("state", sorted(set(OrderState) - {OrderState.PENDING_CANCEL}))
async def test_an_order_that_is_over_is_not_cancelled(state: OrderState) -> None:
    bench = Bench()
    [over] = bench.cancel("a")
    bench.cancel("b")
    over.state = state
    await bench.pump()
    assert bench.gateway.sent == [("order/cancel", ["b"])], "one is left, so it is no batch"


async def test_orders_that_need_no_request_cost_no_budget() -> None:
    bench = Bench()
    for order in bench.place(*names("gone", 9)):
        order.state = OrderState.CANCELLED
    bench.place(*names("o", 10))
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", names("o", 10))]
    assert bench.executor.idle


# ---------------------------------------------------------------------- drain and close


async def test_drain_sends_what_waits_and_waits_for_the_answers() -> None:
    bench = Bench()
    bench.place(*names("o", 15))
    assert await bench.executor.drain(5.0)
    assert bench.executor.idle
    assert len(bench.owner.results) == 15
    assert bench.clock.now_s - START_S == pytest.approx(1.05, abs=0.03)


async def test_drain_gives_up_after_its_time() -> None:
    bench = Bench()
    bench.gateway.is_silent = True
    bench.place("a")
    assert not await bench.executor.drain(5.0)
    assert bench.clock.now_s - START_S == pytest.approx(5.0, abs=0.03)
    bench.gateway.is_silent = False
    assert await bench.executor.drain(5.0)


async def test_drain_returns_at_once_when_there_is_nothing() -> None:
    bench = Bench()
    assert await bench.executor.drain(0.0)


async def test_close_drops_what_waits_and_the_answers_under_way() -> None:
    bench = Bench()
    bench.gateway.is_silent = True
    bench.place(*names("o", 12))
    bench.cancel("old")
    await bench.pump()
    assert len(bench.gateway.sent) == 2
    assert len(bench.clock.timers) == 1
    bench.executor.close()
    assert bench.clock.timers == []
    bench.gateway.is_silent = False
    await bench.clock.advance(10)
    assert len(bench.gateway.sent) == 2
    assert bench.owner.results == {}
    assert bench.executor.idle


async def test_an_executor_that_never_sent_can_be_closed() -> None:
    bench = Bench()
    bench.place("a")
    bench.executor.close()
    assert bench.executor.idle
    assert bench.gateway.sent == []


# ---------------------------------------------------------------------- latency


async def test_while_measured_each_order_gets_its_stamps() -> None:
    bench = Bench()
    trace = bench.executor.trace
    trace.on = True
    trace.begin(received_ns=7)
    await bench.clock.advance(1)
    trace.decided()
    trace.admitted("a")
    bench.place("a", "not traced")
    await bench.pump()
    assert trace.traces == {
        "a": {
            Stage.RECEIVED: 7,
            Stage.EVENT: int(START_S * 1e9),
            Stage.DECIDED: int((START_S + 1) * 1e9),
            Stage.ADMITTED: int((START_S + 1) * 1e9),
            Stage.JOURNALLED: int((START_S + 1) * 1e9),
        }
    }


async def test_nothing_is_kept_while_nobody_measures() -> None:
    bench = Bench()
    trace = bench.executor.trace
    trace.begin(received_ns=7)
    trace.decided()
    trace.admitted("a")
    bench.place("a")
    await bench.pump()
    assert trace.traces == {}
