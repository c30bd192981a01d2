"""The wire of shadow strategies: news right after the decision, one wallet and one gate for all of an account."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Side
from gridbot.risk.funds import FRESH_S
from tests.worker.account_bench import AccountBench, strategy, ticker, wallet

D = Decimal


def shadowed() -> AccountBench:
    bench = AccountBench(strategy(shadow_mode=True))
    bench.start()
    bench.runner.on_ticker(ticker())
    return bench


def broken(_: object) -> None:
    raise RuntimeError("broken")


async def test_what_happens_at_one_moment_is_heard_together_and_once() -> None:
    bench = shadowed()
    assert bench.clock.timers == [0.0]
    await bench.clock.advance(0)
    assert {order.state for order in bench.orders} == {"open"}
    assert bench.clock.timers == []


async def test_orders_and_fills_change_the_funds_of_the_shadow_gate_alone() -> None:
    bench = shadowed()
    await bench.clock.advance(0)
    shadow, real = bench.context.shadows.gate.state.funds, bench.gate.state.funds
    assert real.available == D(10_000)
    assert shadow.available is not None
    assert 0 < shadow.available < 10_000
    assert shadow.promised == 0, "resting orders are in the figure itself"
    first = bench.order_at(Side.BUY)
    bench.runner.on_ticker(ticker(first.price - 1, ts=2))
    await bench.clock.advance(0)
    fee = first.qty * first.price * D("0.0002")
    assert bench.context.shadows.gate.state.funds.wallet_balance == 10_000 - fee
    assert bench.gate.state.funds.wallet_balance == 10_000


def test_the_stream_keeps_the_funds_of_both_gates_fresh() -> None:
    """Funds of a shadow strategy went stale after 45 s: 174 false refusals in an account that had only such."""
    bench = shadowed()
    later_s = bench.clock.monotonic_s() + 10 * FRESH_S
    bench.gate.stream_alive(later_s)
    assert bench.context.shadows.gate.state.funds.fresh(later_s) is not None


def test_a_wallet_that_breaks_a_shadow_strategy_halts_it() -> None:
    bench = shadowed()
    bench.runner.on_wallet = broken  # type: ignore[method-assign, assignment]
    bench.context.shadows.on_wallet(wallet("9000", ts=9))
    assert bench.runner.risk_state.halted
    assert bench.alarm.alerts


async def test_news_that_break_a_shadow_strategy_halt_it() -> None:
    bench = shadowed()
    bench.runner.orders.on_order_update = broken  # type: ignore[method-assign, assignment]
    await bench.clock.advance(0)
    assert bench.runner.risk_state.halted
