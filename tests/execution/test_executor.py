"""Executor: what leaves in which order, what a failure holds back, and who gets which answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence

import pytest

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, RateLimit
from gridbot.execution.latency_trace import Stage
from gridbot.execution.send_queue import RequestKind
from gridbot.orders.order import OrderState
from gridbot.orders.outcomes import OrderOutcome
from tests.execution.support import START_MS, START_S, Bench, failure, names, order_of


def outcomes(bench: Bench) -> dict[str, OrderOutcome]:
    return {link: result.outcome for link, result in bench.owner.results.items()}


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
    [order] = bench.place("a")
    bench.executor.pump()
    assert bench.gateway.sent == [("order/create", ["a"])]
    assert (order.on_wire, order.attempt, order.sent_ms) == (True, 1, START_MS)
    bench.place("b", "c")
    bench.executor.pump()
    assert bench.gateway.sent[1:] == [("order/create-batch", ["b", "c"])]


async def test_a_batch_of_cancels_leaves_before_a_single_order() -> None:
    bench = Bench()
    bench.place("new")
    bench.cancel("old 1", "old 2", symbol="BTCUSDT")
    bench.cancel("old 3", symbol="ETHUSDT")
    await bench.pump()
    assert bench.gateway.sent == [
        ("order/cancel-batch", ["old 1", "old 2"]),
        ("order/cancel-batch", ["old 3"]),
        ("order/create", ["new"]),
    ]


async def test_an_order_is_journalled_before_it_leaves() -> None:
    bench = Bench()
    bench.place("a", "b")
    await bench.pump()
    request = bench.gateway.requests[0]
    assert bench.log == ["sending a", "sending b", "journalled", request, "placed a", "placed b"]


async def test_a_cancel_is_journalled_before_it_leaves() -> None:
    bench = Bench()
    [order] = bench.cancel("a")
    await bench.pump()
    assert bench.log == ["journalled", bench.gateway.requests[0], "cancelled a"]
    assert not order.on_wire, "only a create puts an order on the wire"


async def test_cancels_are_batched_by_symbol() -> None:
    bench = Bench()
    bench.cancel("a", symbol="BTCUSDT")
    bench.cancel("b", symbol="ETHUSDT")
    bench.cancel("c", symbol="BTCUSDT")
    await bench.pump()
    assert bench.gateway.sent == [("order/cancel-batch", ["a", "c"]), ("order/cancel-batch", ["b"])]
    assert set(outcomes(bench)) == {"a", "b", "c"}


# ---------------------------------------------------------------------- budget


async def test_a_batch_holds_ten_and_the_rest_waits_for_the_next_second() -> None:
    bench = Bench()
    links = names("o", 23)
    bench.place(*links)
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", links[:10])]
    assert bench.clock.timers == [pytest.approx(1.05, abs=1e-3)]
    await bench.clock.advance(3)
    assert bench.gateway.sent == [("order/create-batch", links[at : at + 10]) for at in (0, 10, 20)]
    at_s = [request.at_s - START_S for request in bench.gateway.requests]
    assert at_s == [0.0, pytest.approx(1.05, abs=1e-3), pytest.approx(2.1, abs=1e-3)]
    assert bench.executor.idle


async def test_cancels_and_creates_have_budgets_of_their_own() -> None:
    bench = Bench()
    bench.place(*names("o", 12))
    await bench.pump()
    bench.cancel(*names("c", 5))
    await bench.pump()
    assert bench.gateway.sent[1:] == [("order/cancel-batch", names("c", 5))]


async def test_what_the_batch_budget_allows_goes_to_the_batch_endpoint_even_if_it_is_one() -> None:
    """Its order would otherwise count there and be sent to the other endpoint, whose own budget knows nothing of it."""
    bench = Bench()
    bench.place(*names("o", 9))
    await bench.pump()
    bench.place("x", "y")
    await bench.pump()
    assert bench.gateway.sent[1:] == [("order/create-batch", ["x"]), ("order/create", ["y"])]


async def test_the_quota_that_an_answer_states_is_used() -> None:
    bench = Bench()
    bench.gateway.limits["order/create-batch"] = RateLimit(limit=20, remaining=10, reset_ms=0)
    bench.place(*names("o", 10))
    await bench.pump()
    bench.place(*names("p", 12))
    await bench.pump()
    assert [len(links) for _, links in bench.gateway.sent] == [10, 10]


async def test_no_more_requests_are_under_way_than_allowed() -> None:
    bench = Bench(max_in_flight=2)
    bench.gateway.is_silent = True
    for link in "abc":
        bench.place(link)
        await bench.pump()
    assert [links for _, links in bench.gateway.sent] == [["a"], ["b"]]
    assert not bench.executor.idle
    bench.gateway.is_silent = False
    await bench.clock.advance(0)
    assert [links for _, links in bench.gateway.sent] == [["a"], ["b"], ["c"]]
    assert bench.executor.idle


# ---------------------------------------------------------------------- what a failure holds back


async def test_after_10006_the_endpoint_rests_for_a_second_and_the_others_go_on() -> None:
    """incident L44: the exchange's own word about the limit counts."""
    bench = Bench()
    bench.gateway.failures = [failure(ErrorKind.RATE_LIMIT)]
    bench.place("a")
    await bench.pump()
    bench.place("b")
    bench.cancel("old")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"]), ("order/cancel", ["old"])]
    await bench.clock.advance(0.99)
    bench.executor.pump()
    assert len(bench.gateway.sent) == 2
    await bench.clock.advance(0.02)
    assert bench.gateway.sent[2:] == [("order/create", ["b"])], "the timer sends it, nobody has to pump"


async def test_one_order_of_a_batch_that_was_too_many_holds_the_next_batch_back() -> None:
    bench = Bench()
    bench.gateway.limits["order/create-batch"] = RateLimit(limit=100, remaining=0, reset_ms=0)
    bench.gateway.answers["b"] = failure(ErrorKind.RATE_LIMIT)
    bench.place("a", "b")
    await bench.pump()
    bench.place("c", "d")
    await bench.pump()
    await bench.clock.advance(0.99)
    assert len(bench.gateway.sent) == 1
    await bench.clock.advance(0.02)
    assert bench.gateway.sent[1:] == [("order/create-batch", ["c", "d"])]


async def test_while_the_address_is_banned_nothing_leaves() -> None:
    bench = Bench()
    bench.gateway.failures = [failure(ErrorKind.IP_BAN)]
    bench.place("a")
    await bench.pump()
    assert bench.executor.ip_banned_until_s == START_S + 600
    bench.place("b")
    bench.cancel("old")
    await bench.pump()
    assert bench.clock.timers == [pytest.approx(600, abs=0.01)]
    await bench.clock.advance(599.9)
    bench.executor.pump()
    assert bench.gateway.sent == [("order/create", ["a"])]
    await bench.clock.advance(0.2)
    assert bench.gateway.sent[1:] == [("order/cancel", ["old"]), ("order/create", ["b"])]


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - {ErrorKind.RATE_LIMIT, ErrorKind.IP_BAN}))
async def test_other_failures_hold_nothing_back(kind: ErrorKind) -> None:
    bench = Bench()
    bench.gateway.failures = [failure(kind)]
    bench.place("a")
    await bench.pump()
    bench.place("b")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"]), ("order/create", ["b"])]
    assert bench.clock.timers == []


# ---------------------------------------------------------------------- answers


async def test_each_order_of_a_batch_gets_its_own_answer() -> None:
    bench = Bench()
    bench.gateway.answers = {"b": failure(ErrorKind.BALANCE), "c": failure(ErrorKind.AMBIGUOUS)}
    bench.place("a", "b", "c")
    await bench.pump()
    assert outcomes(bench) == {
        "a": OrderOutcome.CONFIRMED,
        "b": OrderOutcome.REJECTED,
        "c": OrderOutcome.UNRESOLVED,
    }
    result = bench.owner.results["a"]
    assert result.ack is not None
    assert result.ack.order_id == "id of a"
    assert bench.owner.results["b"].error is bench.gateway.answers["b"]


async def test_when_a_whole_batch_fails_each_order_gets_the_failure() -> None:
    bench = Bench()
    lost = failure(ErrorKind.AMBIGUOUS)
    bench.gateway.failures = [lost]
    bench.place("a", "b")
    await bench.pump()
    assert outcomes(bench) == dict.fromkeys("ab", OrderOutcome.UNRESOLVED)
    assert all(result.error is lost for result in bench.owner.results.values())


async def test_a_batch_of_cancels_that_fails_for_one_symbol_reaches_the_other() -> None:
    bench = Bench()
    bench.gateway.failures = [failure(ErrorKind.RETRY)]
    bench.cancel("a", "b", symbol="BTCUSDT")
    bench.cancel("c", symbol="ETHUSDT")
    await bench.pump()
    assert outcomes(bench) == {
        "a": OrderOutcome.REJECTED,
        "b": OrderOutcome.REJECTED,
        "c": OrderOutcome.CONFIRMED,
    }


async def test_a_lost_answer_of_a_single_request_is_unresolved() -> None:
    bench = Bench()
    bench.gateway.answers = {"a": failure(ErrorKind.AMBIGUOUS), "b": failure(ErrorKind.NOT_FOUND)}
    bench.place("a")
    bench.cancel("b")
    await bench.pump()
    assert outcomes(bench) == dict.fromkeys("ab", OrderOutcome.UNRESOLVED)


async def test_an_owner_that_breaks_does_not_take_the_answers_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """incident L59: one bad thing in a row must not take the others with it."""
    bench = Bench()
    bench.owner.breaks_on = {"a"}
    bench.place("a", "b")
    with caplog.at_level(logging.ERROR):
        await bench.pump()
    assert outcomes(bench) == {"b": OrderOutcome.CONFIRMED}
    assert "the answer about a could not be handled" in caplog.text
    assert bench.executor.idle


async def test_requests_can_be_made_past_the_queue() -> None:
    bench = Bench()
    bench.gateway.answers = {"b": failure(ErrorKind.PARAM)}
    assert (await bench.executor.execute_place(order_of("a"))).outcome is OrderOutcome.CONFIRMED
    assert (await bench.executor.execute_place(order_of("b"))).outcome is OrderOutcome.REJECTED
    resting = order_of("c", state=OrderState.PENDING_CANCEL)
    assert (await bench.executor.execute_cancel(resting)).outcome is OrderOutcome.CONFIRMED
    results = await bench.executor.execute_batch(RequestKind.PLACE, [order_of("d"), order_of("b")])
    assert [result.outcome for result in results] == [OrderOutcome.CONFIRMED, OrderOutcome.REJECTED]
    results = await bench.executor.execute_batch(RequestKind.CANCEL, [resting])
    assert [result.outcome for result in results] == [OrderOutcome.CONFIRMED]


# ---------------------------------------------------------------------- faults of our own


@pytest.mark.parametrize("kind", list(RequestKind))
@pytest.mark.parametrize("count", [1, 2])
async def test_a_request_that_breaks_while_it_is_sent_keeps_no_slot_and_its_orders_are_unresolved(
    kind: RequestKind, count: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Four such faults would otherwise stop the account for good."""
    bench = Bench(max_in_flight=2)
    queue = bench.place if kind is RequestKind.PLACE else bench.cancel

    def breaks(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        for name in ("place_order", "place_orders", "cancel_order", "cancel_orders"):
            broken.setattr(bench.gateway, name, breaks)
        for turn in range(3):
            queue(*names(f"{turn} ", count))
            await bench.pump()
    assert len(bench.owner.results) == 3 * count
    assert set(outcomes(bench).values()) == {OrderOutcome.UNRESOLVED}
    assert bench.executor.idle
    assert "a request broke on our side" in caplog.text
    await bench.clock.advance(2)
    queue("good")
    await bench.pump()
    assert outcomes(bench)["good"] is OrderOutcome.CONFIRMED


async def test_an_order_that_could_not_be_journalled_does_not_leave_and_is_unresolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()

    def breaks(order: object) -> None:
        raise ValueError("no record of this")

    monkeypatch.setattr(bench.owner, "sending", breaks)
    bench.place("a", "b")
    await bench.pump()
    assert bench.gateway.sent == []
    assert outcomes(bench) == dict.fromkeys("ab", OrderOutcome.UNRESOLVED)
    assert bench.executor.idle


async def test_cancels_of_one_symbol_that_break_leave_the_other_symbol_its_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    good = bench.gateway.cancel_orders

    def breaks(symbol: str, refs: Sequence[CancelRef]) -> Awaitable[list[OrderAck | ExchangeError]]:
        if symbol == "ETHUSDT":
            raise RuntimeError("broken")
        return good(symbol, refs)

    monkeypatch.setattr(bench.gateway, "cancel_orders", breaks)
    bench.cancel("a", "c", symbol="BTCUSDT")
    bench.cancel("b", symbol="ETHUSDT")
    await bench.pump()
    assert outcomes(bench) == {
        "a": OrderOutcome.CONFIRMED,
        "c": OrderOutcome.CONFIRMED,
        "b": OrderOutcome.UNRESOLVED,
    }


@pytest.mark.parametrize("count", [1, 2])
async def test_an_answer_that_is_no_exchange_error_leaves_the_orders_unresolved(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench()

    async def breaks(orders: object) -> None:
        raise KeyError("result")

    monkeypatch.setattr(bench.gateway, "place_order", breaks)
    monkeypatch.setattr(bench.gateway, "place_orders", breaks)
    bench.place(*names("o", count))
    await bench.pump()
    assert outcomes(bench) == dict.fromkeys(names("o", count), OrderOutcome.UNRESOLVED)
    assert bench.executor.idle


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
    assert not gone.on_wire


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
    bench.executor.close()
    bench.gateway.is_silent = False
    await bench.clock.advance(10)
    assert bench.clock.timers == []
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
