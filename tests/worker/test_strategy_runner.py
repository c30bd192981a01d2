"""What events mean for one strategy: the ones that pause it, halt it, move its grid, or count as money only."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecType, OrderStatus, Side
from gridbot.records.record_types import ExecutionRecord, GridRecord, PositionRecord
from gridbot.risk.holds import Held, Hold, Who
from gridbot.risk.refusals import Refusal
from gridbot.worker.schedule import Job, JobKind
from tests.execution.support import settle
from tests.worker.account_bench import PRICE, AccountBench, grid_of, position, strategy, ticker

D = Decimal


async def trading(**more: object) -> AccountBench:
    """A strategy whose first ladder rests on the exchange."""
    bench = AccountBench(strategy(**more))
    bench.start()
    bench.runner.on_ticker(ticker())
    await settle()
    for order in bench.orders:
        bench.runner.on_order_update(bench.update(order, OrderStatus.NEW))
    return bench


@pytest.mark.parametrize("kind", [ExecType.BUST, ExecType.ADL])
async def test_a_liquidation_or_deleveraging_pauses_alerts_and_reads_the_position_again(kind: ExecType) -> None:
    """incident L51: only trades were looked at."""
    bench = await trading()
    runner = bench.runner
    bench.requests.started(Job(JobKind.POSITIONS, "BTCUSDT"))
    runner.on_execution(bench.taken(kind))
    reason = f"the exchange reduced our long by 0.01 ({kind})"
    since_ms = bench.clock.wall_ms()
    assert runner.risk_state.holds.held == {Hold.PAUSED: Held(reason, Who.LIQUIDATION, since_ms)}, "no operator did it"
    assert bench.requests.wishes.positions == {"BTCUSDT"}
    [(level, key, text, about)] = bench.alarm.alerts
    assert (level, key, about) == ("error", "reduced.BTCUSDT", "btc")
    assert "reduced our long by 0.01" in text
    before = len(bench.orders)
    runner.on_ticker(ticker("50400", ts=2))
    await settle()
    assert len(bench.orders) <= before
    assert runner.placement.refusals.keys() <= {Refusal.PAUSED, Refusal.LEVEL_TAKEN, Refusal.NOT_COVERED}
    [record] = bench.notes.of(ExecutionRecord)
    assert record.exec_type == kind, "its fee and its loss are counted all the same"


@pytest.mark.parametrize("word", ["Delivery", "MovePosition", "ForwardSplitSettle", "SpinOffSettle"])
async def test_what_moves_a_leg_in_a_way_nobody_knows_pauses_and_moves_no_leg_of_ours(word: str) -> None:
    """They were booked as opening trades of a leg, and the strategy traded on."""
    bench = await trading()
    runner, ledger = bench.runner, bench.context.ledger
    bench.requests.started(Job(JobKind.POSITIONS, "BTCUSDT"))
    event = replace(bench.taken(ExecType(word)), exec_word=word, fee=D("0.2"))
    for _ in range(2):
        runner.on_execution(event)
    held = runner.risk_state.holds.held[Hold.PAUSED]
    assert (held.who, word in held.reason) == (Who.EXCHANGE, True)
    assert bench.requests.wishes.positions == {"BTCUSDT"}
    assert bench.alarm.keys == ["reduced.BTCUSDT"], "one incident"
    assert ledger.leg("btc", Direction.LONG)[0] == ledger.leg("btc", Direction.SHORT)[0] == 0
    assert (ledger.of("btc").fills, ledger.of("btc").fees) == (0, D("0.2"))
    [record] = bench.notes.of(ExecutionRecord)
    assert record.exec_type == word


@pytest.mark.parametrize("word", ["Dividend", "Settle", "SessionSettlePnL"])
async def test_money_of_another_kind_is_told_and_the_position_read_and_trading_goes_on(word: str) -> None:
    bench = await trading()
    event = replace(bench.taken(ExecType(word)), exec_word=word, closed_size=D(0), realised=D("12.5"), order_id="")
    bench.runner.on_execution(event)
    assert not bench.runner.risk_state.paused
    assert bench.requests.wishes.positions == {"BTCUSDT"}
    assert bench.alarm.alerts == [
        ("warning", "unusual.BTCUSDT", f"BTCUSDT: the exchange booked +12.5 USDT ({word})", "btc")
    ]
    assert bench.context.ledger.of("btc").net == D("12.5")
    assert bench.context.ledger.leg("btc", Direction.SHORT)[0] == 0


async def test_funding_is_money_and_no_reason_to_pause() -> None:
    bench = await trading()
    bench.runner.on_execution(bench.taken(ExecType.FUNDING))
    assert not bench.runner.risk_state.paused
    assert bench.alarm.alerts == []
    assert bench.context.ledger.of("btc").fills == 0


async def test_an_execution_counts_once() -> None:
    bench = await trading()
    order = bench.order_at(Side.BUY)
    for _ in range(3):
        bench.runner.on_execution(bench.fill(order))
    assert bench.context.ledger.of("btc").fills == 1
    assert len(bench.notes.of(ExecutionRecord)) == 1


async def test_each_fill_is_saved_as_told_before_it_is_recorded_also_one_that_moves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Simulator, seed 31: long and short filled at one price, a death, and the second fill was told again."""
    bench = await trading()
    order = bench.order_at(Side.BUY)
    saved: list[tuple[list[str], int]] = []
    monkeypatch.setattr(
        bench.runner.saving, "_save", lambda told: saved.append((sorted(told), len(bench.notes.of(ExecutionRecord))))
    )
    version = bench.runner.engine.state_version
    part = replace(bench.fill(order), exec_id="part", leaves_qty=D("0.001"))
    bench.runner.on_execution(part)
    bench.runner.on_execution(part)
    assert bench.runner.engine.state_version == version, "a part of a fill moves nothing"
    bench.runner.on_execution(replace(bench.fill(order), exec_id="rest"))
    assert bench.runner.engine.state_version > version
    assert saved == [(["part"], 0), (["rest"], 1)]


async def test_a_fill_moves_the_grid_and_saves_it() -> None:
    bench = await trading()
    order = bench.order_at(Side.BUY)
    version = bench.runner.engine.state_version
    bench.runner.on_execution(bench.fill(order))
    assert grid_of(bench.runner).last_fill == order.price
    assert bench.runner.engine.state_version != version
    assert order.state == "filled"


async def test_a_fill_of_an_order_that_the_book_has_forgotten_moves_the_grid_as_well() -> None:
    bench = await trading()
    order = bench.order_at(Side.BUY)
    other = AccountBench()
    other.start()
    other.runner.on_ticker(ticker())
    stranger = other.fill(order, order_link_id=f"{order.link_id.rsplit('-', 2)[0]}-zz-0")
    assert other.runner.book.get(stranger.order_link_id) is None
    other.runner.on_execution(stranger)
    assert grid_of(other.runner).last_fill == order.price


async def test_a_fill_of_a_foreign_order_does_not_move_the_grid() -> None:
    bench = await trading()
    order = bench.order_at(Side.BUY)
    bench.runner.on_execution(bench.fill(order, order_id="theirs", order_link_id="by-hand"))
    assert grid_of(bench.runner).last_fill is None
    assert bench.context.ledger.of("btc").fills == 1


async def test_a_halt_is_told_once_and_ends_with_resume() -> None:
    bench = await trading()
    bench.runner.halt("a fault")
    bench.runner.halt("another")
    assert bench.runner.risk_state.halted == "a fault"
    assert [text for _, _, text, _ in bench.alarm.alerts] == ["btc is halted: a fault"]
    bench.runner.resume()
    bench.runner.halt("again")
    assert len(bench.alarm.alerts) == 2


async def test_stop_forgets_what_was_not_sent_and_leaves_what_rests() -> None:
    bench = await trading()
    resting = {order.key for order in bench.orders}
    bench.gateway.is_silent = True
    bench.runner.on_ticker(ticker("50300", ts=2))
    bench.runner.stop()
    assert {order.key for order in bench.orders if not order.on_wire} == set()
    assert {order.key for order in bench.orders} >= {
        key for key in resting if bench.runner.book.get(key) in bench.orders
    }
    assert not bench.runner.risk_state.ready
    bench.gateway.is_silent = False
    await settle()


def test_an_older_position_of_the_stream_changes_nothing() -> None:
    bench = AccountBench()
    bench.runner.on_position_update(position(Direction.LONG, "2", exchange_ts=5))
    bench.runner.on_position_update(position(Direction.LONG, "1", exchange_ts=4))
    assert bench.runner.risk_state.legs[Direction.LONG].size == 2
    bench.runner.on_position_update(position(Direction.LONG, "0", None, exchange_ts=6))
    assert bench.runner.risk_state.legs[Direction.LONG].size == 0, "flat is news like any other"


def test_an_answer_of_rest_that_is_older_than_the_stream_changes_nothing() -> None:
    """Issue 11: 0.03 became 0.01 again. The row's own time and sequence number count, not when it came."""
    bench = AccountBench()
    legs = bench.runner.risk_state.legs
    bench.runner.on_position_update(position(Direction.LONG, "0.03", exchange_ts=5, seq=8))
    bench.runner.on_position_update(position(Direction.LONG, "0.01", exchange_ts=4, seq=8), source="rest")
    bench.runner.on_position_update(position(Direction.LONG, "0.02", exchange_ts=5, seq=7), source="rest")
    assert legs[Direction.LONG].size == D("0.03")
    bench.runner.on_position_update(position(Direction.LONG, "0.04", exchange_ts=5, seq=8), source="rest")
    assert legs[Direction.LONG].size == D("0.04")
    bench.runner.on_position_update(position(Direction.LONG, "0.05", exchange_ts=2, seq=9))
    assert legs[Direction.LONG].size == D("0.05"), "the exchange's clock was set back"


def test_a_leg_that_the_exchange_contradicted_is_read_again_before_it_counts() -> None:
    bench = AccountBench()
    bench.runner.on_position_update(position(Direction.LONG, "2", exchange_ts=5))
    bench.runner.risk_state.doubt_leg(Direction.LONG)
    bench.runner.on_position_update(position(Direction.LONG, "2", exchange_ts=6))
    assert bench.runner.risk_state.legs[Direction.LONG].unsure
    bench.runner.on_position_update(position(Direction.LONG, "1", exchange_ts=7), source="rest")
    assert not bench.runner.risk_state.legs[Direction.LONG].unsure


def test_a_position_is_recorded_when_it_changes_and_whenever_rest_says_it() -> None:
    bench = AccountBench()
    for source in ("stream", "stream", "rest"):
        bench.runner.on_position_update(position(Direction.LONG, "2", exchange_ts=5), source=source)
    assert [record.source for record in bench.notes.of(PositionRecord)] == ["stream", "rest"]


async def test_unrealised_pnl_needs_a_price_and_an_entry() -> None:
    bench = AccountBench()
    positions = bench.runner.positions
    assert positions.unrealised(Direction.LONG) == 0
    bench.runner.on_position_update(position(Direction.LONG, "2", "49000", liq_price=D(40000)))
    bench.runner.on_position_update(position(Direction.SHORT, "1", None))
    assert positions.unrealised(Direction.LONG) is None
    bench.runner.set_price(ticker())
    assert positions.unrealised(Direction.LONG) == 2 * (PRICE - 49000)
    assert positions.unrealised(Direction.SHORT) is None
    assert positions.liq_price(Direction.LONG) == 40000
    assert positions.liq_price(Direction.SHORT) is None


async def test_a_grid_is_recorded_when_it_has_changed() -> None:
    bench = AccountBench()
    bench.start()
    bench.runner.saving.record_if_changed()
    assert bench.notes.of(GridRecord) == []
    bench.runner.on_ticker(ticker())
    for _ in range(3):
        bench.runner.saving.record_if_changed()
    assert len(bench.notes.of(GridRecord)) == 1
    await settle()


async def test_a_shadow_strategy_fills_by_the_market_and_sends_nothing() -> None:
    bench = AccountBench(strategy(shadow_mode=True))
    bench.start()
    bench.runner.on_ticker(ticker())
    await bench.clock.advance(0)
    first = bench.order_at(Side.BUY)
    bench.runner.on_ticker(ticker(first.price - 1, ts=2))
    assert bench.runner.risk_state.legs[Direction.LONG].size == 0, "a fill is heard after the price that caused it"
    await bench.clock.advance(0)
    assert bench.runner.risk_state.legs[Direction.LONG].size == D("0.01")
    assert bench.gateway.sent == []
    assert bench.context.ledger.last_exec_ts == 0, "only the exchange's own executions are paged from"


def test_a_leg_that_may_only_be_reduced_stays_so_until_the_exchange_says_otherwise() -> None:
    """A row without `isReduceOnly` counted as free."""
    bench = AccountBench()
    found = []
    for ts, told in enumerate((True, None, False, None), start=1):
        row = position(Direction.LONG, "1", reduce_only=told, exchange_ts=ts)
        bench.runner.on_position_update(row, source="rest")
        found.append(bench.runner.risk_state.legs[Direction.LONG].reduce_only)
    assert found == [True, True, False, False]
