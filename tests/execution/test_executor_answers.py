"""Executor: who gets which answer, and what a fault of ours costs: the one it belongs to, and nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import pytest

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck
from gridbot.execution.send_lane import RequestKind
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderOutcome
from tests.execution.support import Bench, failure, names, outcomes

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


# ---------------------------------------------------------------------- faults of our own


@pytest.mark.parametrize("kind", list(RequestKind))
async def test_an_owner_that_breaks_on_an_answer_is_told_of_and_the_others_get_theirs(kind: RequestKind) -> None:
    """incident L59: one bad thing in a row must not take the others with it. This was a line in the log only."""
    bench = Bench()
    bench.owner.breaks_on = {"a"}
    queue = bench.place if kind is RequestKind.PLACE else bench.cancel
    queue("a", "b")
    await bench.pump()
    assert outcomes(bench) == {"b": OrderOutcome.CONFIRMED}
    [(part, error, symbol)] = bench.faults
    assert part == "BTCUSDT: taking in an answer about an order"
    assert (str(error), symbol) == ("the owner is broken", "BTCUSDT")
    assert bench.executor.idle


async def test_an_owner_that_breaks_before_its_order_leaves_keeps_only_that_order_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole batch stayed behind, with orders of other strategies in it."""
    bench = Bench()
    good = bench.owner.sending

    def breaks(order: TrackedOrder, sent_ms: int) -> None:
        if order.link_id == "a":
            raise ValueError("no record of this")
        good(order, sent_ms)

    monkeypatch.setattr(bench.owner, "sending", breaks)
    bench.place("a", symbol="ETHUSDT")
    bench.place("b", "c")
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", ["b", "c"])]
    assert outcomes(bench) == {
        "a": OrderOutcome.UNRESOLVED,
        "b": OrderOutcome.CONFIRMED,
        "c": OrderOutcome.CONFIRMED,
    }, "an earlier try of a may be on the exchange, so it is looked up"
    assert [(str(error), symbol) for _, error, symbol in bench.faults] == [("no record of this", "ETHUSDT")]
    bench.place("a", symbol="ETHUSDT")
    await bench.pump()
    assert len(bench.gateway.sent) == 1
    assert bench.executor.idle


async def test_what_a_fault_ends_while_its_request_is_made_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """A halt ends what has not left, also in the request whose making has halted."""
    bench = Bench()
    orders = bench.place("a", "b", "c")

    def halts(order: TrackedOrder, sent_ms: int) -> None:
        if order.link_id == "a":
            orders[1].state = OrderState.CANCELLED
            raise ValueError("no record of this")

    monkeypatch.setattr(bench.owner, "sending", halts)
    await bench.pump()
    assert bench.gateway.sent == [("order/create-batch", ["c"])]
    assert bench.executor.creates_sent == 1
    assert outcomes(bench) == {"a": OrderOutcome.UNRESOLVED, "c": OrderOutcome.CONFIRMED}
    assert bench.executor.queue.free == 4


async def test_orders_that_could_not_be_journalled_do_not_leave_and_are_unresolved() -> None:
    bench = Bench()

    def breaks() -> None:
        raise ValueError("no journal")

    bench.executor._before_send = breaks
    bench.place("a", "b")
    await bench.pump()
    assert bench.gateway.sent == []
    assert outcomes(bench) == dict.fromkeys("ab", OrderOutcome.UNRESOLVED)
    assert [(part, symbol) for part, _, symbol in bench.faults] == [("sending a request for orders", "")]
    assert bench.executor.idle


async def test_a_batch_with_a_wrong_number_of_answers_is_unresolved_and_gives_its_slot_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The task died of it: two orders waited for ever, and what stood behind them was sent by the next second only."""
    bench = Bench(max_in_flight=1)

    async def too_few(orders: object) -> list[OrderAck | ExchangeError]:
        return [OrderAck("1", "a")]

    monkeypatch.setattr(bench.gateway, "place_orders", too_few)
    bench.place("a", "b")
    bench.executor.pump()
    bench.place("c")
    await bench.pump()
    assert outcomes(bench) == {
        "a": OrderOutcome.UNRESOLVED,
        "b": OrderOutcome.UNRESOLVED,
        "c": OrderOutcome.CONFIRMED,
    }
    assert "expected 2 answers to a batch, got 1" in str(bench.faults[0][1])


async def test_a_quota_that_cannot_be_read_takes_no_answers_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    monkeypatch.setattr(bench.gateway, "limits", None)
    bench.gateway.answers = {"a": failure(ErrorKind.RATE_LIMIT)}
    bench.place("a")
    await bench.pump()
    assert outcomes(bench) == {"a": OrderOutcome.REJECTED}
    assert [part for part, _, _ in bench.faults] == ["the quota stated in an answer"]
    bench.place("b")
    await bench.pump()
    assert bench.gateway.sent == [("order/create", ["a"])], "that there were too many is learned all the same"


@pytest.mark.parametrize("kind", list(RequestKind))
@pytest.mark.parametrize("count", [1, 2])
async def test_a_request_that_breaks_while_it_is_sent_keeps_no_slot_and_its_orders_are_unresolved(
    kind: RequestKind, count: int, monkeypatch: pytest.MonkeyPatch
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
    assert {str(error) for _, error, _ in bench.faults} == {"broken"}
    await bench.clock.advance(2)
    queue("good")
    await bench.pump()
    assert outcomes(bench)["good"] is OrderOutcome.CONFIRMED


@pytest.mark.filterwarnings("ignore:coroutine")
def test_outside_a_loop_nothing_is_sent_later_for_want_of_a_slot() -> None:
    """No task could begin that gives the slot back."""
    bench = Bench(max_in_flight=1)
    bench.place("a")
    with pytest.raises(RuntimeError, match="no running event loop"):
        bench.executor.pump()
    assert bench.executor.queue.free == 1


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
    bench.cancel("b", "d", symbol="ETHUSDT")
    await bench.pump()
    assert outcomes(bench) == {
        "a": OrderOutcome.CONFIRMED,
        "c": OrderOutcome.CONFIRMED,
        "b": OrderOutcome.UNRESOLVED,
        "d": OrderOutcome.UNRESOLVED,
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


async def test_an_answer_about_one_symbol_does_not_wait_for_that_about_another() -> None:
    """Cancels of several symbols left as one request each in one slot, and all waited for the slowest answer."""
    bench = Bench(max_in_flight=2)
    bench.gateway.is_silent = True
    bench.cancel("a", "c", symbol="BTCUSDT")
    bench.cancel("b", symbol="ETHUSDT")
    bench.cancel("d", symbol="XRPUSDT")
    await bench.pump()
    assert [links for _, links in bench.gateway.sent] == [["a", "c"], ["b"]], "no more requests than slots"
    bench.gateway.is_silent = False
    await bench.clock.advance(0)
    assert outcomes(bench) == dict.fromkeys("abcd", OrderOutcome.CONFIRMED)
