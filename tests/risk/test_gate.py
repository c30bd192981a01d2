"""The gate: what may leave, and the first reason why something may not (docs/risk.md 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Direction, OrderStatus, Side
from gridbot.core.limits import Limit
from gridbot.orders.breakers import RateCap
from gridbot.orders.proposal import Proposal
from gridbot.risk.caps import Caps
from gridbot.risk.gate import STALE_PRICE_S, Gate
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import Leg
from tests.orders.helpers import make_order, update
from tests.risk.helpers import NOW, Bench, proposal, ticker, trading_state, wallet

D = Decimal


def test_everything_right_passes() -> None:
    assert Bench().ask() is None


STOPS: list[tuple[Refusal, Callable[[Bench], object]]] = [
    (Refusal.STOPPING, lambda bench: bench.gate.stop()),
    (Refusal.NOT_READY, lambda bench: bench.risk_state.set_ready(ready=False)),
    (Refusal.LOSS_LIMIT, lambda bench: bench.gate.latch_loss("lost too much")),
    (Refusal.HALTED, lambda bench: bench.risk_state.halt("delisted")),
    (Refusal.PAUSED, lambda bench: bench.risk_state.pause()),
    (Refusal.AUTH_COOLDOWN, lambda bench: [bench.gate.auth_failed(NOW) for _ in range(5)]),
    (Refusal.STALE_PRICE, lambda bench: bench.risk_state.set_price(ticker(), NOW - STALE_PRICE_S - 0.1)),
]
"""In the documented order."""


@pytest.mark.parametrize(("reason", "cause"), STOPS, ids=lambda value: str(value) if isinstance(value, Refusal) else "")
def test_reasons_that_stop_everything(reason: Refusal, cause: Callable[[Bench], object]) -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    cause(bench)
    assert bench.ask() is reason
    assert bench.ask(proposal(1010, Side.SELL)) is reason, "closes wait as well"


def test_a_price_counts_for_half_a_minute_and_without_one_nothing_leaves() -> None:
    bench = Bench()
    assert bench.ask(now=NOW + STALE_PRICE_S) is None
    assert bench.ask(proposal(999), now=NOW + STALE_PRICE_S + 0.1) is Refusal.STALE_PRICE
    bench.risk_state.last_price = None
    assert bench.ask(proposal(999)) is Refusal.STALE_PRICE


def test_of_several_reasons_the_first_in_the_documented_order_is_given() -> None:
    """docs/risk.md 6.1: the first reason is the one an operator has to remove first."""
    bench = Bench()
    gate = Gate(bench.funds, account_max_notional=Limit(D(1)))
    gate.enroll(bench.risk_state)
    bench.gate = gate
    bench.funds.update(wallet(available="0", ts=2), NOW)
    order = make_order(ticks=1000)
    reasons: list[tuple[Refusal, Callable[[], object]]] = [
        (Refusal.ACCOUNT_MAX_NOTIONAL, lambda: None),
        (Refusal.MAX_NOTIONAL, lambda: set_caps(bench, max_notional=Limit(D(1)))),
        (Refusal.MAX_MARGIN, lambda: set_caps(bench, max_margin=D("0.001"))),
        (Refusal.MAX_ORDERS_PER_MINUTE, lambda: setattr(bench.risk_state, "rate", RateCap(0))),
        (Refusal.MAX_OPEN_ORDERS, lambda: set_caps(bench, max_open_orders=0)),
    ]
    for reason, cause in reasons:
        cause()
        assert bench.ask() is reason
    assert bench.ask(proposal(qty="0")) is Refusal.TOO_SMALL
    assert [gate.refused(order, NOW) for _ in range(3)] == [False, False, True]
    assert bench.ask(proposal(qty="0")) is Refusal.BREAKER_OPEN
    bench.risk_state.book.add(order)
    assert bench.ask() is Refusal.LEVEL_TAKEN
    for reason, stop in reversed(STOPS):
        stop(bench)
        assert bench.ask() is reason


def set_caps(bench: Bench, **caps: Any) -> None:
    bench.risk_state.caps = replace(bench.risk_state.caps, **caps)


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
    tripped = [bench.gate.refused(make_order(n), NOW + n) for n in range(3)]
    assert tripped == [False, False, True]
    assert bench.ask(now=NOW + 3) is Refusal.BREAKER_OPEN
    assert bench.ask(proposal(999), now=NOW + 3) is None, "another level is another matter"
    bench.risk_state.set_price(ticker(), NOW + 62)
    bench.funds.confirm(NOW + 62)
    assert bench.ask(now=NOW + 62) is None


def test_an_accepted_order_closes_the_breaker_of_its_level_and_ends_a_row_of_key_errors() -> None:
    """docs/risk.md 6.5."""
    bench = Bench()
    for n in range(3):
        bench.gate.refused(make_order(n), NOW)
    assert [bench.gate.auth_failed(NOW) for _ in range(4)] == [False] * 4
    bench.gate.accepted(make_order())
    assert bench.ask() is None
    assert [bench.gate.auth_failed(NOW) for _ in range(4)] == [False] * 4
    bench.gate.auth_succeeded()
    assert [bench.gate.auth_failed(NOW) for _ in range(5)] == [False] * 4 + [True]
    bench.gate.accepted(make_order())
    assert bench.ask(proposal(999)) is None, "an accepted request ends the cooldown as well"


def test_a_close_needs_the_position_beside_resting_closes() -> None:
    bench = Bench()
    sell = proposal(1010, Side.SELL, qty="0.1")
    assert bench.ask(sell) is Refusal.NOT_COVERED
    bench.risk_state.set_leg(Direction.LONG, Leg(D("0.15"), D(100), D(10)))
    assert bench.ask(sell) is None
    bench.risk_state.book.add(make_order(5, ticks=1010, side=Side.SELL, qty="0.1"))
    assert bench.ask(proposal(1011, Side.SELL, qty="0.1")) is Refusal.NOT_COVERED
    assert bench.ask(proposal(1011, Side.SELL, qty="0.05")) is None, "exactly the rest is covered"


def test_a_doubtful_position_closes_nothing_until_it_was_read_again() -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10), unsure=True))
    assert bench.ask(proposal(1010, Side.SELL)) is Refusal.POSITION_UNSURE
    assert bench.ask() is None, "opens are not concerned"


def test_one_batch_cannot_spend_the_same_money_twice() -> None:
    """incidents L9, L56: each order let through is taken off what is available."""
    bench = Bench()
    bench.funds.update(wallet(available="25", ts=2), NOW)
    big = proposal(qty="2")  # 200 USDT at 10x and 5 % on top: 21 USDT
    assert bench.ask(big) is None
    assert bench.ask(proposal(999, qty="2")) is Refusal.FUNDS
    bench.risk_state.set_leg(Direction.LONG, Leg(D(5), D(100), D(10)))
    assert bench.ask(proposal(1010, Side.SELL, qty="2")) is None, "closes bypass"


def test_the_strategies_of_an_account_spend_one_balance() -> None:
    """incident L56."""
    bench = Bench()
    bench.funds.update(wallet(available="25", ts=2), NOW)
    other = trading_state("s2")
    bench.gate.enroll(other)
    assert bench.ask(proposal(qty="2")) is None
    assert bench.gate.admit(other, proposal(qty="2"), NOW) is Refusal.FUNDS


def test_notional_counts_both_legs_resting_opens_and_the_new_order() -> None:
    bench = Bench(Caps(max_notional=Limit(D(300))))
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(90), D(10)))
    bench.risk_state.set_leg(Direction.SHORT, Leg(D("0.5"), D(110), D(10)))
    bench.risk_state.book.add(make_order(3, ticks=990, qty="1"))
    # 1.5 at 100.5 and 99 resting: 249.75
    assert bench.ask(proposal(qty="0.6")) is Refusal.MAX_NOTIONAL
    assert bench.ask(proposal(qty="0.5")) is None
    assert "s1.max_notional" in bench.warnings
    assert bench.ask(proposal(1010, Side.SELL, qty="1")) is None, "closes pass"


def test_margin_of_a_direction_is_capped() -> None:
    bench = Bench(Caps(max_margin=D("0.2")))
    bench.risk_state.set_leg(Direction.LONG, Leg(D("1.9"), D(100), D(10)))
    assert bench.ask(proposal(qty="0.2")) is Refusal.MAX_MARGIN
    assert bench.ask(proposal(qty="0.1")) is None, "exactly 0.2 of the wallet"
    assert bench.ask(proposal(1010, Side.SELL, Direction.SHORT, qty="1")) is None, "the other direction has its own"
    bench.risk_state.book.add(make_order(1, ticks=999, qty="0.05"))
    assert bench.ask(proposal(qty="0.1")) is Refusal.MAX_MARGIN, "resting opens count"
    assert bench.ask(proposal(1010, Side.SELL, qty="0.1")) is None, "closes pass"


@pytest.mark.parametrize("balance", ["0", "-1"])
def test_a_wallet_that_is_not_positive_withholds_opens(balance: str) -> None:
    bench = Bench(Caps(max_margin=D(8)))
    bench.funds.update(wallet(balance, ts=2), NOW)
    assert bench.ask() is Refusal.MAX_MARGIN


def test_without_an_entry_price_the_last_price_stands_in() -> None:
    """docs/risk.md 5.5; 100.5 is the last price, 1000 the wallet."""
    bench = Bench(Caps(max_margin=D("0.2")))
    bench.risk_state.set_leg(Direction.LONG, Leg(D("1.89"), None, D(10)))
    assert bench.ask() is None, "189.945 and 10"
    bench.risk_state.set_leg(Direction.LONG, Leg(D("1.9"), None, D(10)))
    assert bench.ask() is Refusal.MAX_MARGIN, "190.95 and 10"


def test_the_account_has_a_notional_cap_over_all_its_strategies() -> None:
    bench = Bench()
    gate = Gate(bench.funds, account_max_notional=Limit(D("0.3"), of_wallet=True))
    other = trading_state("s2")
    other.set_price(ticker("100"), NOW)
    other.set_leg(Direction.SHORT, Leg(D("2.5"), D(100), D(10)))
    for state in (bench.risk_state, other):
        gate.enroll(state)
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
    hurried.risk_state.set_price(ticker(), NOW + 60)
    hurried.funds.confirm(NOW + 60)
    assert hurried.ask(proposal(992), now=NOW + 60) is None


def test_a_retry_keeps_its_level_and_is_not_paid_twice() -> None:
    """It was counted and paid for; what stops everything and the breaker of its level stop it, too."""
    bench = Bench(Caps(max_notional=Limit(D(1)), max_open_orders=0, max_margin=D(0)))
    bench.risk_state.rate = RateCap(0)
    bench.risk_state.book.add(make_order())
    bench.funds.update(wallet(available="0", ts=2), NOW)

    def retry(wanted: Proposal) -> Refusal | None:
        return bench.gate.admit(bench.risk_state, wanted, NOW, Producer.RETRY)

    assert retry(proposal()) is None
    bench.risk_state.set_leg(Direction.LONG, Leg(D("0.1"), D(100), D(10)))
    bench.risk_state.book.add(make_order(2, ticks=1010, side=Side.SELL, qty="0.1"))
    assert retry(proposal(1010, Side.SELL, qty="0.1")) is None, "what it closes itself is not in its way"
    bench.risk_state.book.add(make_order(3, ticks=1011, side=Side.SELL, qty="0.001"))
    assert retry(proposal(1010, Side.SELL, qty="0.1")) is Refusal.NOT_COVERED
    for n in range(3):
        bench.gate.refused(make_order(n), NOW)
    assert retry(proposal()) is Refusal.BREAKER_OPEN
    bench.risk_state.pause()
    assert retry(proposal()) is Refusal.PAUSED


def test_an_operator_s_close_passes_what_holds_the_strategies() -> None:
    bench = Bench(Caps(max_open_orders=0))
    for _, stop in STOPS:
        stop(bench)
    bench.risk_state.set_leg(Direction.LONG, Leg(D("0.1"), D(100), D(10)))
    close = proposal(1000, Side.SELL, Direction.LONG, qty="0.1")
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None


def test_an_operator_s_close_never_closes_more_than_there_is_and_opens_nothing() -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D("0.1"), D(100), D(10)))
    too_much = proposal(1000, Side.SELL, Direction.LONG, qty="0.2")
    assert bench.gate.admit(bench.risk_state, too_much, NOW, Producer.CLOSE) is Refusal.NOT_COVERED
    bench.risk_state.set_leg(Direction.LONG, Leg(D("0.1"), D(100), D(10), unsure=True))
    close = proposal(1000, Side.SELL, Direction.LONG, qty="0.1")
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is Refusal.POSITION_UNSURE
    with pytest.raises(ValueError, match="reduce-only"):
        bench.gate.admit(bench.risk_state, proposal(), NOW, Producer.CLOSE)


def test_a_close_of_nothing_is_refused() -> None:
    assert Bench().ask(proposal(1010, Side.SELL, qty="0")) is Refusal.NOT_COVERED
