"""Equal to the exchange again: what is asked in which sequence, and what each answer changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, PositionEvent, Side
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.orders.order import OrderState
from gridbot.orders.reconcile_turn import FIRST_WAIT_S, MOMENT_MS
from gridbot.orders.reconcile_words import AskOrder
from gridbot.records.record_types import AdjustmentRecord, CorrectionRecord, ExecutionRecord
from gridbot.worker.job_watch import FAILS_FOR_S, Reading
from gridbot.worker.reconciler import ASKED, REST_WITHIN_S, Reconciler
from tests.execution.support import settle
from tests.records.test_open_orders import order as recorded
from tests.worker.account_bench import SYMBOL, position
from tests.worker.reconcile_bench import BUSY, Bench, D


async def test_executions_come_before_the_orders_they_belong_to() -> None:
    """incident L18: what was filled in the gap is applied before its order can be taken for cancelled."""
    bench = Bench()
    [first, *_] = await bench.place()
    fill = bench.account.fill(first)
    bench.queries.listed_executions = [fill]
    bench.queries.listed_orders = bench.queries.listed_orders[1:]
    held = position(first.direction, str(fill.qty), str(fill.price), exchange_ts=fill.exchange_ts)
    bench.queries.listed_positions = [held]
    report = await bench.reconciler.run()
    assert bench.queries.asked == ["executions", "open orders", "positions", "wallet"]
    assert (report.executions, report.looked_up) == (1, 0)
    assert first.state is OrderState.FILLED
    assert bench.account.notes.of(ExecutionRecord)[0].source == "backfill"
    assert bench.wallets == ["rest"]


TWICE = {
    "the stream, then the list": ("stream", "list"),
    "the list, then the stream": ("list", "stream"),
    "row and execution, both again after a reconnect": ("row", "stream", "row", "stream", "list"),
    "the execution before its row, both again": ("stream", "row", "stream", "row", "list"),
    "the row first, its execution by the order's id, and then from the stream": ("row", "id", "stream", "list"),
}
"""How the exchange tells one fill more than once."""


@pytest.mark.parametrize("ways", TWICE.values(), ids=list(TWICE))
async def test_an_execution_that_comes_twice_counts_once_in_whatever_order(ways: tuple[str, ...]) -> None:
    bench = Bench()
    [first, *_] = await bench.place()
    fill, runner = bench.account.fill(first), bench.account.runner
    row = bench.account.update(first, OrderStatus.FILLED, cum_exec_qty=first.qty, exchange_ts=3)
    bench.queries.listed_orders = bench.queries.listed_orders[1:]
    for way in ways:
        match way:
            case "stream":
                runner.on_execution(fill)
            case "row":
                runner.on_order_update(row)
            case "id":
                bench.queries.executions_by_order[first.link_id] = [fill]
                bench.reconciler.again()
                await bench.account.clock.advance(FIRST_WAIT_S)
                await settle()
            case _:
                bench.queries.listed_executions = [fill]
                await bench.reconciler.run()
    ledger = bench.account.context.ledger
    assert [record.exec_id for record in bench.account.notes.of(ExecutionRecord)] == ["e1"]
    assert (ledger.of("btc").fills, ledger.leg("btc", first.direction)[0]) == (1, first.qty)
    assert (first.state, first.exec_qty, first.cum_exec_qty) == (OrderState.FILLED, first.qty, first.qty)


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


async def test_a_look_up_that_is_given_up_is_told_no_more() -> None:
    """Its incident stood for up to 15 minutes after the order had ended."""
    bench = Bench()
    [first, *_] = await bench.place()
    bench.reconciler.look_up(first)
    jobs, reading = bench.account.context.jobs, Reading(*ASKED[AskOrder], first.link_id)
    for at_s in (0.0, FAILS_FOR_S):
        jobs.ended(reading, BUSY, at_s)
    jobs.look(FAILS_FOR_S, is_explained=False)
    bench.reconciler.again()
    assert jobs.failing()["look_up"].startswith(f"reading the state of {first.link_id} failed 2 times in a row: ")
    bench.account.runner.on_order_update(bench.account.update(first, OrderStatus.CANCELLED, exchange_ts=9))
    bench.account.clock.now_s += 2
    bench.reconciler.again()
    assert jobs.failing() == {}


# ---------------------------------------------------------------------- positions


async def test_a_fill_between_the_first_pages_and_the_positions_is_counted_once() -> None:
    """At a start the stream's copy still waits: a leg believed with that fill would count it again afterwards."""
    bench = Bench()
    [first, *_] = await bench.place()
    fill = bench.account.fill(first)
    held = position(first.direction, str(fill.qty), str(fill.price), exchange_ts=fill.exchange_ts)
    bench.queries.listed_positions = [held]
    bench.queries.on_asked["positions"] = lambda: bench.queries.listed_executions.append(fill)
    await bench.reconciler.run()
    bench.account.runner.on_execution(fill)
    assert bench.account.context.ledger.leg("btc", first.direction) == (fill.qty, fill.price)
    assert bench.account.context.ledger.of("btc").fills == 1


@pytest.mark.parametrize("rows", [[], [position(Direction.LONG, "0", "0")]], ids=["one-way", "hedge"])
async def test_a_symbol_whose_legs_are_not_listed_is_in_one_way_mode_and_is_read_again(
    rows: list[PositionEvent],
) -> None:
    """Seed 1489: set by hand while the private stream was down and a halt let nothing be sent, nobody noticed it."""
    bench = Bench()
    bench.queries.listed_positions = rows
    await bench.reconciler.positions(SYMBOL)
    assert bench.account.context.requests.wishes.terms == (frozenset() if rows else {SYMBOL})


async def test_a_listing_ahead_of_the_stream_does_not_change_the_ledger() -> None:
    """It is believed when the executions were paged twice, some seconds apart; then a record says so."""
    bench = Bench()
    [first, *_] = await bench.place()
    await bench.reconciler.run()
    now_ms = bench.account.clock.wall_ms()
    bench.account.runner.on_execution(bench.account.fill(first, exchange_ts=now_ms))
    ledger = bench.account.context.ledger
    before = ledger.leg("btc", first.direction)
    bench.queries.listed_positions = [position(first.direction, "7", exchange_ts=now_ms + 1)]
    await bench.reconciler.positions(SYMBOL)
    assert ledger.leg("btc", first.direction) == before
    assert bench.account.runner.risk_state.legs[first.direction].size == 7, "the risk rules want the newest word"
    assert bench.reconciler.open_questions == [f"{first.direction} of {SYMBOL}"]
    assert bench.reconciler.has_questions is True
    bench.account.clock.now_s += 10
    await bench.reconciler.positions(SYMBOL)
    assert bench.reconciler.open_questions == []
    assert bench.reconciler.has_questions is False
    assert ledger.leg("btc", first.direction)[0] == 7
    [record] = bench.account.notes.of(AdjustmentRecord)
    assert (record.size_before, record.entry_before, record.size) == (*before, 7)


async def test_an_order_that_ended_unseen_is_an_open_question_until_the_exchange_has_answered() -> None:
    bench = Bench()
    bench.account.context.recorded.take(recorded("gone"))
    bench.queries.failures["order"] = [BUSY]
    await bench.reconciler.run()
    assert bench.reconciler.open_questions == ["gone"]
    assert bench.reconciler.has_questions is True
    bench.queries.found["gone"] = OrderUpdateEvent(
        SYMBOL, "o", "gone", Side.BUY, Direction.LONG, D(50000), D(1), OrderStatus.CANCELLED, exchange_ts=5
    )
    await bench.account.clock.advance(60)
    await bench.reconciler.run()
    await settle()
    assert bench.reconciler.open_questions == []
    assert bench.reconciler.has_questions is False


async def test_a_row_ahead_of_the_stream_does_not_cost_the_profit_of_the_close_that_it_has() -> None:
    """Issue 11: 0.010 bought at 49900 and sold at 50000 is 1.00, whatever REST said before the stream came."""
    bench = Bench()
    now_ms = bench.account.clock.wall_ms()
    buy = ExecutionEvent(SYMBOL, "e1", "o1", "", Side.BUY, D(49900), D("0.010"), exchange_ts=now_ms, seq=1)
    sell = ExecutionEvent(
        SYMBOL, "e2", "o2", "", Side.SELL, D(50000), D("0.010"), closed_size=D("0.010"), exchange_ts=now_ms, seq=2
    )
    bench.account.runner.on_execution(buy)
    bench.queries.listed_positions = [position(Direction.LONG, "0", None, exchange_ts=now_ms, seq=2)]
    for _ in range(2):  # so often that it is believed
        await bench.reconciler.positions(SYMBOL)
        bench.account.clock.now_s += 10
    bench.account.runner.on_execution(sell)
    assert [record.realised_pnl for record in bench.account.notes.of(ExecutionRecord)] == [0, D("1.00")]
    assert bench.account.context.ledger.of("btc").realised == D("1.00")
    assert bench.account.context.ledger.leg("btc", Direction.LONG) == (0, 0)


async def test_a_late_execution_corrects_what_is_recorded_by_a_record_before_its_own() -> None:
    bench = Bench()
    now_ms = bench.account.clock.wall_ms()
    rows = [
        ExecutionEvent(SYMBOL, f"e{n}", "o", "", Side.BUY, D(price), D(1), exchange_ts=now_ms, seq=n)
        for n, price in ((1, 90), (2, 100))
    ]
    close = replace(rows[1], exec_id="e3", side=Side.SELL, price=D(110), closed_size=D(1), seq=3)
    for execution in (rows[1], close, rows[0]):
        bench.account.runner.on_execution(execution)
    money = [r for r in bench.account.notes.records if isinstance(r, ExecutionRecord | CorrectionRecord)]
    assert [(type(r).__name__, r.exec_id, r.realised_pnl) for r in money] == [
        ("ExecutionRecord", "e2", 0),
        ("ExecutionRecord", "e3", 10),
        ("CorrectionRecord", "e3", 5),
        ("ExecutionRecord", "e1", 0),
    ]


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


async def test_after_a_gap_nothing_is_well_until_a_pass_was_complete() -> None:
    """Once the exchange had no room: the pass after a gap failed, and eight fills waited 61 s for the next sweep.

    The worker called itself healthy meanwhile, so it was stopped, and its records did not explain the balance.
    """
    bench = Bench()
    [first, *_] = await bench.place()
    assert (bench.reconciler.behind, bench.reconciler.again()) == ("", "")
    requests = bench.account.context.requests
    requests.reconcile("the private stream reconnected", since_ms=bench.account.clock.wall_ms())
    missed = "what the private stream missed is not read yet"
    assert bench.reconciler.behind == missed
    bench.queries.on_asked["executions"] = lambda: bench.queries.asked.append(bench.reconciler.behind)
    bench.queries.failures["open orders"] = [BUSY]
    bench.queries.listed_executions = [bench.account.fill(first)]
    with pytest.raises(ExchangeError):
        await bench.reconciler.run()
    assert bench.queries.asked[:2] == ["executions", missed]
    failed = "comparing with the exchange failed, it is tried again each 10 s"
    assert bench.reconciler.behind == f"{failed}: {with_reading_remedy(BUSY)}"
    assert bench.reconciler.again() == "the last one failed"
    await bench.reconciler.run()
    assert (bench.reconciler.behind, bench.reconciler.again()) == ("", "")
    assert bench.account.context.ledger.of("btc").fills == 1


async def _counted_fifty_seconds_later() -> tuple[Bench, Reconciler, int]:
    """A ledger that began at the time that is given (ms), its one execution, and a reconciler that knows of neither."""
    bench = Bench()
    [first, *_] = await bench.place()
    now_ms = bench.account.clock.wall_ms()
    bench.account.context.ledger.begin(now_ms)
    bench.account.runner.on_execution(bench.account.fill(first, exchange_ts=now_ms + 50_000))
    await bench.account.clock.advance(50)
    reconciler = bench.made_anew()
    return bench, reconciler, now_ms


async def test_a_start_pages_the_last_moment_and_asks_for_the_rest_if_no_pass_comes() -> None:
    bench, reconciler, now_ms = await _counted_fifty_seconds_later()
    await reconciler.begin()
    assert bench.queries.asked_from[0] == now_ms + 50_000 - MOMENT_MS
    assert reconciler.again() == ""
    await bench.account.clock.advance(REST_WITHIN_S + 1)
    assert reconciler.again() == "the start has paged the last moment only"
    await reconciler.run()
    assert now_ms - OVERLAP_MS in bench.queries.asked_from
    await bench.account.clock.advance(REST_WITHIN_S + 1)
    assert reconciler.again() == ""


async def test_a_start_of_what_another_host_had_until_now_pages_all_since_the_watermark() -> None:
    """What the newest counted execution says of the moment before it holds for our own stream alone."""
    bench, reconciler, now_ms = await _counted_fifty_seconds_later()
    await reconciler.begin(knows_last=False)
    assert bench.queries.asked_from[0] == now_ms - OVERLAP_MS
    await bench.account.clock.advance(REST_WITHIN_S + 1)
    assert reconciler.again() == ""


# ---------------------------------------------------------------------- faults of ours


async def test_the_offset_of_the_clock_is_measured_by_asking_for_it() -> None:
    bench = Bench()
    await bench.reconciler.measure_clock()
    assert bench.queries.asked == ["clock"]


async def test_the_wallet_is_read_alone() -> None:
    bench = Bench()
    await bench.reconciler.wallet()
    assert (bench.queries.asked, bench.wallets) == (["wallet"], ["rest"])
