"""Every answer of the gate, as an operator reads it: with its figures, when it is tried again, and what lifts it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridbot.core import Instrument
from gridbot.core.limits import Limit
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.breakers import Cause, FailureRun
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import Leg
from gridbot.why import gate_words
from gridbot.why.asked_about import Reason, Spoken, Weight
from gridbot.why.level_words import level_reason
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT
from tests.risk.helpers import BAD_KEY, wallet
from tests.why.scenes import CLOSE, LONG, NO_MONEY, NOW, OPEN, Bench, D, add, bench_with, scene

RESUME = "gb resume alice/s1"


def asked(bench: Bench, wish: Any = OPEN, now_s: float = NOW, qty: str = "0.1", **more: Any) -> Reason:
    found = level_reason(scene(bench, qty=qty, **more), wish, [], now_s)
    assert found is not None
    return found


def test_there_are_words_for_every_refusal() -> None:
    assert set(gate_words._WORDS) == set(Refusal)


def held(event: str) -> Bench:
    bench = Bench()
    match event:
        case "stop":
            bench.gate.stop()
        case "latch":
            bench.gate.latch_loss("lost 250.00 USDT")
        case "not ready":
            bench.risk_state.set_ready(ready=False)
        case "halt":
            bench.risk_state.halt("a fault", Who.FAULT)
        case "pause":
            bench.risk_state.pause()
        case "cap":
            bench.gate.braked(Brake(Stops.ALL, "equity fell by 501 USDT"))
        case "margin":
            bench.gate.braked(Brake(Stops.OPENS, "the margin ratio is 0.6", passes=True))
        case "share":
            bench.gate.lent(D(5))
        case "kill":
            bench.risk_state.holds = Holds({Hold.LATCHED: Held("killed by the operator", Who.OPERATOR, 1)})
        case "kill all":
            bench.gate.state = bench.gate.state._replace(
                holds=Holds({Hold.LATCHED: Held("all is killed", Who.OPERATOR, 1)})
            )
        case "reduce":
            bench.risk_state.holds = Holds({Hold.REDUCING: Held("reduced by the operator", Who.OPERATOR, 1)})
    return bench


@case_table(
    ("event", "text", "weight", "lifted_by"),
    [
        ("stop", "the worker is stopping: nothing is placed any more", Weight.HELD, ""),
        ("not ready", "not ready: not reconciled with the exchange; it begins by itself", Weight.PASSING, ""),
        ("latch", "lost 250.00 USDT", Weight.HELD, "gb resume alice"),
        ("halt", "halted: a fault", Weight.HELD, RESUME),
        ("cap", "equity fell by 501 USDT", Weight.HELD, "gb resume alice"),
        ("margin", "the margin ratio is 0.6", Weight.HELD, ""),
        (
            "share",
            "max_notional of fleet or group: the account's share is 5.00 USDT, 0.00 USDT are used, this order is "
            "10.00 USDT; more is asked for four times a second",
            Weight.HELD,
            "fleet.caps.max_notional, or that of its group, in the configuration",
        ),
        ("pause", "paused: paused by the operator", Weight.HELD, RESUME),
        ("kill", "latched: killed by the operator", Weight.HELD, RESUME),
        ("kill all", "latched: all is killed", Weight.HELD, "gb resume alice"),
        ("reduce", "closes only: reduced by the operator", Weight.HELD, RESUME),
    ],
)
def test_what_holds_is_named_with_the_command_that_lifts_it(event: str, text: str, weight: str, lifted_by: str) -> None:
    bench = held(event)
    assert asked(bench) == Reason(text, weight, None, lifted_by)
    nothing = asked(bench, CLOSE)
    assert (nothing.text, nothing.weight) == ("nothing to close: there is no long position", Weight.NORMAL)


def test_a_key_that_is_not_accepted_says_when_it_is_tried_again() -> None:
    bench = Bench()
    for _ in range(FailureRun().threshold):
        bench.gate.auth_failed(BAD_KEY, NOW)
    bench.gate.strategies["s1"].set_price(bench.risk_state.ticker, NOW + 60)  # type: ignore[arg-type]
    found = asked(bench, now_s=NOW + 60)
    assert "10003" in found.text
    assert (found.next_s, found.lifted_by) == (1740.0, "gb restart alice")


def test_prices_that_are_old_or_not_there() -> None:
    bench = Bench()
    assert asked(bench, now_s=NOW + 43).text.startswith("the newest price is 43 s old: after 30 s nothing is placed")
    bench.risk_state.price_s = None
    assert asked(bench).text == "no price of the symbol has come yet"


def test_a_symbol_that_takes_nothing_or_closes_only() -> None:
    bench = Bench()
    bench.risk_state.restricted(make_error("not live", ErrorKind.SYMBOL, ret_code=110074), NOW)
    assert "takes no orders now" in asked(bench).text
    bench = Bench()
    bench.risk_state.restricted(make_error("reduce only", ErrorKind.SYMBOL, ret_code=110023), NOW)
    assert "be reduced only" in asked(bench).text
    bench = Bench()
    bench.risk_state.set_leg(LONG, Leg(leverage=D(10), reduce_only=True))
    assert asked(bench).text.startswith("the exchange lets the long only be reduced: lower the leverage")


def test_a_level_that_waits_at_the_price_band_or_at_its_breaker() -> None:
    bench = Bench()
    order = add(bench, ticks=1000)
    bench.risk_state.book.index.retire(order)
    for _ in range(3):
        bench.gate.refused(order, NOW, cause=Cause.MOVED)
    found = asked(bench, now_s=NOW + 20)
    assert (found.text.partition(":")[0], found.next_s) == ("outside the exchange's price band", 40.0)
    bench.gate.repaired("s1")
    for _ in range(3):
        bench.gate.refused(order, NOW)
    spoken = {(LONG, 1000): Spoken(NO_MONEY, NOW, 3)}
    found = asked(bench, now_s=NOW + 20, spoken=spoken)
    assert found.text == (
        "the exchange refused this level 3 times in a minute: ab not enough (retCode 110007, balance); "
        "add funds, or lower amount or grid_count"
    )
    assert found.next_s == 40.0
    assert "the alerts say what it answered" in asked(bench, now_s=NOW + 20).text
    refusal = gate_words.gate_reason(scene(Bench()), scene().proposals[LONG, 1000], Refusal.PRICE_BAND, NOW)
    assert refusal.text.endswith("placed when the price is nearer")
    assert gate_words.gate_reason(scene(), scene().proposals[LONG, 1000], Refusal.LEVEL_TAKEN, NOW).weight == "passing"


def test_quantities_that_come_to_nothing() -> None:
    bench = Bench()
    assert asked(bench, qty="0").text == "its quantity comes to 0: the least is 0.001 a piece and 5 USDT an order"
    bench.gate.wallet_seen(wallet("0", "0", ts=2), NOW)
    assert asked(bench, qty="0").lifted_by == "add funds"


def test_closes_without_a_position_or_with_others_in_the_way() -> None:
    bench = Bench()
    bench.risk_state.set_leg(LONG, Leg(D("0.1"), D(100), D(10)))
    order = add(bench, ticks=1020, side=CLOSE.side)
    assert order.reduce_only
    found = asked(bench, CLOSE)
    assert found.text == "nothing left to close: 0.010 of the long 0.1 rest to be closed"
    bench.risk_state.doubt_leg(LONG)
    assert "(110017)" in asked(bench, CLOSE).text


@pytest.mark.parametrize(
    ("caps", "text", "key"),
    [
        ({"max_open_orders": 1}, "max_open_orders: 1 of 1 are open", "caps.max_open_orders"),
        (
            {"max_notional": Limit.parse("10")},
            "max_notional: 1.00 USDT of 10.00 USDT are used, this order is 10.00 USDT",
            "caps.max_notional",
        ),
        ({"max_margin": D("0.01")}, "max_margin: the long is worth 0.00 of at most 0.01 wallets", "max_margin"),
    ],
)
def test_caps_say_how_much_is_used(caps: dict[str, Any], text: str, key: str) -> None:
    bench = bench_with(**caps)
    add(bench, ticks=990, price=D(100))
    found = asked(bench)
    assert found.text.startswith(text)
    assert (found.weight, found.lifted_by) == (Weight.HELD, f"{key} in the configuration")


def test_the_caps_of_account_and_minute() -> None:
    bench = bench_with(max_orders_per_minute=1)
    assert bench.ask() is None
    found = asked(bench, now_s=NOW + 20)
    assert (found.text, found.next_s) == ("max_orders_per_minute: 1 of 1 in the last minute", 40.0)
    bench = Bench()
    others = replace(bench.gate.account, max_notional=Limit.parse("5"))
    found = asked(bench, others=others)
    assert found.text == "the account's max_notional: 0.00 USDT of 5.00 USDT are used, this order is 10.00 USDT"


def test_money_that_is_missing_or_not_known() -> None:
    bench = Bench()
    bench.gate.wallet_seen(wallet("1000", "1", ts=2), NOW)
    found = asked(bench)
    assert found.text.startswith("not enough balance: it needs 1.06 USDT, 1.00 USDT are available")
    bench = Bench()
    assert bench.ask() is None
    promised = asked(bench, qty="500")
    assert promised.text.endswith("of it promised to orders")
    bench.gate.wallet_seen(wallet("1000", None, ts=2), NOW)
    assert bench.ask() is None, "a probe"
    found = asked(bench, now_s=NOW + 2)
    assert (found.text.partition(":")[0], found.next_s) == ("what is available is not known", 3.0)
    bench = bench_with(max_margin=D(8))
    bench.gate.wallet_seen(wallet("0", "0", ts=2), NOW)
    assert asked(bench).text.startswith("max_margin: the wallet has no USDT")


def test_numbers_that_the_disk_does_not_take() -> None:
    assert asked(Bench(), has_numbers=False).text.startswith("no number for an order can be reserved")


def test_nothing_of_ours_in_the_way_is_told_with_what_the_exchange_said_last() -> None:
    bench = Bench()
    assert asked(bench) == Reason("placed with the next price", Weight.PASSING)
    refused = {(LONG, 1000): Refusal.FUNDS}
    assert asked(bench, refused=refused).text == "placed with the next price; the last one found: insufficient balance"
    said = asked(bench, now_s=NOW + 12, spoken={(LONG, 1000): Spoken(NO_MONEY, NOW, 2)})
    assert said.text.startswith("refused by the exchange 2 times, 12 s ago: ab not enough (retCode 110007")
    assert said.weight == Weight.HELD
    once = asked(bench, now_s=NOW + 12, spoken={(LONG, 1000): Spoken(NO_MONEY, NOW, 1)})
    assert once.text.startswith("refused by the exchange 12 s ago")


def test_a_wish_that_the_strategy_does_not_ask_for_yet_says_so_whatever_holds() -> None:
    wish = OPEN._replace(waits="within half a step of the price")
    found = level_reason(scene(held("pause"), [wish]), wish, [], NOW)
    assert found == Reason("within half a step of the price", Weight.NORMAL)


assert isinstance(INSTRUMENT, Instrument)
