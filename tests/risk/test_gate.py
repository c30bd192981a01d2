"""The gate as the worker uses it: events go in, refusals and warnings come out (docs/risk.md 6)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Direction, Side
from gridbot.core.limits import Limit
from gridbot.orders.breakers import Breaker, FailureRun
from gridbot.risk.brake import FREE, Brake, Stops
from gridbot.risk.caps import Caps
from gridbot.risk.funds import margin_needed
from gridbot.risk.gate import AUTH_COOLDOWN_S, Gate, level_key
from gridbot.risk.gate_state import GateState
from gridbot.risk.holds import Held, Hold, Who
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import Leg
from tests.orders.helpers import make_order
from tests.risk.helpers import BAD_KEY, NOW, NOW_MS, Bench, proposal, ticker, trading_state, wallet

D = Decimal


def test_a_new_gate_knows_nothing_and_holds_nothing() -> None:
    gate = Gate(lambda: NOW_MS)
    assert gate.state == GateState(auth=FailureRun(cooldown_s=AUTH_COOLDOWN_S))
    assert (gate.stopping, gate.loss_latched, gate.breaker, gate.strategies) == (False, "", Breaker(), {})
    assert Gate(lambda: NOW_MS, auth_cooldown_s=60.0).auth == FailureRun(cooldown_s=60.0)
    assert AUTH_COOLDOWN_S == 1800


def test_a_shadow_gate_has_the_same_caps_hears_of_the_same_stream_and_has_funds_of_its_own() -> None:
    gate = Gate(lambda: NOW_MS, account_max_notional=Limit.parse("x2"))
    shadow = gate.shadow()
    shadow.wallet_seen(wallet(), NOW)
    gate.stream_alive(NOW + 1000)
    assert shadow.state.funds.known_s == NOW + 1000
    assert shadow.account.max_notional == Limit.parse("x2")
    assert (gate.state.funds.wallet, shadow.strategies) == (None, {})


def test_what_all_are_worth_is_their_legs_at_the_last_price() -> None:
    gate, states = Gate(lambda: NOW_MS), [trading_state(name) for name in ("s1", "s2")]
    for state in states:
        gate.enroll(state)
        state.set_leg(Direction.SHORT, Leg(D(2)))
    states[0].set_price(ticker("70"), NOW)
    assert gate.worth() == 2 * D(70) + 2 * D("100.5")


def test_an_accepted_order_says_nothing_about_its_level() -> None:
    """The exchange accepts a PostOnly order that would take, and cancels it a few ms later (docs/bybit.md 3.4).

    Acknowledgements made the gate forget the cancels before them, so that such a level was tried for ever.
    """
    bench = Bench()
    for n in range(3):
        bench.gate.auth_succeeded()
        bench.gate.refused(make_order(n), NOW + n)
    bench.gate.auth_succeeded()
    assert bench.ask(now=NOW + 3) is Refusal.BREAKER_OPEN


def test_a_level_need_not_wait_when_what_it_was_refused_for_was_set_right() -> None:
    bench = Bench()
    for n in range(3):
        bench.gate.refused(make_order(n), NOW + n)
    assert bench.ask(now=NOW + 3) is Refusal.BREAKER_OPEN
    bench.gate.repaired("s1")
    assert bench.ask(now=NOW + 3) is None


def test_an_accepted_request_ends_a_row_of_key_errors_and_their_cooldown() -> None:
    """docs/risk.md 6.5."""
    bench = Bench()
    assert [bench.gate.auth_failed(BAD_KEY, NOW) for _ in range(4)] == [False] * 4
    bench.gate.auth_succeeded()
    assert [bench.gate.auth_failed(BAD_KEY, NOW) for _ in range(5)] == [False] * 4 + [True]
    assert bench.ask() is Refusal.AUTH_COOLDOWN
    bench.gate.auth_succeeded()
    assert bench.ask() is None


def test_an_order_that_passes_counts_and_one_that_does_not_leaves_the_state_alone() -> None:
    bench = Bench(Caps(max_orders_per_minute=1))
    assert bench.ask() is None
    after = bench.gate.state
    assert after.funds.promised == margin_needed(Direction.LONG, D(10), D(10))
    assert after.rates["s1"].used(NOW) == 1
    bench.gate.stop()
    before = bench.gate.state
    assert bench.ask(proposal(999)) is Refusal.STOPPING
    assert bench.gate.state is before


def test_an_operator_s_close_counts_as_well() -> None:
    bench = Bench(Caps(max_orders_per_minute=2))
    bench.risk_state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    close = proposal(1010, Side.SELL)
    assert bench.gate.admit(bench.risk_state, close, NOW, Producer.CLOSE) is None
    assert bench.gate.state.rates["s1"].used(NOW) == 1


def test_warnings_are_given_once_with_their_text() -> None:
    said: list[tuple[str, str]] = []
    bench = Bench(Caps(max_open_orders=1))
    gate = Gate(lambda: NOW_MS, warn=lambda key, text: said.append((key, text)))
    gate.enroll(bench.risk_state)
    gate.wallet_seen(wallet(), NOW)
    for ticks in (1000, 1001):
        assert gate.admit(bench.risk_state, proposal(ticks), NOW) is None
    assert said == [("s1.max_open_orders", "s1.max_open_orders: 1 of 1 used")]


def test_a_gate_that_nobody_listens_to_warns_nobody() -> None:
    bench = Bench(Caps(max_open_orders=1))
    gate = Gate(lambda: NOW_MS)
    gate.enroll(bench.risk_state)
    gate.wallet_seen(wallet(), NOW)
    assert gate.admit(bench.risk_state, proposal(), NOW) is None


def test_the_latch_and_the_stop_say_since_when_they_hold() -> None:
    bench = Bench()
    bench.gate.latch_loss("lost 51")
    assert bench.gate.loss_latched == "lost 51"
    assert bench.gate.state.holds.held == {Hold.SESSION_LOSS: Held("lost 51", Who.LOSS_LIMIT, NOW_MS)}
    bench.gate.latch_loss("")
    assert bench.gate.loss_latched == ""
    assert bench.ask() is None
    bench.gate.stop()
    assert bench.gate.stopping
    assert bench.gate.state.holds.held[Hold.STOPPING].since_ms == NOW_MS


def test_a_killed_account_stays_latched_whatever_the_loss_limit_says() -> None:
    bench = Bench()
    bench.gate.kill("leaked", Who.OPERATOR)
    bench.gate.kill("again", Who.LOSS_LIMIT, 7)
    bench.gate.latch_loss("")
    assert bench.gate.latched == "leaked"
    assert bench.gate.state.holds.held == {Hold.LATCHED: Held("leaked", Who.OPERATOR, NOW_MS)}
    assert bench.ask() is Refusal.LATCHED
    bench.gate.unlatch()
    assert bench.gate.latched == ""
    bench.gate.kill("an earlier life", Who.OPERATOR, 7)
    assert bench.gate.state.holds.held[Hold.LATCHED].since_ms == 7


def test_a_wallet_is_taken_unless_it_is_older() -> None:
    bench = Bench()
    assert [bench.gate.wallet_seen(wallet(ts=ts), NOW) for ts in (5, 4, 5)] == [True, False, True]
    bench.gate.stream_alive(NOW + 9)
    assert bench.gate.state.funds.known_s == NOW + 9


@pytest.mark.parametrize("cooldown_s", [60.0, 1800.0])
def test_five_key_failures_hold_the_account_for_the_time_that_is_configured(cooldown_s: float) -> None:
    bench = Bench()
    gate = Gate(lambda: NOW_MS, auth_cooldown_s=cooldown_s)
    gate.enroll(bench.risk_state)
    gate.wallet_seen(wallet(), NOW)
    assert [gate.auth_failed(BAD_KEY, NOW) for _ in range(5)] == [False] * 4 + [True]
    later = NOW + cooldown_s
    bench.risk_state.set_price(ticker(), later)
    gate.stream_alive(later)
    answers = [gate.admit(bench.risk_state, proposal(), at) for at in (later - 0.1, later)]
    assert answers == [Refusal.AUTH_COOLDOWN, None]


def test_a_level_is_known_by_strategy_leg_side_and_price() -> None:
    assert level_key(make_order(ticks=1001)) == ("s1", Direction.LONG, Side.BUY, 1001)


def test_an_order_that_the_exchange_has_moved_counts_for_the_level_it_was_wanted_for() -> None:
    assert level_key(make_order(ticks=1001), 1002) == ("s1", Direction.LONG, Side.BUY, 1002)


def test_the_strictest_of_what_only_an_operator_lifts_is_why_an_account_is_held() -> None:
    gate = Bench().gate
    assert gate.account_latch() == ""
    gate.braked(Brake(Stops.OPENS, "margin is short", passes=True))
    assert gate.account_latch() == "", "this ends by itself"
    gate.braked(Brake(Stops.OPENS, "fell too far"))
    assert gate.account_latch() == "fell too far"
    gate.latch_loss("lost 51")
    assert gate.account_latch() == "lost 51"
    gate.kill("leaked", Who.OPERATOR)
    assert gate.account_latch() == "leaked"


def test_caps_brake_the_account_and_what_a_share_lacks_is_told_once() -> None:
    bench = Bench()
    bench.gate.braked(Brake(Stops.OPENS, "fell too far"))
    assert bench.gate.brake.reason == "fell too far"
    assert bench.ask() is Refusal.ONLY_REDUCES
    bench.gate.braked(FREE)
    bench.gate.lent(D(5))
    assert bench.ask() is Refusal.FLEET_MAX_NOTIONAL
    assert (bench.gate.take_short(), bench.gate.take_short()) == (10, 0)


def test_another_cap_of_the_account_counts_at_once_for_shadow_strategies_too_and_who_is_gone_counts_no_more() -> None:
    bench = Bench()
    shadow = bench.gate.shadow()
    bench.gate.limit(Limit.parse("5"))
    assert bench.ask() is Refusal.ACCOUNT_MAX_NOTIONAL
    assert shadow.account.max_notional == bench.gate.account.max_notional == Limit.parse("5")
    bench.gate.limit(None)
    assert bench.ask() is None
    for _ in range(3):
        bench.gate.refused(make_order(), NOW)
    assert bench.gate.breaker.open_until(NOW)
    bench.gate.withdraw("s1")
    assert bench.gate.account.strategies == {}
    assert not bench.gate.breaker.open_until(NOW), "who tells of circuits asks the strategy"
