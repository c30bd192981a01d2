"""The gate: what may leave, and the first reason why something may not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.config.fields import Limit
from gridbot.core import Direction, OrderStatus, Side, WalletEvent, client_order_id
from gridbot.orders.book import OrderBook
from gridbot.orders.breakers import RateCap
from gridbot.orders.proposal import Proposal, wire_order
from gridbot.risk.caps import Caps
from gridbot.risk.funds import FRESH_S, PROBE_S, Funds
from gridbot.risk.gate import STALE_PRICE_S, Gate, LevelKey
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from tests.orders.helpers import INSTRUMENT, make_order, update

D = Decimal
NOW = 1.0  # a clock that has just started: nothing may look like "long ago" (incident L36)


def wallet(balance: str = "1000", available: str | None = "1000", ts: int = 1) -> WalletEvent:
    return WalletEvent(
        "USDT", D(balance), available_balance=None if available is None else D(available), exchange_ts=ts
    )


def proposal(
    ticks: int = 1000,
    side: Side = Side.BUY,
    direction: Direction = Direction.LONG,
    qty: str = "0.1",
    distance: str = "0",
) -> Proposal:
    return Proposal(
        side=side,
        direction=direction,
        ticks=ticks,
        price=INSTRUMENT.price(ticks),
        qty=D(qty),
        reduce_only=side is direction.close_side,
        client_id=client_order_id("s1", "BTCUSDT", side, ticks, direction),
        level_distance=D(distance),
    )


class Bench:
    """A gate with one risk_state that may trade, and the warnings it gave."""

    def __init__(self, caps: Caps | None = None) -> None:
        self.warnings: list[str] = []
        self.funds = Funds()
        self.funds.update(wallet(), NOW)
        self.gate = Gate(self.funds, warn=lambda key, text: self.warnings.append(key))
        self.risk_state = StrategyRiskState("s1", "BTCUSDT", OrderBook(INSTRUMENT), caps or Caps())
        self.risk_state.ready = True
        self.risk_state.last_price, self.risk_state.price_s = D("100.5"), NOW
        self.risk_state.legs = {d: Leg(leverage=D(10)) for d in Direction}
        self.gate.strategies["s1"] = self.risk_state

    def ask(self, wanted: Proposal | None = None, now: float = NOW) -> Refusal | None:
        return self.gate.admit(self.risk_state, wanted or proposal(), now)


def test_everything_right_passes() -> None:
    assert Bench().ask() is None


@pytest.mark.parametrize("what", ["stopping", "loss", "ready", "halted", "paused", "auth", "stale", "no price"])
def test_reasons_that_stop_everything(what: str) -> None:
    bench = Bench()
    expected = {
        "stopping": Refusal.STOPPING,
        "loss": Refusal.LOSS_LIMIT,
        "ready": Refusal.NOT_READY,
        "halted": Refusal.HALTED,
        "paused": Refusal.PAUSED,
        "auth": Refusal.AUTH_COOLDOWN,
        "stale": Refusal.STALE_PRICE,
        "no price": Refusal.STALE_PRICE,
    }[what]
    now = NOW
    match what:
        case "stopping":
            bench.gate.stopping = True
        case "loss":
            bench.gate.loss_latched = "lost too much"
        case "ready":
            bench.risk_state.ready = False
        case "halted":
            bench.risk_state.halted = "delisted"
        case "paused":
            bench.risk_state.paused = True
        case "auth":
            assert [bench.gate.auth.fail(NOW) for _ in range(5)] == [False] * 4 + [True]
        case "stale":
            now = NOW + STALE_PRICE_S + 1
        case "no price":
            bench.risk_state.last_price = None
    bench.risk_state.legs[Direction.LONG] = Leg(D(1), D(100), D(10))
    assert bench.ask(now=now) is expected
    assert bench.ask(proposal(1010, Side.SELL), now=now) is expected, "closes wait as well"


def test_a_taken_level_is_refused_until_its_order_is_settled() -> None:
    bench = Bench()
    order = make_order()
    bench.risk_state.book.add(order)
    assert bench.ask() is Refusal.LEVEL_TAKEN
    bench.risk_state.book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    assert bench.ask() is Refusal.LEVEL_TAKEN, "its execution is not in yet"
    bench.risk_state.book.apply_execution(order.key, D("0.010"), D(0), 2)
    assert bench.ask() is None


def test_three_refusals_of_a_level_open_its_breaker_for_a_minute() -> None:
    """incident L8: 535 rejections in 90 minutes; at most 3 a minute and level now."""
    bench = Bench()
    key: LevelKey = ("s1", Direction.LONG, Side.BUY, 1000)
    tripped = [bench.gate.breaker.fail(key, NOW + n) for n in range(3)]
    assert tripped == [False, False, True]
    assert bench.ask(now=NOW + 3) is Refusal.BREAKER_OPEN
    assert bench.ask(proposal(999), now=NOW + 3) is None, "another level is another matter"
    bench.risk_state.price_s = NOW + 62
    bench.funds.confirm(NOW + 62)
    assert bench.ask(now=NOW + 62) is None


def test_a_close_needs_the_position_beside_resting_closes() -> None:
    bench = Bench()
    sell = proposal(1010, Side.SELL, qty="0.1")
    assert bench.ask(sell) is Refusal.NOT_COVERED
    bench.risk_state.legs[Direction.LONG] = Leg(D("0.15"), D(100), D(10))
    assert bench.ask(sell) is None
    bench.risk_state.book.add(make_order(5, ticks=1010, side=Side.SELL, qty="0.1"))
    assert bench.ask(proposal(1011, Side.SELL, qty="0.1")) is Refusal.NOT_COVERED
    assert bench.ask(proposal(1011, Side.SELL, qty="0.05")) is None, "exactly the rest is covered"


def test_a_doubtful_position_closes_nothing_until_it_was_read_again() -> None:
    bench = Bench()
    bench.risk_state.legs[Direction.LONG] = Leg(D(1), D(100), D(10), unsure=True)
    assert bench.ask(proposal(1010, Side.SELL)) is Refusal.POSITION_UNSURE
    assert bench.ask() is None, "opens are not concerned"


def test_one_batch_cannot_spend_the_same_money_twice() -> None:
    """incidents L9, L56: each order let through is taken off what is available."""
    bench = Bench()
    bench.funds.update(wallet(available="25", ts=2), NOW)
    big = proposal(qty="2")  # 200 USDT at 10x and 5 % on top: 21 USDT
    assert bench.ask(big) is None
    assert bench.ask(proposal(999, qty="2")) is Refusal.FUNDS
    bench.risk_state.legs[Direction.LONG] = Leg(D(5), D(100), D(10))
    assert bench.ask(proposal(1010, Side.SELL, qty="2")) is None, "closes bypass"


def test_a_fresh_zero_blocks_and_an_old_figure_lets_one_order_probe() -> None:
    bench = Bench()
    bench.funds.update(wallet(available="0", ts=2), NOW)
    assert bench.ask() is Refusal.FUNDS
    later = NOW + FRESH_S + 1
    bench.risk_state.price_s = later
    assert bench.ask(now=later) is None
    assert bench.ask(proposal(999), now=later + 1) is Refusal.FUNDS
    assert bench.ask(proposal(999), now=later + PROBE_S + 1) is None


def test_an_unknown_leverage_counts_as_one() -> None:
    bench = Bench()
    bench.risk_state.legs[Direction.LONG] = Leg()
    bench.funds.update(wallet(available="100", ts=2), NOW)
    assert bench.ask(proposal(qty="1")) is Refusal.FUNDS


def test_notional_counts_both_legs_resting_opens_and_the_new_order() -> None:
    bench = Bench(Caps(max_notional=Limit(D(300))))
    bench.risk_state.legs[Direction.LONG] = Leg(D(1), D(90), D(10))
    bench.risk_state.legs[Direction.SHORT] = Leg(D("0.5"), D(110), D(10))
    bench.risk_state.book.add(make_order(3, ticks=990, qty="1"))
    # 1.5 at 100.5 and 99 resting: 249.75
    assert bench.ask(proposal(qty="0.6")) is Refusal.MAX_NOTIONAL
    assert bench.ask(proposal(qty="0.5")) is None
    assert "s1.max_notional" in bench.warnings
    assert bench.ask(proposal(1010, Side.SELL, qty="1")) is None, "closes pass"


def test_margin_of_a_direction_is_capped() -> None:
    bench = Bench(Caps(max_margin=D("0.2")))
    bench.risk_state.legs[Direction.LONG] = Leg(D("1.9"), D(100), D(10))
    assert bench.ask(proposal(qty="0.2")) is Refusal.MAX_MARGIN
    assert bench.ask(proposal(qty="0.1")) is None
    assert bench.ask(proposal(1010, Side.SELL, Direction.SHORT, qty="1")) is None, "the other direction has its own"


def test_the_account_has_a_notional_cap_over_all_desks() -> None:
    bench = Bench()
    gate = Gate(bench.funds, account_max_notional=Limit(D("0.3"), of_wallet=True))
    other = StrategyRiskState("s2", "ETHUSDT", OrderBook(INSTRUMENT), Caps(), last_price=D(100))
    other.legs[Direction.SHORT] = Leg(D("2.5"), D(100), D(10))
    gate.strategies = {"s1": bench.risk_state, "s2": other}
    assert gate.admit(bench.risk_state, proposal(qty="1"), NOW) is Refusal.ACCOUNT_MAX_NOTIONAL
    assert gate.admit(bench.risk_state, proposal(qty="0.1"), NOW) is None


def test_open_orders_and_attempts_per_minute_are_capped() -> None:
    bench = Bench(Caps(max_open_orders=2))
    bench.risk_state.book.add(make_order(1, ticks=990))
    assert bench.ask() is None
    bench.risk_state.book.add(make_order(2, ticks=991))
    assert bench.ask() is Refusal.MAX_OPEN_ORDERS

    hurried = Bench()
    hurried.risk_state.rate = RateCap(2)
    assert [hurried.ask(proposal(n)) for n in (990, 991, 992)] == [None, None, Refusal.MAX_ORDERS_PER_MINUTE]
    hurried.risk_state.price_s = NOW + 60
    hurried.funds.confirm(NOW + 60)
    assert hurried.ask(proposal(992), now=NOW + 60) is None


def test_a_retry_keeps_its_level_and_is_not_paid_twice() -> None:
    bench = Bench()
    order = make_order()
    bench.risk_state.book.add(order)
    bench.funds.update(wallet(available="0", ts=2), NOW)
    assert bench.gate.admit(bench.risk_state, proposal(), NOW, Producer.RETRY) is None
    bench.risk_state.paused = True
    assert bench.gate.admit(bench.risk_state, proposal(), NOW, Producer.RETRY) is Refusal.PAUSED


def test_an_operator_s_close_passes_what_holds_the_strategies() -> None:
    bench = Bench(Caps(max_open_orders=0))
    bench.gate.stopping, bench.gate.loss_latched = True, "lost too much"
    bench.risk_state.paused, bench.risk_state.halted, bench.risk_state.ready = True, "delisted", False
    bench.risk_state.legs[Direction.LONG] = Leg(D("0.1"), D(100), D(10))
    close = proposal(1000, Side.SELL, Direction.LONG, qty="0.1")
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None


def test_an_operator_s_close_never_closes_more_than_there_is_and_opens_nothing() -> None:
    bench = Bench()
    bench.risk_state.legs[Direction.LONG] = Leg(D("0.1"), D(100), D(10))
    too_much = proposal(1000, Side.SELL, Direction.LONG, qty="0.2")
    assert bench.gate.admit(bench.risk_state, too_much, NOW, Producer.CLOSE) is Refusal.NOT_COVERED
    bench.risk_state.legs[Direction.LONG] = Leg(D("0.1"), D(100), D(10), unsure=True)
    close = proposal(1000, Side.SELL, Direction.LONG, qty="0.1")
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is Refusal.POSITION_UNSURE
    with pytest.raises(ValueError, match="reduce-only"):
        bench.gate.admit(bench.risk_state, proposal(), NOW, Producer.CLOSE)


def test_a_warning_comes_once_on_the_way_up() -> None:
    bench = Bench(Caps(max_open_orders=10))
    for n in range(9):
        bench.risk_state.book.add(make_order(n, ticks=900 + n))
        bench.ask()
    assert bench.warnings == ["s1.max_open_orders"]


def test_closes_go_first_then_the_nearest() -> None:
    far, near = proposal(990, distance="10"), proposal(999, distance="1")
    close = proposal(1010, Side.SELL, distance="20")
    assert wire_order([far, near, close]) == [close, near, far]
