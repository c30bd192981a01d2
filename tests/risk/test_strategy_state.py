"""Events that change what the gate looks at for one strategy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from gridbot.core import Direction, Side
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.risk.caps import Caps
from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from gridbot.risk.symbol_state import SymbolWord
from tests.orders.helpers import INSTRUMENT, make_order
from tests.risk.helpers import NOW, NOW_MS, ticker, trading_state

D = Decimal


def test_the_notional_is_both_legs_at_the_last_price_and_resting_opens_at_their_own() -> None:
    state = trading_state("s1")
    state.set_leg(Direction.LONG, Leg(D(1), D(90)))
    state.set_leg(Direction.SHORT, Leg(D("0.5"), D(110)))
    state.book.add(make_order(1, ticks=990, qty="1"))
    state.book.add(make_order(2, ticks=1010, side=Side.SELL, qty="1"))
    assert state.notional() == D("1.5") * D("100.5") + 99
    state.last_price = None
    assert state.notional() == 90 + 55 + 99, "at their entries"
    state.set_leg(Direction.SHORT, Leg(D("0.5")))
    assert state.notional() == 90 + 99


def test_what_the_exchange_lets_one_do_with_the_symbol_is_as_listed_or_as_answered() -> None:
    state = trading_state("s1")
    assert all(state.may_open(direction) for direction in Direction)
    state.set_leg(Direction.LONG, Leg(D(1), D(90), reduce_only=True))
    assert [state.may_open(direction) for direction in Direction] == [False, True]
    state.restricted(make_error("No new positions during delisting.", ErrorKind.SYMBOL, ret_code=30228), NOW)
    assert not state.may_open(Direction.SHORT)
    state.listed(replace(INSTRUMENT, status="Delivering"))
    state.look(NOW)
    assert state.symbol_watch.state.word is SymbolWord.SETTLING


def test_in_isolated_margin_no_leg_becomes_larger() -> None:
    state = trading_state("s1")
    state.in_margin_mode("ISOLATED_MARGIN")
    state.look(NOW)
    assert not any(state.may_open(direction) for direction in Direction)
    state.in_margin_mode("REGULAR_MARGIN")
    state.look(NOW)
    assert all(state.may_open(direction) for direction in Direction)


def test_a_price_is_known_with_its_time() -> None:
    state = trading_state("s1")
    state.set_price(ticker("99"), NOW + 3)
    assert (state.last_price, state.price_s, state.ticker) == (99, NOW + 3, ticker("99"))


def test_a_doubted_leg_keeps_its_figures_until_it_is_read_again() -> None:
    """incident L8."""
    state = trading_state("s1")
    state.set_leg(Direction.LONG, Leg(D(1), D(100), D(10)))
    state.doubt_leg(Direction.LONG)
    assert state.legs == {
        Direction.LONG: Leg(D(1), D(100), D(10), unsure=True),
        Direction.SHORT: Leg(leverage=D(10)),
    }
    state.set_leg(Direction.LONG, Leg(D("0.5"), D(100), D(10)))
    assert not state.legs[Direction.LONG].unsure


def test_what_was_refused_for_a_leg_or_for_money_is_worth_another_look_when_that_changes() -> None:
    state = trading_state("s1")

    before = state.epoch
    state.set_price(ticker("99"), NOW)
    assert state.epoch == before, "prices are no reason"
    changes: list[Callable[[], None]] = [
        lambda: state.set_leg(Direction.LONG, Leg(D(1))),
        state.sizes_changed,
        state.resume,
    ]
    for change in changes:
        before = state.epoch
        change()
        assert state.epoch == before + 1
    state.set_leg(Direction.LONG, Leg(D(1)))
    assert state.epoch == before + 1, "it is as it was"


def test_the_first_reason_of_a_halt_stays_until_resume_which_ends_a_pause_as_well() -> None:
    state = trading_state("s1")
    assert [state.halt("delisted"), state.halt("again")] == [True, False]
    state.pause()
    assert (state.halted, state.paused) == ("delisted", True)
    state.resume()
    assert (state.halted, state.paused) == ("", False)
    assert state.halt("another fault")


def test_holds_say_who_set_them_and_when() -> None:
    state = trading_state("s1")
    state.pause(Who.LIQUIDATION, "the exchange took 1")
    state.halt("delisted")
    assert state.holds.held == {
        Hold.PAUSED: Held("the exchange took 1", Who.LIQUIDATION, NOW_MS),
        Hold.HALTED: Held("delisted", Who.EXCHANGE, NOW_MS),
    }
    state.resume()
    state.pause()
    state.halt("KeyError", Who.FAULT)
    assert state.holds.held == {
        Hold.PAUSED: Held("paused by the operator", Who.OPERATOR, NOW_MS),
        Hold.HALTED: Held("KeyError", Who.FAULT, NOW_MS),
    }


def test_a_strategy_that_nothing_is_known_of_is_not_ready() -> None:
    state = StrategyRiskState("s1", "BTCUSDT", trading_state("s1").book, trading_state("s1").caps, lambda: 0)
    assert (state.ready, state.last_price, state.legs) == (False, None, {d: Leg() for d in Direction})
    assert state.notional() == 0
    state.set_ready(ready=True)
    assert state.ready
    state.set_ready(ready=False)
    assert state.holds.held == {Hold.NOT_READY: Held("not reconciled with the exchange", Who.WORKER, 0)}


def test_what_outlives_the_process_is_kept_when_it_changes_and_only_then() -> None:
    state, kept = trading_state("s1"), []
    state.keep = kept.append
    state.set_ready(ready=False)
    state.set_ready(ready=True)
    assert kept == []
    state.pause()
    state.pause()
    assert kept == [state.holds]
    state.halt("delisted")
    assert kept[1].held.keys() == {Hold.PAUSED, Hold.HALTED}
    state.resume()
    state.resume()
    assert [holds.durable().held for holds in kept[2:]] == [{}]


def test_a_strategy_is_latched_or_only_reduces_until_it_is_resumed() -> None:
    state = trading_state("s1")
    assert (state.latched, state.reducing, state.is_held) == ("", "", False)
    state.reduce()
    assert (state.reducing, state.is_held) == ("only reducing, by the operator", False)
    assert not any(state.may_open(direction) for direction in Direction)
    state.kill(Who.OPERATOR, "leaked")
    assert (state.latched, state.is_held) == ("leaked", True)
    state.resume()
    assert (state.latched, state.reducing, state.is_held) == ("", "", False)


def test_what_an_earlier_process_left_holds_again_as_it_was() -> None:
    left = Held("the exchange took 1", Who.LIQUIDATION, 7)
    state, kept = trading_state("s1"), []
    state.keep = kept.append
    state.set_ready(ready=False)
    state.restore(Holds({Hold.PAUSED: left}))
    assert (state.ready, state.paused) == (False, True)
    state.pause()
    assert state.holds.held[Hold.PAUSED] == left
    assert kept == [], "the file has it already"


def test_other_limits_count_at_once_and_what_was_refused_may_pass() -> None:
    state = trading_state("s1")
    before = state.epoch
    state.limit(Caps(max_open_orders=7))
    assert (state.caps.max_open_orders, state.epoch) == (7, before + 1)
