"""From intents to orders: sequence, sizes, refusals and how often these are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from gridbot.core import CancelIntent, Direction, OrderStatus, PlaceLimitIntent, Side
from gridbot.orders.proposal import Proposal
from gridbot.records.record_types import IntentRecord
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.strategies.grid import GridConfig, GridEngine
from gridbot.worker.strategy_runner import StrategyRunner
from tests.execution.support import settle
from tests.worker.account_bench import BTC, AccountBench, position, strategy, ticker, wallet

D = Decimal


def place(ticks: int, side: Side = Side.BUY, direction: Direction = Direction.LONG) -> PlaceLimitIntent:
    is_close = side is direction.close_side
    return PlaceLimitIntent("BTCUSDT", side, ticks, direction, is_close, 0)


def refusals(bench: AccountBench) -> list[tuple[str, Decimal | None]]:
    return [(r.reason, r.price) for r in bench.notes.of(IntentRecord) if r.verdict == "refused"]


def trading(**more: object) -> AccountBench:
    bench = AccountBench(strategy(**more))
    bench.start()
    bench.runner.set_price(ticker())
    return bench


async def test_a_refusal_is_recorded_when_it_begins_and_not_again_while_it_lasts() -> None:
    """incident L12: each order that was held back wrote a line at each tick, two million a day."""
    bench = trading()
    bench.runner.pause()
    intents = [place(499_000), place(498_000)]
    for _ in range(50):
        bench.runner.placement.act(list(intents))
    assert refusals(bench) == [("paused", D("49900.0")), ("paused", D("49800.0"))]
    counted = bench.context.tallies.document()["refusals"]
    assert counted == {bench.runner.strat_id: {"paused": 2}}, "as often as it is recorded"


async def test_through_the_whole_runner_each_level_is_refused_once() -> None:
    """incident L12, at the ticks of a market that moves."""
    bench = trading()
    bench.runner.pause()
    for n in range(200):
        bench.runner.on_ticker(ticker(D(50000) + D(n % 7) / 10, ts=n))
    recorded = refusals(bench)
    assert {reason for reason, _ in recorded} == {"paused"}
    assert len(recorded) == len(set(recorded)) == bench.runner.placement.refusals[Refusal.PAUSED] > 0


async def test_another_reason_and_a_new_beginning_are_recorded() -> None:
    bench = trading()
    one = [place(499_000)]
    bench.runner.pause()
    bench.runner.placement.act(list(one))
    bench.runner.halt("a fault")
    bench.runner.placement.act(list(one))
    bench.runner.resume()
    bench.runner.placement.act(list(one))
    [order] = bench.orders
    bench.runner.orders.cancel(order.key, "test")
    bench.runner.on_order_update(bench.update(order, OrderStatus.CANCELLED))
    bench.runner.pause()
    bench.runner.placement.act(list(one))
    await settle()
    assert [reason for reason, _ in refusals(bench)] == ["paused", "halted", "paused"]


async def test_the_everyday_refusals_are_counted_and_not_recorded() -> None:
    bench = trading()
    bench.runner.placement.act([place(499_000)])
    bench.runner.placement.act([place(499_000), place(501_000, Side.SELL)])
    assert bench.runner.placement.refusals == {Refusal.LEVEL_TAKEN: 1, Refusal.NOT_COVERED: 1}
    assert refusals(bench) == []


async def test_a_close_that_nothing_is_left_for_waits_for_that_whatever_else_would_refuse_it() -> None:
    """Like those of a flat leg: neither sized nor checked at each price."""
    bench = trading()
    bench.runner.on_position_update(position(Direction.LONG, "0.0105"), source="rest")
    bench.runner.placement.act([place(501_000, Side.SELL)])
    [order] = bench.orders
    bench.runner.pause()
    more = [place(502_000, Side.SELL), place(503_000, Side.SELL)]
    bench.runner.placement.act(more)
    assert bench.runner.placement.refusals == {Refusal.NOT_COVERED: 2}
    assert bench.runner.placement.is_settled(more)
    assert refusals(bench) == []
    bench.runner.on_position_update(position(Direction.LONG, "0.03"), source="rest")
    bench.runner.placement.act(more)
    assert bench.runner.placement.refusals == {Refusal.PAUSED: 2}, order


async def test_closes_go_before_opens_and_the_nearest_first() -> None:
    bench = trading()
    bench.runner.on_position_update(position(Direction.LONG, "1"), source="rest")
    bench.runner.placement.act([place(490_000), place(499_000), place(510_000, Side.SELL), place(501_000, Side.SELL)])
    assert [order.ticks for order in bench.orders] == [501_000, 510_000, 499_000, 490_000]


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ("1", ["0.01", "0.01", "0.01"]),
        ("0.03", ["0.01", "0.01", "0.01"]),
        ("0.029", ["0.01", "0.01"]),
        ("0.01", ["0.01"]),
        ("0.005", ["0.005"]),  # the last lot, once
    ],
)
async def test_the_closes_of_one_batch_together_never_exceed_the_position(size: str, sent: list[str]) -> None:
    """incident L38: all of them were compared with the position as it was before the batch."""
    bench = trading()
    bench.runner.on_position_update(position(Direction.LONG, size), source="rest")
    for _ in range(2):
        bench.runner.placement.act([place(ticks, Side.SELL) for ticks in (501_000, 502_000, 503_000)])
        await settle()
    assert [order.qty for order in bench.orders] == [D(qty) for qty in sent]
    assert {order.ticks for order in bench.orders} == set((501_000, 502_000, 503_000)[: len(sent)]), "nearest first"


async def test_when_nothing_is_left_to_close_the_levels_behind_are_not_sized_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 13,000 closes that the gate was asked about in a busy minute, 12,000 did not fit, as one refusal had shown."""
    asked: list[int] = []
    admit = Gate.admit

    def noted(gate: Gate, view: StrategyRiskState, each: Proposal, now_s: float) -> Refusal | None:
        asked.append(each.ticks)
        return admit(gate, view, each, now_s)

    monkeypatch.setattr(Gate, "admit", noted)
    bench = trading(amount="100")
    bench.runner.on_position_update(position(Direction.LONG, "0.0043"), source="rest")
    intents = [place(ticks, Side.SELL) for ticks in range(501_000, 520_000, 1_000)]
    bench.runner.placement.act(intents)
    assert [(order.ticks, order.qty) for order in bench.orders] == [(501_000, D("0.002")), (502_000, D("0.002"))]
    assert asked == [501_000, 502_000]
    bench.runner.on_position_update(position(Direction.LONG, "0.0053"), source="rest")
    bench.runner.placement.act(intents[2:])
    assert asked[2:] == [503_000], "none of them is smaller than 0.002"
    far = [place(ticks, Side.SELL) for ticks in (503_000, 504_000, 1_100_000, 1_200_000)]
    bench.runner.placement.act(far)
    assert (bench.orders[-1].ticks, bench.orders[-1].qty) == (1_100_000, D("0.001")), "which is smaller"


async def test_cancels_are_carried_out_with_the_places_of_the_same_decision() -> None:
    bench = trading()
    bench.runner.placement.act([place(499_000)])
    await settle()
    [order] = bench.orders
    bench.runner.placement.act(
        [CancelIntent("BTCUSDT", order.key, "outside_grid", order.side, order.ticks, order.direction), place(498_000)]
    )
    await settle()
    assert [endpoint for endpoint, _ in bench.gateway.sent] == ["order/create", "order/cancel", "order/create"]


async def test_an_answer_that_nothing_but_a_leg_can_change_is_not_looked_at_again() -> None:
    looks = 0

    class Intents(tuple[PlaceLimitIntent]):
        def __iter__(self) -> Iterator[PlaceLimitIntent]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    bench = trading()
    intents = Intents([place(501_000, Side.SELL)])
    bench.runner.placement.act(intents)
    bench.runner.placement.act(intents)
    assert looks == 1, "the same object again: no second look"
    bench.runner.on_position_update(position(Direction.LONG, "1"), source="rest")
    bench.runner.placement.act(intents)
    assert [order.ticks for order in bench.orders] == [501_000], "there is something to close now"


async def test_closes_that_no_leg_covers_are_refused_before_a_price_comes_and_nothing_else_is() -> None:
    bench = trading()
    placement, closes = bench.runner.placement, [place(501_000, Side.SELL), place(502_000, Side.SELL)]
    for more in (place(499_000), CancelIntent("BTCUSDT", "k1", "rebuild", Side.SELL, 503_000, Direction.LONG)):
        mixed = [*closes, more]
        assert not placement.settle(mixed)
        assert not placement.is_settled(mixed)
        assert not placement.refused
    assert not placement.covers_a_close
    assert placement.settle(closes)
    assert placement.is_settled(closes)
    assert placement.refusals == {Refusal.NOT_COVERED: 2}
    bench.runner.on_position_update(position(Direction.LONG, "0.03"), source="rest")
    assert not placement.is_settled(closes)
    assert placement.covers_a_close, "one of them can be sent"
    assert bench.runner.settle() is None
    assert not bench.orders
    assert refusals(bench) == []
    bench.runner.pause()
    placement.act([place(499_000)])
    assert not placement.settle([]), "whoever asks what is wanted in vain is told of it until the next decision"


async def test_a_level_that_the_engine_holds_for_free_is_tried_again_when_its_old_order_is_gone() -> None:
    """An order that is being withdrawn is none for the engine, so its end is no news for it: the same object again."""
    bench = trading()
    bench.runner.placement.act([place(499_000)])
    await settle()
    [old] = bench.orders
    bench.runner.on_order_update(bench.update(old, OrderStatus.NEW))
    bench.runner.orders.cancel(old.key, "outside_grid")
    intents, version = (place(499_000),), bench.runner.book.limit_orders.version
    bench.runner.placement.act(intents)
    assert bench.runner.placement.refusals == {Refusal.LEVEL_TAKEN: 1}
    bench.runner.on_order_update(bench.update(old, OrderStatus.CANCELLED, exchange_ts=3))
    assert bench.runner.book.limit_orders.version == version
    bench.runner.placement.act(intents)
    assert [order.ticks for order in bench.orders if order is not old] == [499_000]


async def test_two_strategies_of_an_account_spend_one_wallet() -> None:
    """incident L56: each compared its orders with the same balance, and together they spent more than there was."""
    bench = trading()
    bench.gate.wallet_seen(wallet(available="60", ts=2), bench.clock.now_s)
    other = second_strategy(bench)
    bench.runner.placement.act([place(499_000)])  # 499 USDT at 10x and a twentieth: 52.4
    other.placement.act([place(498_000)])
    assert (len(bench.runner.book), len(other.book)) == (1, 0)
    assert other.placement.refusals == {Refusal.FUNDS: 1}


def second_strategy(bench: AccountBench) -> StrategyRunner:
    """Another one of the same account, with a book and legs of its own, that may trade."""
    config = strategy(strat_id="two")
    runner = StrategyRunner(config, BTC, GridEngine("BTCUSDT", BTC, GridConfig(4, D("0.2")), "two"), bench.context)
    for direction in Direction:
        runner.on_position_update(position(direction, "0", None), source="rest")
    runner.ready()
    runner.set_price(ticker())
    return runner


async def test_what_time_can_lift_is_looked_at_again() -> None:
    bench = trading()
    bench.gate.wallet_seen(wallet(available="0", ts=2), bench.clock.now_s)
    intents = (place(499_000),)
    bench.runner.placement.act(intents)
    assert bench.runner.placement.refusals == {Refusal.FUNDS: 1}
    bench.gate.wallet_seen(wallet(available="9000", ts=3), bench.clock.now_s)
    bench.runner.placement.act(intents)
    assert [order.ticks for order in bench.orders] == [499_000]
