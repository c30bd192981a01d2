"""Equal to the exchange again: what is asked in which sequence, and what each answer changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, Side, WalletEvent
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import OrderAck
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import result_of_cancel
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S
from gridbot.orders.reconcile_turn import FIRST_WAIT_S
from gridbot.orders.retry import MAX_TRIES
from gridbot.records.record_types import ExecutionRecord, ReconcileRecord
from gridbot.worker.reconciler import Reconciler
from tests.execution.support import settle
from tests.worker.account_bench import SYMBOL, AccountBench, position, ticker, wallet

D = Decimal
BUSY = make_error("busy", ErrorKind.RETRY)


@dataclass
class FakeQueries:
    """Answers as told, and notes what was asked. `on_asked` is called before each answer."""

    asked: list[str] = field(default_factory=list)
    asked_from: list[int] = field(default_factory=list)
    listed_executions: list[ExecutionEvent] = field(default_factory=list)
    executions_by_order: dict[str, list[ExecutionEvent]] = field(default_factory=dict)
    listed_orders: list[OrderUpdateEvent] = field(default_factory=list)
    listed_positions: list[PositionEvent] = field(
        default_factory=lambda: [position(direction, "0", None) for direction in Direction]
    )
    found: dict[str, OrderUpdateEvent] = field(default_factory=dict)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    on_asked: dict[str, Callable[[], None]] = field(default_factory=dict)

    def _note(self, what: str) -> None:
        self.asked.append(what)
        self.on_asked.get(what, lambda: None)()
        failures = self.failures.get(what)
        if failures:
            raise failures.pop(0)

    async def executions(self, start_ms: int) -> list[ExecutionEvent]:
        self.asked_from.append(start_ms)
        self._note("executions")
        return [row for row in self.listed_executions if row.exchange_ts >= start_ms]

    async def executions_of(self, symbol: str, *, order_link_id: str, order_id: str) -> list[ExecutionEvent]:
        self._note("executions of an order")
        return self.executions_by_order.get(order_link_id, [])

    async def open_orders(self) -> list[OrderUpdateEvent]:
        self._note("open orders")
        return list(self.listed_orders)

    async def positions(self, symbol: str) -> Sequence[PositionEvent]:
        self._note("positions")
        return list(self.listed_positions)

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

    def made_anew(self) -> Reconciler:
        """Another one on the same ledger and book."""
        return Reconciler(
            self.queries,  # type: ignore[arg-type]
            {SYMBOL: self.account.runner},
            self.account.context,
            on_wallet=lambda event, source: None,
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
    assert (await bench.reconciler.run()).executions == 0
    assert bench.account.context.ledger.of("btc").fills == 1


async def test_an_execution_of_another_symbol_is_kept_under_no_strategy() -> None:
    bench = Bench()
    bench.queries.listed_executions = [ExecutionEvent("ETHUSDT", "e", "o", "", Side.BUY, D(1), D(1), fee=D(2))]
    assert (await bench.reconciler.run()).executions == 1
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
    bench.queries.on_asked["positions"] = lambda: bench.queries.listed_executions.append(fill)
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


async def test_whether_executions_still_arrive_is_asked_for_each_symbol_alone() -> None:
    """Another symbol that trades all the time must not keep this one from following the exchange."""
    bench = Bench()
    await bench.reconciler.run()
    now_ms = bench.account.clock.wall_ms()
    bench.account.context.ledger.apply(
        "eth", ExecutionEvent("E", "e", "o", "", Side.BUY, D(1), D(1), exchange_ts=now_ms)
    )
    bench.queries.listed_positions = [position(Direction.LONG, "2", "49000")]
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.ledger.leg("btc", Direction.LONG) == (2, 49000)


async def test_legs_that_cannot_be_read_stay_as_they_were() -> None:
    bench = Bench()
    bench.queries.listed_positions = [position(Direction.LONG, "2", "49000")]
    bench.queries.failures["positions"] = [BUSY]
    with pytest.raises(ExchangeError):
        await bench.reconciler.positions(SYMBOL)
    assert bench.account.runner.risk_state.legs[Direction.LONG].size == 0
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.runner.risk_state.legs[Direction.LONG].size == 2


# ---------------------------------------------------------------------- complete up to


async def test_a_live_fill_after_an_outage_does_not_hide_the_older_ones() -> None:
    """incident L49: the private stream is dark for over a minute, and a live fill comes before the first paging."""
    bench = Bench()
    orders = await bench.place()
    start_ms = bench.account.clock.wall_ms()
    fills = [
        bench.account.fill(order, f"e{n}", exchange_ts=start_ms + seconds * 1000)
        for n, (order, seconds) in enumerate(zip(orders, (0, 1, 2, 64), strict=False))
    ]
    bench.account.runner.on_execution(fills[0])
    bench.queries.listed_executions = fills[:1]
    await bench.reconciler.run()
    await bench.account.clock.advance(64)
    bench.account.runner.on_execution(fills[3])
    bench.queries.listed_executions = fills
    bench.queries.listed_orders = []
    report = await bench.reconciler.run()
    assert report.executions == 2
    assert [record.exec_id for record in bench.account.notes.of(ExecutionRecord)] == ["e0", "e3", "e1", "e2"]
    assert bench.account.context.ledger.complete_to == fills[3].exchange_ts


async def test_the_watermark_stays_where_paging_failed() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    now_ms = bench.account.clock.wall_ms()
    bench.account.context.ledger.begin(now_ms)
    bench.account.runner.on_execution(bench.account.fill(first, exchange_ts=now_ms + 500_000))
    bench.queries.failures["executions"] = [BUSY]
    reconciler = bench.made_anew()
    with pytest.raises(ExchangeError):
        await reconciler.run()
    await reconciler.run()
    assert set(bench.queries.asked_from) == {now_ms - OVERLAP_MS}


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


# ---------------------------------------------------------------------- asked for during a pass


async def test_a_reconcile_asked_for_while_one_runs_leads_to_another() -> None:
    """The job of the same name is dropped, its wish is not: what happened after the listing must be seen, too."""
    bench = Bench()
    await bench.place()
    bench.queries.on_asked["wallet"] = lambda: bench.reconciler.reconcile("the stream reconnected").close()
    await bench.reconciler.reconcile("periodic")
    bench.queries.on_asked.clear()
    await settle()
    assert [record.reason for record in bench.account.notes.of(ReconcileRecord)] == [
        "periodic",
        "the stream reconnected",
    ]
    assert bench.queries.asked == ["executions", "open orders", "positions", "wallet"] * 2


async def test_a_wish_during_a_pass_that_fails_is_granted_as_well() -> None:
    bench = Bench()
    bench.queries.failures["open orders"] = [BUSY]
    first = asyncio.create_task(bench.reconciler.run("first"))
    second = asyncio.create_task(bench.reconciler.run("second"))
    third = asyncio.create_task(bench.reconciler.run("third"))
    with pytest.raises(ExchangeError):
        await first
    assert await second == await third
    records = bench.account.notes.of(ReconcileRecord)
    assert [(record.reason, record.ok) for record in records] == [("first", False), ("second", True)]


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


async def test_stop_ends_the_look_ups_and_the_waiting() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    bench.reconciler.look_up(first)
    waiting = asyncio.create_task(bench.reconciler.run())
    await asyncio.sleep(0)
    await bench.reconciler.stop()
    await bench.account.clock.advance(60)
    bench.reconciler.unsettled()
    assert waiting.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await bench.reconciler.run()
    assert "order" not in bench.queries.asked


async def test_whoever_stops_waiting_harms_nobody() -> None:
    bench = Bench()
    waiting = asyncio.create_task(bench.reconciler.run("first"))
    await asyncio.sleep(0)
    waiting.cancel()
    await settle()
    assert [record.ok for record in bench.account.notes.of(ReconcileRecord)] == [True]


# ---------------------------------------------------------------------- missing executions


def _filled(bench: Bench, order: TrackedOrder) -> None:
    filled = bench.account.update(order, OrderStatus.FILLED, cum_exec_qty=order.qty, exchange_ts=5)
    bench.account.runner.on_order_update(filled)


async def each_second(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        await bench.account.clock.advance(1)
        bench.reconciler.unsettled()


async def test_executions_that_never_come_are_given_up_after_a_minute_with_an_alert() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    half = bench.account.fill(first, qty=first.qty / 2, leaves_qty=first.qty / 2)
    bench.account.runner.on_execution(half)
    bench.queries.executions_by_order[first.link_id] = [half]
    _filled(bench, first)
    assert not bench.reconciler.unsettled(), "they may be on their way"
    await bench.account.clock.advance(FIRST_WAIT_S + 0.1)
    assert bench.reconciler.unsettled()
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    await each_second(bench, round(SETTLE_AFTER_S) + 5)
    assert not bench.account.runner.book.has_live(first.direction, first.ticks)
    [(_, key, text, _)] = bench.account.alarm.alerts
    assert key == f"unsettled.{first.key}"
    assert f"executed {first.qty} by the order's own account" in text
    assert f"the executions list has {half.qty}" in text, "the figure of before it was settled"
    assert not bench.reconciler.unsettled()


async def test_missing_executions_are_asked_for_by_the_order_whenever_they_were() -> None:
    """Both frames of a fill were lost, and other fills went on: paging by time has left it behind."""
    bench = Bench()
    [first, *_] = await bench.place()
    bench.queries.executions_by_order[first.link_id] = [bench.account.fill(first, exchange_ts=1)]
    _filled(bench, first)
    bench.reconciler.unsettled()
    await bench.account.clock.advance(FIRST_WAIT_S)
    assert bench.queries.asked == ["executions of an order"]
    assert bench.account.context.ledger.of("btc").fills == 1
    assert not bench.account.runner.book.has_live(first.direction, first.ticks)
    await each_second(bench, 2)
    assert not bench.reconciler.unsettled()


async def test_nothing_is_given_up_while_the_exchange_does_not_answer() -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    _filled(bench, first)
    bench.queries.failures["executions of an order"] = [BUSY] * 10
    await each_second(bench, 200)
    assert bench.account.runner.book.has_live(first.direction, first.ticks)
    assert bench.account.alarm.alerts == []


# ---------------------------------------------------------------------- faults of ours


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


async def test_a_wallet_that_cannot_be_taken_in_leaves_nobody_waiting() -> None:
    bench = Bench()
    takers: list[Callable[[], object]] = [lambda: 1 / 0, lambda: None]

    def take(event: WalletEvent, source: str) -> None:
        takers.pop(0)()

    bench.reconciler._on_wallet = take
    with pytest.raises(ZeroDivisionError):
        await bench.reconciler.run()
    assert bench.account.alarm.keys == ["fault"]
    await bench.reconciler.run()


async def test_a_fault_that_cannot_be_reported_leaves_nobody_waiting_either() -> None:
    bench = Bench()

    def refuse(level: str, key: str, text: str, strategy: str = "") -> None:
        raise OSError("the disk is full")

    bench.queries.failures["wallet"] = [ZeroDivisionError("ours")]
    bench.reconciler._context = replace(bench.account.context, alert=refuse)
    with pytest.raises(ZeroDivisionError):
        await bench.reconciler.run()


async def test_the_offset_of_the_clock_is_measured_by_asking_for_it() -> None:
    bench = Bench()
    await bench.reconciler.measure_clock()
    assert bench.queries.asked == ["clock"]


async def test_the_wallet_is_read_alone() -> None:
    bench = Bench()
    await bench.reconciler.wallet()
    assert (bench.queries.asked, bench.wallets) == (["wallet"], ["rest"])
