"""Equal to the exchange again: what is asked in which sequence, and what each answer changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, Side, WalletEvent
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.records.record_types import ExecutionRecord, ReconcileRecord
from gridbot.worker.reconciler import LOOK_UP_AFTER_S, SETTLE_AFTER_S, Reconciler
from tests.execution.support import settle
from tests.worker.account_bench import SYMBOL, AccountBench, position, ticker, wallet

D = Decimal
BUSY = make_error("busy", ErrorKind.RETRY)


@dataclass
class FakeQueries:
    """Answers as told, and notes what was asked."""

    asked: list[str] = field(default_factory=list)
    listed_executions: list[ExecutionEvent] = field(default_factory=list)
    listed_orders: list[OrderUpdateEvent] = field(default_factory=list)
    listed_positions: list[PositionEvent] = field(
        default_factory=lambda: [position(direction, "0", None) for direction in Direction]
    )
    found: dict[str, OrderUpdateEvent] = field(default_factory=dict)
    failures: dict[str, list[ExchangeError]] = field(default_factory=dict)
    on_positions: Callable[[], None] = lambda: None

    def _note(self, what: str) -> None:
        self.asked.append(what)
        failures = self.failures.get(what)
        if failures:
            raise failures.pop(0)

    async def executions(self, start_ms: int) -> list[ExecutionEvent]:
        self._note("executions")
        return self.listed_executions

    async def open_orders(self) -> list[OrderUpdateEvent]:
        self._note("open orders")
        return self.listed_orders

    async def positions(self, symbol: str) -> Sequence[PositionEvent]:
        self._note("positions")
        self.on_positions()
        return self.listed_positions

    async def wallet(self) -> WalletEvent:
        self._note("wallet")
        return wallet(ts=99)

    async def find_order(self, symbol: str, *, order_link_id: str, order_id: str) -> OrderUpdateEvent | None:
        self._note("order")
        return self.found.get(order_link_id)

    async def server_time_ms(self) -> int:
        self._note("clock")
        return 0


class Bench:
    """An account whose ladder rests, and whose exchange is `queries`."""

    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        self.queries = FakeQueries()
        self.wallets: list[str] = []
        self.reconciler = Reconciler(
            self.queries,  # type: ignore[arg-type]
            {SYMBOL: self.account.runner},
            self.account.context,
            on_wallet=lambda event, source: self.wallets.append(source),
        )

    async def place(self) -> list[TrackedOrder]:
        """The first ladder, acknowledged and open, long enough ago to be listed."""
        account = self.account
        account.runner.on_ticker(ticker())
        await settle()
        for order in account.orders:
            account.runner.on_order_update(account.update(order, OrderStatus.NEW))
            order.sent_ms = 0
        self.queries.listed_orders = [account.update(order, OrderStatus.NEW) for order in account.orders]
        return account.orders


async def test_executions_come_before_the_orders_they_belong_to() -> None:
    """incident L18: what was filled in the gap is applied before its order can be taken for cancelled."""
    bench = Bench()
    [first, *_] = await bench.place()
    fill = bench.account.fill(first)
    bench.queries.listed_executions = [fill]
    bench.queries.listed_orders = bench.queries.listed_orders[1:]
    bench.queries.listed_positions = [position(first.direction, str(fill.qty), str(fill.price))]
    report = await bench.reconciler.run()
    assert bench.queries.asked == ["executions", "open orders", "positions", "wallet"]
    assert (report.executions, report.looked_up) == (1, 0)
    assert first.state is OrderState.FILLED
    assert bench.account.notes.of(ExecutionRecord)[0].source == "backfill"
    assert bench.wallets == ["rest"]


async def test_an_execution_that_was_counted_is_not_counted_again() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.on_execution(bench.account.fill(first))
    bench.queries.listed_executions = [bench.account.fill(first)]
    assert await bench.reconciler.backfill() == 0
    assert bench.account.context.ledger.of("btc").fills == 1


async def test_an_execution_of_another_symbol_is_kept_under_no_strategy() -> None:
    bench = Bench()
    bench.queries.listed_executions = [ExecutionEvent("ETHUSDT", "e", "o", "", Side.BUY, D(1), D(1), fee=D(2))]
    assert await bench.reconciler.backfill() == 1
    [record] = bench.account.notes.of(ExecutionRecord)
    assert (record.strategy, record.source) == ("", "backfill")
    assert bench.account.context.ledger.of("").fees == 2


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


@pytest.mark.parametrize(
    ("status", "state"),
    [(OrderStatus.CANCELLED, OrderState.CANCELLED), (OrderStatus.NEW, OrderState.OPEN), (None, OrderState.CANCELLED)],
)
async def test_an_order_that_is_not_listed_is_asked_for_by_its_id(
    status: OrderStatus | None, state: OrderState
) -> None:
    bench = Bench()
    [first, *rest] = await bench.place()
    bench.queries.listed_orders = bench.queries.listed_orders[1:]
    if status is not None:
        bench.queries.found[first.link_id] = bench.account.update(first, status, exchange_ts=5)
    report = await bench.reconciler.run()
    assert report.looked_up == 1
    assert first.state is state
    assert {order.state for order in rest} == {OrderState.OPEN}


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
    assert bench.reconciler.last_s == bench.account.clock.now_s


# ---------------------------------------------------------------------- positions


async def test_a_leg_that_our_executions_do_not_explain_is_taken_from_the_exchange() -> None:
    bench = Bench()
    bench.queries.listed_positions = [position(Direction.LONG, "2", "49000"), position(Direction.SHORT, "0", None)]
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.ledger.leg("btc", Direction.LONG) == (2, 49000)
    assert bench.account.runner.risk_state.legs[Direction.LONG].size == 2


async def test_a_fill_between_the_first_pages_and_the_positions_is_counted_once() -> None:
    """At a start the stream's copy still waits: a leg believed with that fill would count it again afterwards."""
    bench = Bench()
    [first, *_] = await bench.place()
    fill = bench.account.fill(first)
    held = position(first.direction, str(fill.qty), str(fill.price))
    bench.queries.listed_positions = [held]
    bench.queries.on_positions = lambda: bench.queries.listed_executions.append(fill)
    await bench.reconciler.run()
    bench.account.runner.on_execution(fill)
    assert bench.account.context.ledger.leg("btc", first.direction) == (fill.qty, fill.price)
    assert bench.account.context.ledger.of("btc").fills == 1


async def test_a_listing_ahead_of_the_stream_does_not_change_the_ledger() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    await bench.reconciler.run()
    bench.account.runner.on_execution(bench.account.fill(first, exchange_ts=bench.account.clock.wall_ms()))
    before = bench.account.context.ledger.leg("btc", first.direction)
    bench.queries.listed_positions = [position(first.direction, "7")]
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.ledger.leg("btc", first.direction) == before
    bench.account.clock.now_s += 10
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.ledger.leg("btc", first.direction)[0] == 7


# ---------------------------------------------------------------------- look-ups and missing executions


async def test_a_look_up_waits_a_moment_and_goes_on_until_the_exchange_answers() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.book.lose_reply(first.key, "timed out")
    bench.queries.found[first.link_id] = bench.account.update(first, OrderStatus.NEW, exchange_ts=5)
    bench.queries.failures["order"] = [BUSY, BUSY]
    started_s = bench.account.clock.now_s
    for _ in range(3):
        bench.reconciler.look_up(first)
    for _ in range(5):
        await settle()
    assert bench.queries.asked == ["order"] * 3, "one look-up at a time for an order"
    assert bench.account.clock.now_s - started_s == LOOK_UP_AFTER_S * (1 + 2 + 4)
    assert first.state is OrderState.OPEN


async def test_an_order_that_ended_meanwhile_is_not_looked_up() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.account.runner.on_order_update(bench.account.update(first, OrderStatus.CANCELLED, exchange_ts=5))
    bench.reconciler.look_up(first)
    await settle()
    assert bench.queries.asked == []


async def test_stop_ends_the_look_ups() -> None:
    bench = Bench()
    [first, *_] = await bench.place()

    async def for_ever(seconds: float) -> None:
        await asyncio.Event().wait()

    bench.account.clock.sleep = for_ever  # type: ignore[method-assign]
    bench.reconciler.look_up(first)
    await settle()
    await bench.reconciler.stop()
    assert bench.queries.asked == []


async def test_executions_that_never_come_are_given_up_after_a_minute_with_an_alert() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    filled = bench.account.update(first, OrderStatus.FILLED, cum_exec_qty=first.qty, exchange_ts=5)
    bench.account.runner.on_order_update(filled)
    assert not bench.reconciler.unsettled(), "they may be on their way"
    bench.account.clock.now_s += LOOK_UP_AFTER_S + 0.1
    assert bench.reconciler.unsettled()
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    bench.account.clock.now_s += SETTLE_AFTER_S
    bench.reconciler.unsettled()
    assert not bench.account.runner.book.has_live(first.direction, first.ticks)
    assert bench.account.alarm.keys == [f"unsettled.{first.key}"]
    assert not bench.reconciler.unsettled()


async def test_the_offset_of_the_clock_is_measured_by_asking_for_it() -> None:
    bench = Bench()
    await bench.reconciler.measure_clock()
    assert bench.queries.asked == ["clock"]
