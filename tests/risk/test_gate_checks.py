"""The checks of the gate: what may leave, and the first reason why something may not (docs/risk.md 6.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Direction, OrderStatus, Side
from gridbot.core.limits import Limit
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.breakers import Cause
from gridbot.orders.proposal import Proposal
from gridbot.risk import gate_checks
from gridbot.risk.band_watch import BandWatch
from gridbot.risk.brake import FREE, Brake, Stops
from gridbot.risk.caps import CapEased, Caps, CapWarned
from gridbot.risk.gate import Gate
from gridbot.risk.gate_checks import CHECKS, STALE_PRICE_S, AccountView, admit
from gridbot.risk.gate_state import Promise, Verdict
from gridbot.risk.holds import Who
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import Leg
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT, make_order, update
from tests.risk.helpers import BAD_KEY, NOW, NOW_MS, Bench, proposal, ticker, trading_state, wallet

D = Decimal


def test_everything_right_passes() -> None:
    assert Bench().ask() is None


STOPS: list[tuple[Refusal, Callable[[Bench], object]]] = [
    (Refusal.STOPPING, lambda bench: bench.gate.stop()),
    (Refusal.NOT_READY, lambda bench: bench.risk_state.set_ready(ready=False)),
    (Refusal.LATCHED, lambda bench: bench.gate.kill("leaked", Who.OPERATOR)),
    (Refusal.LOSS_LIMIT, lambda bench: bench.gate.latch_loss("lost too much")),
    (Refusal.HALTED, lambda bench: bench.risk_state.halt("delisted")),
    (Refusal.PAUSED, lambda bench: bench.risk_state.pause()),
    (Refusal.AUTH_COOLDOWN, lambda bench: [bench.gate.auth_failed(BAD_KEY, NOW) for _ in range(5)]),
    (Refusal.STALE_PRICE, lambda bench: bench.risk_state.set_price(ticker(), NOW - STALE_PRICE_S - 0.1)),
    (Refusal.CAP_LATCH, lambda bench: bench.gate.braked(Brake(Stops.ALL, "fell too far"))),
]
"""In the documented order."""


@case_table(("reason", "cause"), STOPS, ids=lambda value: str(value) if isinstance(value, Refusal) else "")
def test_reasons_that_stop_everything(reason: Refusal, cause: Callable[[Bench], object]) -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    cause(bench)
    assert bench.ask() is reason
    assert bench.ask(proposal(1010, Side.SELL)) is reason, "closes wait as well"


@pytest.mark.parametrize("producer", [Producer.STRATEGY, Producer.RETRY])
def test_what_is_only_reducing_gets_closes(producer: Producer) -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    bench.risk_state.reduce()
    assert bench.gate.admit(bench.risk_state, proposal(), NOW, producer) is Refusal.REDUCING
    assert bench.gate.admit(bench.risk_state, proposal(1010, Side.SELL), NOW, producer) is None
    bench.risk_state.pause()
    assert bench.gate.admit(bench.risk_state, proposal(1010, Side.SELL), NOW, producer) is Refusal.PAUSED


@pytest.mark.parametrize("producer", [Producer.STRATEGY, Producer.RETRY])
def test_a_symbol_that_takes_no_orders_gets_none(producer: Producer) -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    bench.risk_state.restricted(make_error("not live", ErrorKind.SYMBOL, ret_code=110074), NOW)
    for side in Side:
        assert bench.gate.admit(bench.risk_state, proposal(1000, side), NOW, producer) is Refusal.NOT_TRADING
    close = proposal(1010, Side.SELL)
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None, "an operator may always try"


def test_a_symbol_and_a_leg_that_may_only_be_reduced_get_closes() -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10), reduce_only=True))
    assert bench.ask() is Refusal.REDUCE_ONLY
    assert bench.ask(proposal(1010, Side.SELL)) is None
    assert bench.ask(proposal(1010, Side.SELL, Direction.SHORT)) is None, "the other leg is as it was"
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    bench.risk_state.restricted(make_error("reduce only", ErrorKind.SYMBOL, ret_code=110023), NOW)
    assert bench.ask() is Refusal.REDUCE_ONLY
    assert bench.ask(proposal(1010, Side.SELL, Direction.SHORT)) is Refusal.REDUCE_ONLY
    assert bench.ask(proposal(1011, Side.SELL)) is None


def test_an_account_that_only_reduces_gets_closes_and_an_operators_close_always_passes() -> None:
    bench = Bench()
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    close = proposal(1010, Side.SELL)
    bench.gate.braked(Brake(Stops.OPENS, "fell too far"))
    for producer in (Producer.STRATEGY, Producer.RETRY):
        assert bench.gate.admit(bench.risk_state, proposal(), NOW, producer) is Refusal.ONLY_REDUCES
    assert bench.ask(close) is None
    bench.gate.braked(Brake(Stops.ALL, "fell too far"))
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.RETRY) is Refusal.CAP_LATCH
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None
    bench.gate.braked(FREE)
    assert bench.ask(proposal(999)) is None


def test_a_share_of_the_fleets_caps_is_never_exceeded_and_what_it_lacks_is_told_once() -> None:
    bench = Bench()
    bench.gate.lent(D(20))
    assert bench.ask(proposal(1000, qty="0.2")) is None, "exactly the share passes"
    assert bench.ask(proposal(1000, qty="0.21")) is Refusal.FLEET_MAX_NOTIONAL
    assert bench.ask(proposal(1000, qty="0.21")) is Refusal.FLEET_MAX_NOTIONAL
    assert bench.ask(proposal(990, qty="1")) is Refusal.FLEET_MAX_NOTIONAL
    assert bench.gate.take_short() == D(21) + D(99)
    assert bench.gate.take_short() == 0
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    assert bench.ask(proposal(1010, Side.SELL)) is None, "closes pass"
    bench.gate.lent(None)
    assert bench.ask(proposal(1000, qty="2")) is None


def test_a_price_counts_for_half_a_minute_and_without_one_nothing_leaves() -> None:
    bench = Bench()
    assert bench.ask(now=NOW + STALE_PRICE_S) is None
    assert bench.ask(proposal(999), now=NOW + STALE_PRICE_S + 0.1) is Refusal.STALE_PRICE
    bench.risk_state.last_price = None
    assert bench.ask(proposal(999)) is Refusal.STALE_PRICE


def test_of_several_reasons_the_first_in_the_documented_order_is_given() -> None:
    """docs/risk.md 6.1: the first reason is the one an operator has to remove first."""
    bench = Bench()
    gate = bench.gate = Gate(lambda: NOW_MS, account_max_notional=Limit(D(1)))
    gate.enroll(bench.risk_state)
    bench.gate.wallet_seen(wallet(available="0", ts=2), NOW)
    order = make_order(ticks=1000)
    reasons: list[tuple[Refusal, Callable[[], object]]] = [
        (Refusal.ACCOUNT_MAX_NOTIONAL, lambda: None),
        (Refusal.MAX_NOTIONAL, lambda: set_caps(bench, max_notional=Limit(D(1)))),
        (Refusal.MAX_MARGIN, lambda: set_caps(bench, max_margin=D("0.001"))),
        (Refusal.MAX_ORDERS_PER_MINUTE, lambda: set_caps(bench, max_orders_per_minute=0)),
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
    bench.gate.enroll(bench.risk_state)


def test_a_level_outside_the_price_band_waits_for_strategy_and_retry_and_not_for_an_operators_close() -> None:
    """Last 4 % above mark: our buys were moved to the band's edge, cancelled and placed again, 95 orders in 10 s."""
    bench = Bench()
    narrow = replace(INSTRUMENT, price_limit_x=D("0.01"), price_limit_y=D("0.02"))
    bench.risk_state.band = BandWatch(narrow)
    bench.risk_state.set_price(replace(ticker("104"), mark_price=D(100)), NOW)
    beyond, within = proposal(1011), proposal(1010)  # 101.1 and 101.0, where 1 % above the mark is 101
    assert (bench.ask(beyond), bench.ask(within)) == (Refusal.PRICE_BAND, None)
    assert bench.gate.admit(bench.risk_state, beyond, NOW, Producer.RETRY) is Refusal.PRICE_BAND
    close = proposal(980, side=Side.SELL)
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    assert bench.ask(close) is Refusal.PRICE_BAND
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None


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
    moved = [bench.gate.refused(make_order(n, ticks=998), NOW, cause=Cause.MOVED) for n in range(3)]
    assert moved == [False, False, True]
    assert bench.ask(proposal(998), now=NOW + 3) is Refusal.PRICE_BAND, "its orders were moved, not refused"
    bench.risk_state.set_price(ticker(), NOW + 62)
    bench.gate.stream_alive(NOW + 62)
    assert bench.ask(now=NOW + 62) is None


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
    bench.gate.wallet_seen(wallet(available="21.21945", ts=2), NOW)
    big = proposal(qty="2")  # 200 USDT at 10x, two fees and 5 % on top
    assert bench.ask(proposal(qty="2.001")) is Refusal.FUNDS
    assert bench.ask(big) is None, "exactly what there is"
    assert bench.ask(proposal(999, qty="0.001")) is Refusal.FUNDS
    bench.risk_state.set_leg(Direction.LONG, Leg(D(5), D(100), D(10)))
    assert bench.ask(proposal(1010, Side.SELL, qty="2")) is None, "closes bypass"


def test_a_fresh_zero_is_zero_and_an_old_figure_lets_one_order_probe() -> None:
    bench = Bench()
    bench.gate.wallet_seen(wallet(available="0", ts=2), NOW)
    bench.risk_state.set_price(ticker(), NOW + 45)
    assert bench.ask(now=NOW + 45) is Refusal.FUNDS
    answers = [bench.ask(now=NOW + 45.1 + wait_s) for wait_s in (0, 4.9, 5)]
    assert answers == [None, Refusal.FUNDS, None]
    bench.gate.stream_alive(NOW + 51)
    assert bench.ask(now=NOW + 51) is Refusal.FUNDS, "fresh again"


def test_the_strategies_of_an_account_spend_one_balance() -> None:
    """incident L56."""
    bench = Bench()
    bench.gate.wallet_seen(wallet(available="25", ts=2), NOW)
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


@pytest.mark.parametrize(("balance", "answer"), [("0", Refusal.MAX_MARGIN), ("-1", Refusal.MAX_MARGIN), ("0.5", None)])
def test_a_wallet_that_is_not_positive_withholds_opens(balance: str, answer: Refusal | None) -> None:
    bench = Bench(Caps(max_margin=D(20)))
    bench.gate.wallet_seen(wallet(balance, ts=2), NOW)
    assert bench.ask() is answer


def test_without_an_entry_price_the_last_price_stands_in() -> None:
    """docs/risk.md 5.5; 100.5 is the last price, 1000 the wallet."""
    bench = Bench(Caps(max_margin=D("0.2")))
    bench.risk_state.set_leg(Direction.LONG, Leg(D("1.89"), None, D(10)))
    assert bench.ask() is None, "189.945 and 10"
    bench.risk_state.set_leg(Direction.LONG, Leg(D("1.9"), None, D(10)))
    assert bench.ask() is Refusal.MAX_MARGIN, "190.95 and 10"


def test_the_account_has_a_notional_cap_over_all_its_strategies() -> None:
    bench = Bench()
    gate = Gate(lambda: NOW_MS, account_max_notional=Limit(D("0.3"), of_wallet=True))
    gate.wallet_seen(wallet(), NOW)
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

    hurried = Bench(Caps(max_orders_per_minute=2))
    assert [hurried.ask(proposal(n)) for n in (990, 991, 992)] == [None, None, Refusal.MAX_ORDERS_PER_MINUTE]
    hurried.risk_state.set_price(ticker(), NOW + 60)
    hurried.gate.stream_alive(NOW + 60)
    assert hurried.ask(proposal(992), now=NOW + 60) is None


def test_a_retry_keeps_its_level_and_is_not_paid_twice() -> None:
    """It was counted and paid for; what stops everything and the breaker of its level stop it, too."""
    bench = Bench(Caps(max_notional=Limit(D(1)), max_open_orders=0, max_margin=D(0), max_orders_per_minute=0))
    bench.risk_state.book.add(make_order())
    bench.gate.wallet_seen(wallet(available="0", ts=2), NOW)

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


# ---------------------------------------------------------------------- a pure question


def question(bench: Bench, wanted: Proposal, **more: Any) -> Verdict:
    return admit(bench.gate.state, AccountView(None, bench.gate.strategies), bench.risk_state, wanted, NOW, **more)


def test_a_question_changes_nothing_and_has_one_answer() -> None:
    bench = Bench(Caps(max_orders_per_minute=5))
    before = bench.gate.state
    first = question(bench, proposal(qty="2"))
    assert first == Verdict(None, "s1", (Promise(D("21.21945"), is_probe=False),))
    assert question(bench, proposal(qty="2")) == first
    assert bench.gate.state is before


def test_a_verdict_says_what_is_promised_probed_and_warned_of() -> None:
    bench = Bench(Caps(max_open_orders=1, max_margin=D("0.001")))
    warned = (
        CapWarned("s1.max_open_orders", "s1.max_open_orders: 1 of 1 used"),
        CapWarned("s1.max_margin.long", "s1.max_margin.long: 0.01 of 0.001 used"),
    )
    assert question(bench, proposal()) == Verdict(Refusal.MAX_MARGIN, "", warned)
    set_caps(bench, max_margin=None)
    bench.gate.wallet_seen(wallet(available=None, ts=2), NOW)
    assert question(bench, proposal()) == Verdict(None, "s1", (warned[0], Promise(D("1.0609725"), is_probe=True)))
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    close = proposal(1010, Side.SELL)
    assert question(bench, close) == Verdict(None, "s1", (warned[0],)), "a close is paid for"
    assert question(bench, close, producer=Producer.RETRY) == Verdict(None, "s1")
    assert question(bench, close, producer=Producer.CLOSE) == Verdict(None, "s1")
    bench.risk_state.pause()
    assert question(bench, close) == Verdict(Refusal.PAUSED)


def test_a_cap_that_eases_says_so() -> None:
    bench = Bench(Caps(max_open_orders=5))
    for n in range(3):
        bench.risk_state.book.add(make_order(n, ticks=900 + n))
    assert bench.ask() is None
    assert bench.gate.state.warned == {"s1.max_open_orders"}
    set_caps(bench, max_open_orders=6)
    assert question(bench, proposal()).changes[0] == CapEased("s1.max_open_orders")
    assert bench.ask() is None
    assert bench.gate.state.warned == frozenset()


def test_the_table_says_whose_orders_each_check_is_for() -> None:
    """docs/risk.md 6.1: what a retry skips, and the one check that holds for an operator's close."""

    def names(producer: Producer, *, closes: bool) -> str:
        return " ".join(check.test.__name__ for check in CHECKS if check.holds_for(producer, closes=closes))

    assert (
        names(Producer.STRATEGY, closes=False)
        == "_may_trade _brake _symbol _level _band _breaker _size _counts _value _money"
    )
    assert names(Producer.STRATEGY, closes=True) == "_may_trade _brake _symbol _level _band _breaker _size _counts"
    for closes in (True, False):
        assert names(Producer.RETRY, closes=closes) == "_may_trade _brake _symbol _band _breaker _size_again"
        assert names(Producer.CLOSE, closes=closes) == "_size"
    drawn = [line.split()[0] for line in (gate_checks.__doc__ or "").splitlines() if line.startswith("    _")]
    assert drawn == [check.test.__name__ for check in CHECKS]
