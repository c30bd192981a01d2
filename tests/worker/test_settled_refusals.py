"""What is settled would be refused again, for the same reasons: compared with a gate that is asked at each price."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, PlaceLimitIntent, Side
from gridbot.core.limits import Limit
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import Leg
from tests.examples import examples
from tests.risk.helpers import trading_state
from tests.worker.account_bench import AccountBench, position, strategy, ticker, wallet

D = Decimal
OPENS = tuple(
    PlaceLimitIntent("BTCUSDT", side, 500_000 + sign * ticks, direction, False, 0)
    for side, direction, sign in ((Side.BUY, Direction.LONG, -1), (Side.SELL, Direction.SHORT, 1))
    for ticks in (500, 4_000, 9_000)
)


def bench_of(long: str, short: str, available: str | None, **more: object) -> AccountBench:
    bench = AccountBench(strategy(max_margin=50, **more))
    bench.start()
    bench.gate.wallet_seen(wallet(available=available, ts=2), bench.clock.now_s)
    for direction, size in ((Direction.LONG, long), (Direction.SHORT, short)):
        bench.runner.on_position_update(position(direction, size), source="rest")
    bench.runner.set_price(ticker())
    return bench


def asked(bench: AccountBench) -> dict[tuple[Direction, int], Refusal | None]:
    """What the gate says now to each, without taking it in."""
    before = bench.gate.state
    found = {}
    for intent in OPENS:
        proposal = bench.runner.placement.proposal(intent)
        found[intent.direction, intent.ticks] = bench.gate.admit(bench.runner.risk_state, proposal, bench.clock.now_s)
        bench.gate.state = before
    return found


def compare(bench: AccountBench) -> None:
    """None would pass; and for the same reason, but for those that a latch has come before since. Where others count,
    nothing would be said of a cap either."""
    said: list[str] = []
    bench.gate._warn = lambda key, text: said.append(text)
    found = asked(bench)
    if bench.runner.placement.settled.counts_others(OPENS):
        assert not said
    assert None not in found.values()
    if not bench.gate.loss_latched:
        assert found == bench.runner.placement.refused


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32))
@example(seed=10648466)  # what held again was remembered from before a refusal for another reason
def test_at_each_price_at_which_it_holds_the_gate_would_say_the_same(seed: int) -> None:
    async def check() -> None:
        draw = random.Random(seed)
        bench = bench_of(
            draw.choice(("0", "0.003", "0.5")),
            draw.choice(("0", "0.02", "0.4")),
            draw.choice(("0", "1", "30", "9000", None)),
            amount=draw.choice(("q0.01", "x0.05", "500")),
            caps={"max_notional": draw.choice(("off", str(draw.randrange(100, 1200)), "x4.5", "x0.1"))},
        )
        other, has_other = trading_state("other"), draw.random() < 0.6
        if has_other:
            bench.gate.enroll(other)
            other.set_leg(Direction.LONG, Leg(D(1), D(100)))
            bench.gate.limit(Limit.parse(draw.choice(("500", "1500", "x0.7"))))
        placement, intents = bench.runner.placement, OPENS
        for number in range(30):
            bench.clock.now_s += draw.choice((0.1, 1, 20))
            if draw.random() < 0.7:
                bench.gate.stream_alive(bench.clock.now_s)
            if draw.random() < 0.1:
                balance = draw.choice(("10000", "10000", "900"))
                funds = wallet(balance, draw.choice(("0", "40", "200")), ts=3 + number)
                bench.gate.wallet_seen(funds, bench.clock.now_s)
            if draw.random() < 0.05:
                bench.gate.latch_loss(draw.choice(("too much is lost", "")))
            price = D(50_000) + D(draw.choice((0, draw.gauss(0, 20), draw.gauss(0, 3000)))).quantize(D("0.1"))
            bench.runner.set_price(ticker(price, ts=number))
            other.set_price(ticker(draw.choice((30, 100, 400)), ts=number), bench.clock.now_s)
            if placement.settled.holds(intents):
                compare(bench)
                if placement.settled.counts_others(intents):
                    continue
                low, high = placement.settled.within(D(1), D(10**7))
                assert low <= price <= high
                for edge in (low, high):
                    bench.runner.set_price(ticker(edge, ts=number))
                    assert placement.settled.holds(intents)
                    compare(bench)
            else:
                placement.act(intents)

    asyncio.run(check())


@pytest.mark.parametrize(
    ("why", "more"),
    [
        (Refusal.MAX_NOTIONAL, {"long": "0.02", "caps": {"max_notional": "1000"}}),
        (Refusal.FUNDS, {"available": "0"}),
        (Refusal.LOSS_LIMIT, {"latched": True}),
        (Refusal.MAX_MARGIN, {"long": "10"}),
    ],
    ids=str,
)
async def test_an_account_without_room_is_not_asked_about_again_until_there_may_be(
    why: Refusal, more: dict[str, Any]
) -> None:
    bench = bench_of(more.pop("long", "0"), "0", more.pop("available", "9000"), caps=more.pop("caps", {}))
    if more:
        bench.gate.latch_loss("too much is lost")
    intents, placement = OPENS[:3], bench.runner.placement
    placement.act(intents)
    assert set(placement.refused.values()) == {why}
    for price in ("50000.1", "50300", "60000"):
        bench.runner.set_price(ticker(price, ts=2))
        assert placement.is_settled(intents)
    assert not placement.is_settled((*intents[:2], intents[2])), "another answer of the engine"
    lifted = {
        Refusal.MAX_NOTIONAL: lambda: bench.runner.set_price(ticker("20000", ts=3)),
        Refusal.FUNDS: lambda: bench.gate.wallet_seen(wallet(ts=4), bench.clock.now_s),
        Refusal.LOSS_LIMIT: lambda: bench.gate.latch_loss(""),
        Refusal.MAX_MARGIN: lambda: bench.runner.on_position_update(position(Direction.LONG, "0"), source="rest"),
    }
    lifted[why]()
    assert not placement.is_settled(intents)
    placement.act(intents)
    assert bench.orders


async def test_closes_of_a_bare_leg_wait_for_a_leg_or_an_order_and_not_for_money() -> None:
    bench = bench_of("0", "0", "9000", amount="x0.001")
    close = PlaceLimitIntent("BTCUSDT", Side.SELL, 500_500, Direction.LONG, True, 0)
    placement = bench.runner.placement
    placement.act(closes := (close,))
    assert set(placement.refused.values()) == {Refusal.NOT_COVERED}
    bench.gate.wallet_seen(wallet("20000", ts=9), bench.clock.now_s)
    assert placement.is_settled(closes), "no money lifts it"
    bench.runner.on_position_update(position(Direction.LONG, "0.5"), source="rest")
    assert not placement.is_settled(closes)
    placement.act(closes)
    assert bench.orders


async def test_what_all_are_worth_is_looked_at_again_at_each_price() -> None:
    bench, other = bench_of("0", "0", "9000", amount="100"), trading_state("other")
    bench.gate.enroll(other)
    other.set_leg(Direction.LONG, Leg(D(1), D(100)))
    bench.gate.limit(Limit.parse("150"))
    placement = bench.runner.placement
    placement.act(OPENS)
    assert set(placement.refused.values()) == {Refusal.ACCOUNT_MAX_NOTIONAL}
    assert not placement.is_settled(OPENS), "the cap was warned of: perhaps the next question warns again"
    placement.act(OPENS)
    assert placement.is_settled(OPENS)
    assert placement.settled.counts_others(OPENS)
    other.set_price(ticker("10", ts=2), bench.clock.now_s)
    assert not placement.is_settled(OPENS)
    placement.act(OPENS)
    assert bench.orders


async def test_nothing_is_settled_while_nobody_knows_what_there_is_or_other_prices_count() -> None:
    for available, account in ((None, None), ("0", Limit.parse("x9"))):
        bench = bench_of("0", "0", available)
        bench.gate._account = type(bench.gate._account)(account, bench.gate._account.strategies)
        bench.runner.placement.act(OPENS)
        bench.runner.placement.act(OPENS)
        assert Refusal.FUNDS in bench.runner.placement.refused.values()
        assert not bench.runner.placement.is_settled(OPENS)
    bench = bench_of("0", "0", "0")
    bench.runner.placement.act(OPENS)
    assert bench.runner.placement.is_settled(OPENS)
    bench.clock.now_s += 100
    bench.runner.set_price(ticker(ts=5))
    assert not bench.runner.placement.is_settled(OPENS), "the stream is silent: one may be tried"
