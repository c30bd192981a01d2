"""The life of one strategy's orders: requests, answers, retries, look-ups, news, and what is recorded of each."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecType, OrderStatus, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome, make_error
from gridbot.exchange.remedies import remedy_for
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.proposal import Proposal
from gridbot.records.record_types import IntentRecord, OrderRecord
from gridbot.worker.order_manager import LookUp
from tests.execution.support import settle
from tests.worker.account_bench import BTC, AccountBench, strategy, take_reconcile, ticker

D = Decimal
LOST = ExchangeError("timed out", kind=ErrorKind.AMBIGUOUS, outcome=Outcome.UNKNOWN)


def trading() -> AccountBench:
    bench = AccountBench()
    bench.start()
    bench.runner.set_price(ticker())
    return bench


def proposal(ticks: int = 499_000, side: Side = Side.BUY) -> Proposal:
    return Proposal(side, Direction.LONG, ticks, BTC.price(ticks), D("0.01"), side is Side.SELL)


def submit(bench: AccountBench, *, close: bool = False, error: ExchangeError | None = None) -> TrackedOrder:
    """One order, of which the exchange makes what `error` says."""
    bench.runner.orders.submit(proposal(501_000, Side.SELL) if close else proposal())
    order = bench.orders[-1]
    if error is not None:
        bench.refuse(order, error)
    bench.runner.orders.pump()
    return order


def steps(bench: AccountBench) -> list[str]:
    return [record.state for record in bench.notes.of(OrderRecord)]


async def test_an_order_is_journalled_sent_acknowledged_and_open_when_the_exchange_says_so() -> None:
    bench = trading()
    order = submit(bench)
    await settle()
    assert order.order_id == f"id of {order.link_id}"
    assert order.state is OrderState.PENDING, "an acknowledgement is no open order yet"
    bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    assert order.state is OrderState.OPEN
    assert steps(bench) == ["pending", "open"]
    [intent] = bench.notes.of(IntentRecord)
    assert (intent.verdict, intent.order_link_id) == ("sent", order.link_id)


async def test_an_order_that_cannot_be_recorded_does_not_leave_and_counts_as_on_the_wire() -> None:
    """Withdrawn, it waits for its look-up; it would end without a request if it had certainly never left."""
    bench = trading()
    bench.runner.orders.submit(proposal())
    [order] = bench.orders
    bench.notes.failures = [ValueError("no record of this")]
    bench.runner.orders.pump()
    await settle()
    assert bench.gateway.sent == []
    assert (order.state, order.on_wire, order.attempt) == (OrderState.UNRESOLVED, True, 1)
    assert order.sent_ms == bench.clock.wall_ms()
    assert "no record of this" in bench.runner.risk_state.halted
    bench.runner.orders.cancel(order.key, "asked")
    assert (order.state, order.withdrawn) == (OrderState.UNRESOLVED, "asked")


async def test_a_refusal_ends_the_order_and_counts_against_its_level() -> None:
    bench = trading()
    for _ in range(3):
        order = submit(bench, error=make_error("bad price", ErrorKind.PARAM, ret_code=10001))
        await settle()
        assert order.state is OrderState.REJECTED
    assert bench.notes.of(OrderRecord)[-1].ret_code == 10001
    assert len(bench.gate.breaker.open_until(bench.clock.now_s)) == 1
    assert "was refused repeatedly" in take_reconcile(bench.requests)


async def test_a_level_whose_post_only_orders_are_taken_back_is_left_alone_for_a_while() -> None:
    """Each of them is acknowledged first (docs/bybit.md 3.4), which once made the gate forget the ones before."""
    bench = trading()
    for _ in range(3):
        order = submit(bench)
        await settle()
        taken_back = bench.update(order, OrderStatus.CANCELLED, reject_reason="EC_PostOnlyWillTakeLiquidity")
        bench.runner.on_order_update(taken_back)
    assert len(bench.gate.breaker.open_until(bench.clock.now_s)) == 1


@pytest.mark.parametrize(("side", "ticks", "rests"), [(Side.BUY, 499_000, 499_001), (Side.SELL, 501_000, 500_999)])
async def test_what_waited_until_the_price_had_passed_it_is_not_sent_and_costs_its_level_nothing(
    side: Side, ticks: int, rests: int
) -> None:
    """Orders that waited for the address's room left all the same: cancelled at once, and a refusal of their level."""
    bench = trading()
    bench.runner.orders.submit(proposal(ticks, side))
    [order] = bench.orders
    [(*_, owner)] = bench.context.executor.queue.creates.heap
    bench.runner.set_price(ticker(str(BTC.price(rests))))
    owner.waited(order)
    assert order.state is OrderState.PENDING, "it can still rest"
    bench.runner.set_price(ticker(str(order.price)))
    owner.waited(order)
    assert (order.state, order.withdrawn) == (OrderState.CANCELLED, "price_passed")
    bench.runner.orders.pump()
    await settle()
    assert bench.gateway.sent == []
    assert not bench.runner.book.has_live(order.direction, ticks), "its level is free for the strategy"
    assert bench.gate.breaker.circuits == {}
    assert [(each.action, each.reason) for each in bench.notes.of(IntentRecord)][-1] == ("cancel", "price_passed")


async def test_an_operators_close_may_take_so_it_leaves_whatever_the_price() -> None:
    bench = trading()
    bench.runner.orders.submit(proposal()._replace(post_only=False))
    [order] = bench.orders
    bench.runner.set_price(ticker("100"))
    [(*_, owner)] = bench.context.executor.queue.creates.heap
    owner.waited(order)
    assert order.state is OrderState.PENDING


async def test_a_lost_reply_keeps_the_level_and_asks_for_a_look_up() -> None:
    bench = trading()
    order = submit(bench, error=LOST)
    await settle()
    assert order.state is OrderState.UNRESOLVED
    assert bench.runner.book.has_live(order.direction, order.ticks)
    assert await bench.requests.next_look_up() is order


async def test_no_money_reads_the_wallet_again() -> None:
    bench = trading()
    submit(bench, error=make_error("no balance", ErrorKind.BALANCE, ret_code=110007))
    await settle()
    assert bench.requests.wishes.wallet


async def test_a_restricted_symbol_halts_its_strategy_with_one_alert() -> None:
    bench = trading()
    for _ in range(2):
        submit(bench, error=make_error("restricted", ErrorKind.HALT))
        await settle()
    halted = bench.runner.risk_state.halted
    remedy = remedy_for(make_error("restricted", ErrorKind.HALT))
    assert halted == f"restricted (halt); {remedy}", "status and the hold after a restart show nothing else"
    assert bench.alarm.keys == ["halt.BTCUSDT"]
    assert [text for _, _, text, _ in bench.alarm.alerts] == [f"btc is halted: {halted}"], "as the incident that stands"


async def test_what_waits_behind_an_answer_that_halts_never_leaves() -> None:
    bench = trading()
    submit(bench, error=make_error("restricted", ErrorKind.HALT))
    bench.runner.orders.submit(proposal(501_000, Side.SELL))
    waiting = bench.orders[-1]
    await settle()
    await bench.clock.advance(5)
    assert waiting.state is OrderState.CANCELLED
    assert [len(links) for _, links in bench.gateway.sent] == [1]


# ---------------------------------------------------------------------- retries


async def test_what_passes_is_tried_again_under_the_same_id() -> None:
    bench = trading()
    order = submit(bench, error=make_error("busy", ErrorKind.RETRY))
    await settle()
    assert order.state is OrderState.PENDING
    bench.gateway.answers.clear()
    bench.clock.now_s += 1.0
    [item] = bench.context.retry.due(bench.clock.now_s)
    bench.runner.orders.retry(item)
    bench.runner.orders.pump()
    await settle()
    assert [links for _, links in bench.gateway.sent] == [[order.link_id]] * 2
    assert order.order_id


async def test_a_retry_that_the_gate_refuses_gives_the_order_up() -> None:
    bench = trading()
    order = submit(bench, error=make_error("busy", ErrorKind.RETRY))
    await settle()
    bench.runner.risk_state.pause()
    bench.clock.now_s += 1.0
    [item] = bench.context.retry.due(bench.clock.now_s)
    bench.runner.orders.retry(item)
    assert order.state is OrderState.REJECTED
    assert bench.notes.of(OrderRecord)[-1].reason == "not retried: paused"
    assert order.key not in bench.context.retry


async def test_the_end_of_an_order_ends_its_retries() -> None:
    bench = trading()
    order = submit(bench, error=make_error("busy", ErrorKind.RETRY))
    await settle()
    bench.runner.on_order_update(bench.update(order, OrderStatus.CANCELLED))
    assert order.key not in bench.context.retry


# ---------------------------------------------------------------------- cancels


async def test_an_order_that_never_left_needs_no_request_to_be_cancelled() -> None:
    bench = trading()
    bench.runner.orders.submit(proposal())
    [order] = bench.orders
    bench.runner.orders.cancel(order.key, "test")
    bench.runner.orders.pump()
    await settle()
    assert order.state is OrderState.CANCELLED
    assert bench.gateway.sent == []


async def test_an_order_that_may_not_exist_is_not_cancelled_before_it_was_looked_up() -> None:
    bench = trading()
    order = submit(bench, error=LOST)
    await settle()
    bench.runner.orders.cancel_all("test")
    await settle()
    assert order.state is OrderState.UNRESOLVED
    assert len(bench.gateway.sent) == 1


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, OrderState.PENDING_CANCEL),
        (make_error("gone", ErrorKind.NOT_FOUND), OrderState.UNRESOLVED),
        (make_error("invalid key", ErrorKind.AUTH), OrderState.OPEN),
        (make_error("busy", ErrorKind.RETRY), OrderState.PENDING_CANCEL),
    ],
)
async def test_the_answer_to_a_cancel(error: ExchangeError | None, state: OrderState) -> None:
    bench = trading()
    order = submit(bench)
    await settle()
    bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    if error is not None:
        bench.refuse(order, error)
    bench.runner.orders.cancel_all("test")
    await settle()
    assert order.state is state


@pytest.mark.parametrize(
    ("found", "before", "after"),
    [
        (LookUp.STILL_OPEN, OrderState.PENDING_CANCEL, OrderState.PENDING_CANCEL),
        (LookUp.GONE, OrderState.PENDING_CANCEL, OrderState.CANCELLED),
        (LookUp.NEVER_ARRIVED, OrderState.UNRESOLVED, OrderState.UNRESOLVED),
    ],
)
async def test_what_a_look_up_found(found: LookUp, before: OrderState, after: OrderState) -> None:
    bench = trading()
    order = submit(bench, error=LOST if before is OrderState.UNRESOLVED else None)
    await settle()
    if before is OrderState.PENDING_CANCEL:
        bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
        bench.runner.orders.cancel_all("test")
    assert order.state is before
    bench.runner.orders.on_look_up(order, found)
    assert order.state is after
    assert (order.key in bench.context.retry) is (found is LookUp.NEVER_ARRIVED)


async def test_a_withdrawn_order_is_not_sent_by_its_retry() -> None:
    """Issue 11: place, "too many" (10006), cancel; the cancel got 110001, and the retry sent the order after all."""
    bench = trading()
    order = submit(bench, error=make_error("too many visits", ErrorKind.RATE_LIMIT, ret_code=10006))
    await settle()
    bench.runner.orders.cancel(order.key, "outside_grid")
    bench.gateway.answers.clear()
    for _ in range(10):
        await bench.clock.advance(1.0)
        for item in bench.context.retry.due(bench.clock.now_s):
            bench.runner.orders.retry(item)
        bench.runner.orders.pump()
    assert [endpoint for endpoint, _ in bench.gateway.sent] == ["order/create"]
    assert (order.state, bench.orders) == (OrderState.CANCELLED, [])
    assert [r.verdict for r in bench.notes.of(IntentRecord) if r.action == "cancel"] == ["dropped"]


async def test_an_unresolved_order_is_withdrawn_once_and_cancelled_when_it_is_found() -> None:
    """Issue 11: each tick recorded another cancel as "sent"; 10 rows became 260 in a second, and none was sent."""
    bench = trading()
    order = submit(bench, error=LOST)
    await settle()
    bench.gateway.answers.clear()
    for _ in range(26):
        bench.runner.orders.cancel_all("outside_grid")
    assert [r.verdict for r in bench.notes.of(IntentRecord) if r.action == "cancel"] == ["waiting"]
    assert [endpoint for endpoint, _ in bench.gateway.sent] == ["order/create"]

    bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    bench.runner.orders.pump()
    await settle()
    assert [r.verdict for r in bench.notes.of(IntentRecord) if r.action == "cancel"] == ["waiting", "sent"]
    assert [endpoint for endpoint, _ in bench.gateway.sent] == ["order/create", "order/cancel"]
    assert steps(bench) == ["pending", "unresolved", "open", "pending_cancel"]


async def test_an_order_that_was_held_to_be_over_and_is_listed_is_followed_again() -> None:
    bench = trading()
    order = submit(bench)
    await settle()
    bench.runner.orders.on_look_up(order, LookUp.GONE)
    assert (order.state, bench.orders) == (OrderState.CANCELLED, [])
    bench.runner.orders.revive(bench.update(order, OrderStatus.NEW))
    assert (order.state, bench.orders) == (OrderState.OPEN, [order])
    assert bench.alarm.keys == ["revived.BTCUSDT"]
    assert bench.notes.of(OrderRecord)[-1].reason == "was held to be cancelled, and rests"


async def test_executions_that_never_come_are_given_up() -> None:
    bench = trading()
    order = submit(bench)
    await settle()
    bench.runner.on_order_update(bench.update(order, OrderStatus.FILLED, cum_exec_qty=order.qty))
    assert bench.runner.book.unsettled() == [order]
    bench.runner.orders.give_up_executions(order)
    assert bench.orders == []


async def test_a_stop_drops_what_has_not_left() -> None:
    bench = trading()
    sent = submit(bench)
    bench.runner.orders.submit(proposal(498_000))
    bench.runner.orders.drop_unsent("stop")
    assert bench.orders == [sent]
    await settle()


@pytest.mark.parametrize("by_operator", [True, False])
async def test_a_pause_drops_what_has_not_left(by_operator: bool) -> None:
    """Seed 2 of the simulator: behind the rate limit openings left two seconds after the liquidation."""
    bench = trading()
    sent = submit(bench)
    bench.runner.orders.submit(proposal(498_000))
    if by_operator:
        bench.runner.pause()
    else:
        bench.runner.on_execution(bench.taken(ExecType.BUST))
    assert bench.orders == [sent]
    await settle()


async def test_the_orders_of_a_shadow_strategy_live_the_same_life() -> None:
    bench = AccountBench(config=strategy(shadow_mode=True))
    bench.start()
    bench.runner.set_price(ticker())
    bench.runner.orders.submit(proposal())
    bench.runner.orders.pump()
    [order] = bench.orders
    assert order.state is OrderState.PENDING, "nothing is heard within the decision, as from the exchange"
    await bench.clock.advance(0)
    assert order.state is OrderState.OPEN
    bench.runner.orders.cancel(order.key, "outside_grid")
    assert order.state is OrderState.PENDING_CANCEL
    await bench.clock.advance(0)
    assert (order.state, bench.orders, bench.gateway.sent) == (OrderState.CANCELLED, [], [])
    assert {r.verdict for r in bench.notes.of(IntentRecord)} == {"shadow"}
    assert [(r.state, r.shadow) for r in bench.notes.of(OrderRecord)] == [
        ("open", True),
        ("pending_cancel", True),
        ("cancelled", True),
    ]


# ---------------------------------------------------------------------- news of others


async def test_an_unknown_order_of_ours_is_verified_and_a_foreign_one_reported_once() -> None:
    bench = trading()
    order = submit(bench)
    other = trading()
    news = replace(other.update(order, OrderStatus.NEW), order_link_id="by-hand")
    other.runner.on_order_update(news)
    assert other.alarm.keys == ["foreign.BTCUSDT"]
    other.runner.on_order_update(news)
    assert other.alarm.keys == ["foreign.BTCUSDT"]
    bench.runner.on_ticker(ticker())
    ours = bench.orders[-1]
    other.runner.on_order_update(other.update(ours, OrderStatus.NEW))
    assert take_reconcile(other.requests) == "one of our orders is not in the book"
    await settle()


async def test_an_adopted_order_is_recorded_as_such() -> None:
    bench = trading()
    bench.runner.on_ticker(ticker())
    order = bench.orders[0]
    other = trading()
    other.runner.orders.adopt(bench.update(order, OrderStatus.NEW), "reconcile")
    [adopted] = other.orders
    assert (adopted.link_id, adopted.state) == (order.link_id, OrderState.OPEN)
    assert other.notes.of(OrderRecord)[-1].reason == "adopted (reconcile)"
    assert other.alarm.keys == [], "every restart adopts: that is no news"
    await settle()


async def test_an_order_that_is_sent_is_open_by_our_records_in_the_same_turn() -> None:
    bench = trading()
    bench.runner.orders.submit(proposal())
    [order] = bench.orders
    assert order.link_id not in bench.context.recorded.by_key
    bench.runner.orders.pump()
    assert bench.context.recorded.by_key[order.link_id] == bench.notes.of(OrderRecord)[-1]
    bench.notes.record_sent = lambda order_data: 0  # type: ignore[method-assign]
    bench.runner.orders.submit(proposal(498_000))
    bench.runner.orders.pump()
    assert len(bench.gateway.sent) == 2
    assert list(bench.context.recorded.by_key) == [order.link_id], "it found no room, so it is recorded again later"
