"""What the exchange's answers do to an order and to everything around it: leg, level, key, look-ups, further tries.

Runner, order manager, gate, book and executor are real; the answers are given by their codes (docs/bybit.md 4).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PlaceLimitIntent, Side
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.listing import Listing
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import result_of_place
from gridbot.orders.reconcile_turn import FIRST_WAIT_S
from gridbot.records.record_types import IntentRecord, OrderRecord
from gridbot.risk.gate import AUTH_COOLDOWN_S
from gridbot.risk.refusals import Refusal
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import Job, JobKind
from tests.execution.support import settle
from tests.worker.account_bench import SYMBOL, AccountBench, position, take_reconcile, ticker

D = Decimal
PAUSE_S = 1.1
"""After it the account's budget is whole again, also after "too many" (docs/bybit.md 1.5)."""
NO_SUCH_ORDER, ZERO_POSITION, BAD_KEY, TOO_MANY, USED_ID = 110001, 110017, 10003, 10006, 110072


def place(ticks: int, side: Side = Side.BUY, direction: Direction = Direction.LONG) -> PlaceLimitIntent:
    return PlaceLimitIntent(SYMBOL, side, ticks, direction, side is direction.close_side, 0)


def trading(long: str = "0") -> AccountBench:
    """A strategy that may trade, with a long position of this size."""
    bench = AccountBench()
    bench.start()
    bench.runner.set_price(ticker())
    bench.runner.on_position_update(position(Direction.LONG, long, "50000" if D(long) else None), source="rest")
    return bench


async def ask(bench: AccountBench, *intents: PlaceLimitIntent, ret_code: int = 0) -> list[TrackedOrder]:
    """Decide on these intents; the orders that left, after they were answered: with a code, or as accepted."""
    before = bench.orders
    bench.runner.placement.act(list(intents))
    sent = [order for order in bench.orders if order not in before]
    for order in sent:
        if ret_code:
            bench.refuse(order, from_ret_code(ret_code, "no"))
    await settle()
    await bench.clock.advance(PAUSE_S)
    return sent


async def cancel(bench: AccountBench, order: TrackedOrder) -> None:
    bench.runner.orders.cancel(order.key, "outside_grid")
    bench.runner.orders.pump()
    await settle()
    await bench.clock.advance(PAUSE_S)


# ---------------------------------------------------------------------- 110017, incident L8


CLOSE = place(501_000, Side.SELL)


async def test_a_close_that_the_exchange_cannot_cover_makes_its_leg_doubtful() -> None:
    """incident L8: it is never retried, and nothing of the leg is closed before its position was read again."""
    bench = trading(long="1")
    bench.requests.started(Job(JobKind.POSITIONS, SYMBOL))
    [order] = await ask(bench, CLOSE, ret_code=ZERO_POSITION)
    assert order.state is OrderState.REJECTED
    assert order.key not in bench.context.retry
    assert bench.runner.risk_state.legs[Direction.LONG].unsure
    assert not bench.runner.risk_state.legs[Direction.SHORT].unsure
    assert bench.requests.wishes.positions == {SYMBOL}

    for ticks in (501_000, 502_000):
        assert await ask(bench, place(ticks, Side.SELL)) == []
        assert bench.runner.placement.refusals == {Refusal.POSITION_UNSURE: 1}
    assert len(await ask(bench, place(499_000))) == 1, "opens are not concerned"
    bench.runner.on_position_update(position(Direction.LONG, "1"), source="rest")
    assert len(await ask(bench, CLOSE)) == 1


async def test_three_refused_closes_stop_their_level_for_a_minute_and_start_a_comparison() -> None:
    """incident L8: 535 refusals in 90 minutes, although the position was read again in between."""
    bench = trading(long="1")
    for attempt in range(3):
        assert take_reconcile(bench.requests) == "", f"after {attempt} refusals"
        assert len(await ask(bench, CLOSE, ret_code=ZERO_POSITION)) == 1
        bench.runner.on_position_update(position(Direction.LONG, "1"), source="rest")
    assert take_reconcile(bench.requests) == "long Sell @ 50100.0 was refused repeatedly"

    assert await ask(bench, CLOSE) == []
    assert bench.runner.placement.refusals == {Refusal.BREAKER_OPEN: 1}
    assert len(await ask(bench, place(502_000, Side.SELL))) == 1, "another level is not concerned"
    await bench.clock.advance(60)
    bench.runner.set_price(ticker(ts=2))
    assert len(await ask(bench, CLOSE)) == 1


# ---------------------------------------------------------------------- 110072: an id that is used


async def test_used_ids_are_told_at_once_unless_a_lost_answer_explains_them() -> None:
    """A create that is answered so over and over was silent for half a minute."""
    bench = trading()
    passage, book = bench.context.passage, bench.runner.book
    used, lost = from_ret_code(USED_ID, "no"), make_error("no answer", ErrorKind.AMBIGUOUS)
    orders = await ask(bench, *[place(ticks) for ticks in (499_000, 498_000, 497_000)])
    for order in orders:
        passage.answered(order, result_of_place(lost))
    for order in orders:
        passage.answered(replace(order, attempt=2), result_of_place(used))
    assert passage.blocked(book, "btc") == ""
    for order in orders:
        passage.answered(replace(order, attempt=3, answered_with=USED_ID), result_of_place(used))
    assert "retCode 110072" in passage.blocked(book, "btc")

    passage.repaired("btc")
    for order in orders:
        assert order.attempt == 1
        passage.answered(order, result_of_place(used))
    assert "retCode 110072" in passage.blocked(book, "btc")


# ---------------------------------------------------------------------- accepted, and ended at once


async def test_orders_that_the_exchange_accepts_and_ends_at_once_do_not_get_through() -> None:
    """They were placed again at each price, up to the cap per minute, with health green."""
    bench = trading()
    passage, sent = bench.context.passage, 0
    for _ in range(5):
        for order in await ask(bench, place(499_000)):
            sent += 1
            update = bench.update(order, OrderStatus.REJECTED, reject_reason="EC_ReachRiskPriceLimit")
            bench.runner.on_order_update(update)
    assert sent == 3, "the level waits"
    assert bench.runner.placement.refusals == {Refusal.BREAKER_OPEN: 1}
    said = passage.blocked(bench.runner.book, "btc")
    assert "3 refused in a row: the exchange accepted the order and ended it at once: EC_ReachRiskPriceLimit" in said
    assert said.endswith("narrow the grid, or wait until it comes back")
    assert bench.requests.wishes.terms == {SYMBOL}
    [order] = await ask(bench, place(498_000))
    assert passage.blocked(bench.runner.book, "btc") == said, "an acknowledgement is no proof"
    bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    assert passage.blocked(bench.runner.book, "btc") == ""


# ---------------------------------------------------------------------- 10003, incident L42


async def test_five_refused_keys_in_a_row_pause_all_orders_for_half_an_hour() -> None:
    """incident L42: the bot went on knocking with a dead key."""
    bench = trading()
    [waiting] = await ask(bench, place(490_000), ret_code=TOO_MANY)
    assert waiting.key in bench.context.retry
    for n in range(4):
        await ask(bench, place(499_000 - n), ret_code=BAD_KEY)
    assert bench.alarm.keys == []
    begun_s = bench.clock.now_s
    await ask(bench, place(498_000), ret_code=BAD_KEY)
    assert bench.alarm.keys == ["auth"]
    assert len(bench.context.retry) == 0, "what waited for another try would only knock again"

    for after_s, sent in ((5, 0), (AUTH_COOLDOWN_S - 1, 0), (AUTH_COOLDOWN_S + 0.1, 1)):
        await bench.clock.advance(max(0.0, begun_s + after_s - bench.clock.now_s))
        bench.runner.set_price(ticker(ts=2))
        assert len(await ask(bench, place(497_000))) == sent
        assert bench.runner.placement.refusals == ({} if sent else {Refusal.AUTH_COOLDOWN: 1})


@pytest.mark.parametrize("accepted", ["create", "cancel"])
async def test_refused_cancels_count_as_well_and_an_accepted_request_between_ends_the_row(accepted: str) -> None:
    bench = trading()
    order, other = await ask(bench, place(499_000), place(498_000))
    bench.refuse(order, from_ret_code(BAD_KEY, "no"))
    for _ in range(4):
        await cancel(bench, order)
        assert order.state is OrderState.OPEN, "nothing was cancelled"
    await (cancel(bench, other) if accepted == "cancel" else ask(bench, place(497_000)))
    for refused in range(1, 6):
        assert bench.alarm.keys == [], f"after {refused - 1} in a row"
        await cancel(bench, order)
    assert bench.alarm.keys == ["auth"]


# ---------------------------------------------------------------------- 110001, incident L14


class History:
    """What the exchange remembers of one order."""

    clock_offset_ms = 0

    def __init__(self, found: OrderUpdateEvent | None, executions: list[ExecutionEvent]) -> None:
        self._found, self._executions = found, executions

    async def find_order(self, symbol: str, **ids: str) -> OrderUpdateEvent | None:
        return self._found

    async def executions(self, since_ms: int, **_: object) -> Listing[ExecutionEvent]:
        return Listing(self._executions)


async def look_up(bench: AccountBench, order: TrackedOrder, history: Any) -> None:
    """The look-up that the answer asked for, made and answered."""
    assert await bench.requests.next_look_up() is order
    reconciler = Reconciler(history, {SYMBOL: bench.runner}, bench.context, on_wallet=lambda wallet, source: None)
    reconciler.look_up(order)
    await bench.clock.advance(FIRST_WAIT_S)


@pytest.mark.parametrize(
    ("status", "is_filled", "state"),
    [
        (OrderStatus.FILLED, True, OrderState.FILLED),
        (OrderStatus.CANCELLED, False, OrderState.CANCELLED),
        (None, True, OrderState.FILLED),  # too old for the order history, its execution is still listed
        (None, False, OrderState.CANCELLED),
    ],
)
async def test_a_cancel_of_an_order_that_is_gone_ends_it_as_its_history_says(
    status: OrderStatus | None, state: OrderState, *, is_filled: bool
) -> None:
    """incident L14: it stayed in the books and was cancelled again at each tick."""
    bench = trading()
    [order] = await ask(bench, place(499_000))
    bench.refuse(order, from_ret_code(NO_SUCH_ORDER, "order not exists or too late to cancel"))
    await cancel(bench, order)
    for _ in range(3):
        await cancel(bench, order)
    assert [endpoint for endpoint, _ in bench.gateway.sent] == ["order/create", "order/cancel"], "one cancel, no more"
    assert order.state is OrderState.UNRESOLVED
    assert bench.runner.book.has_live(order.direction, order.ticks), "nothing is placed in its stead meanwhile"

    done = order.qty if is_filled else D(0)
    found = None if status is None else bench.update(order, status, cum_exec_qty=done)
    await look_up(bench, order, History(found, [bench.fill(order)] if is_filled else []))
    assert order.state is state
    assert not bench.runner.book.has_live(order.direction, order.ticks)
    assert bench.context.ledger.of("btc").fills == is_filled
    assert bench.notes.of(OrderRecord)[-1].state == state


async def test_an_order_that_still_rests_after_all_is_cancelled_again() -> None:
    """Whoever withdrew it may have asked only once, as an operator's pause does."""
    bench = trading()
    [order] = await ask(bench, place(499_000))
    bench.refuse(order, from_ret_code(NO_SUCH_ORDER, "order not exists or too late to cancel"))
    await cancel(bench, order)
    bench.gateway.answers.clear()
    await look_up(bench, order, History(bench.update(order, OrderStatus.NEW), []))
    bench.runner.orders.pump()
    await settle()
    assert order.state is OrderState.PENDING_CANCEL
    assert [endpoint for endpoint, _ in bench.gateway.sent].count("order/cancel") == 2
    [*_, wish] = bench.notes.of(IntentRecord)
    assert (wish.verdict, wish.reason) == ("sent", "outside_grid")


async def test_a_repeated_frame_about_a_post_only_order_counts_once() -> None:
    """Three copies of one frame, as after a reconnect, opened the breaker of the level."""
    bench = trading()
    [order] = await ask(bench, place(499_000))
    end = bench.update(order, OrderStatus.CANCELLED, reject_reason="EC_PostOnlyWillTakeLiquidity", exchange_ts=9)
    for _ in range(3):
        bench.runner.on_order_update(end)
    assert bench.gate.breaker.open_until(bench.clock.now_s) == {}
    for _ in range(2):
        bench.gate.refused(order, bench.clock.now_s)
    assert len(bench.gate.breaker.open_until(bench.clock.now_s)) == 1, "it did count"
