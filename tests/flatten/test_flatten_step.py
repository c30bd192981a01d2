"""Flattening as a machine: whatever the exchange does, it only reduces, ends, and says the truth about what remains."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.exchange.failures import ErrorKind
from gridbot.flatten.flatten_state import FlattenState, Stage
from gridbot.flatten.flatten_step import next_look_s, step
from gridbot.flatten.flatten_words import (
    AskLegs,
    AskOrders,
    Begun,
    Cancel,
    CancelAnswered,
    Close,
    CloseAnswered,
    KeepLatch,
    Known,
    LegsListed,
    MarketRead,
    OrdersListed,
    Others,
    Problem,
    ReadFailed,
    Terms,
    Time,
    Told,
    Wanted,
    Warn,
    WithdrawKnown,
)
from tests.flatten.flatten_world import (
    LONG,
    LOST,
    NEVER,
    OK,
    RULES,
    SHORT,
    A,
    B,
    Fault,
    World,
    resting,
)

D = Decimal
LEGS = {(A, LONG): D("23.4"), (A, SHORT): D("0.7"), (B, LONG): D(4), (B, SHORT): D(0)}


def world(**changed: Any) -> World:
    given = {"legs": dict(LEGS), "orders": [resting(1), resting(2, B), resting(3, ours=False)]}
    return World(**{**given, **changed})


def first(count: int, fate: str | ErrorKind, of: str = "") -> Fault:
    """The first `count` requests (of a kind) meet this."""
    left = [count]

    def fault(what: str, request: object) -> str | ErrorKind:
        if of not in ("", what) or left[0] <= 0:
            return OK
        left[0] -= 1
        return fate

    return fault


# ---------------------------------------------------------------------- what is usual


def test_it_ends_flat_and_says_so() -> None:
    calm = world()
    end = calm.run()
    assert end is not None
    assert end.clean
    assert end.text.startswith(
        "flat, confirmed by REST: closed 23.4 long of AUSDT, 0.7 short of AUSDT, 4 long of BUSDT"
    )
    assert "5 orders cancelled" in end.text
    assert not any(calm.legs.values())
    assert [row.order_id for row in calm.orders] == ["id3"], "what is not ours stays"
    assert calm.violations == []


def test_the_order_of_things() -> None:
    """Latch, withdraw, confirm that nothing rests, then close: each leg in pieces, all of them at once."""
    calm = world()
    calm.run()
    kinds = [type(effect) for _, effect in calm.log]
    assert kinds[:3] == [KeepLatch, WithdrawKnown, AskOrders]
    closes = [(at_s, one) for at_s, one in calm.log if isinstance(one, Close)]
    cancelled_s = max(at_s for at_s, one in calm.log if isinstance(one, Cancel))
    assert cancelled_s < closes[0][0] == closes[-1][0], "no piece waits for another"
    assert [one.qty for _, one in closes if (one.symbol, one.direction) == (A, LONG)] == [D(10), D(10), D("3.4")]
    assert {one.price for _, one in closes} == {D(995), D(1005)}, "half a percent through the last price"


def test_cancel_closes_nothing() -> None:
    calm = world(symbols={A: False, B: False})
    end = calm.run()
    assert end is not None
    assert (end.clean, end.text.split(":")[0]) == (True, "nothing rests, confirmed by REST")
    assert calm.legs == LEGS
    assert calm.of(Close) == []


def test_a_whole_account_has_symbols_that_nobody_trades_and_they_are_told_or_taken() -> None:
    """A position of the owner's own stayed open after `flatten ACCOUNT`, and nothing said so."""
    orders = [resting(1), resting(2, B, ours=False), resting(3, B, ours=False)]
    calm = world(symbols={A: True}, orders=list(orders), others=Others.TOLD, terms=Terms(foreign=True))
    end = calm.run()
    assert end is not None
    assert end.clean, "it is no failure: nobody asked for it"
    told = "no strategy of this account trades it: 4 long of BUSDT, 2 orders of BUSDT (--foreign takes it, too)"
    assert end.text.endswith(f"; LEFT ALONE, as {told}")
    assert (calm.legs[B, LONG], [row.order_id for row in calm.orders]) == (D(4), ["id2", "id3"])
    cancelled = world(symbols={A: False}, orders=list(orders), others=Others.CANCELLED, terms=Terms(foreign=True))
    end = cancelled.run()
    assert (end is not None and end.clean, cancelled.orders, cancelled.legs) == (True, [], LEGS)
    all_of_it = world(symbols={}, orders=list(orders), others=Others.CLOSED, terms=Terms(foreign=True))
    all_of_it.one_way = ((B, LONG),)
    end = all_of_it.run()
    assert end is not None
    assert (end.clean, "LEFT" in end.text, all_of_it.orders) == (True, False, [])
    assert not any(all_of_it.legs.values())
    closes = [one for one in all_of_it.of(Close) if isinstance(one, Close)]
    assert {(one.symbol, one.one_way) for one in closes} == {(A, False), (B, True)}
    one_strategy = world(symbols={A: True})
    end = one_strategy.run()
    assert end is not None
    assert "LEFT" not in end.text
    for it in (calm, cancelled, all_of_it, one_strategy):
        assert it.violations == []


def test_of_what_only_reduces_nothing_is_withdrawn_when_opens_alone_are_to_go() -> None:
    calm = world(
        symbols={A: False, B: False},
        terms=Terms(opens_only=True),
        orders=[resting(1), resting(2, opens=False), resting(3, B)],
    )
    end = calm.run()
    assert end is not None
    assert end.text.startswith("nothing that opens rests, confirmed by REST: 2 orders cancelled")
    assert [row.order_id for row in calm.orders] == ["id2"]
    assert calm.of(WithdrawKnown) == [], "that takes closes, too"
    assert calm.violations == []


def test_only_what_is_asked_for() -> None:
    calm = world(symbols={B: True})
    end = calm.run()
    assert end is not None
    assert end.clean
    assert calm.legs == {**LEGS, (B, LONG): D(0)}
    assert [row.order_id for row in calm.orders] == ["id1", "id3"]


def test_foreign_orders_go_when_that_is_asked_for() -> None:
    calm = world(terms=Terms(foreign=True))
    assert calm.run() is not None
    assert calm.orders == []


@pytest.mark.parametrize(
    ("disk_s", "begins_s", "warns"), [(0.0, 0.0, 0), (0.05, 0.05, 0), (5.0, 0.2, 1), (None, 0.2, 1)]
)
def test_the_disk_has_200_ms(disk_s: float | None, begins_s: float, warns: int) -> None:
    calm = world(disk_s=disk_s)
    end = calm.run()
    assert end is not None
    assert end.clean
    began_s, _ = calm.log[0]
    asked_s = next(at_s for at_s, one in calm.log if isinstance(one, AskOrders))
    assert asked_s - began_s == pytest.approx(begins_s, abs=0.002)
    assert len(calm.of(Warn)) == warns


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("kind", [ErrorKind.RETRY, ErrorKind.RATE_LIMIT, LOST, NEVER])
@pytest.mark.parametrize("of", ["read", "cancel", "close"])
def test_what_passes_costs_a_moment(kind: str | ErrorKind, of: str) -> None:
    end = (it := world(fault=first(5, kind, of))).run(60)
    assert end is not None
    assert end.clean, end.text
    assert not any(it.legs.values())
    assert it.violations == []


def test_after_a_ban_nothing_is_sent_before_its_end() -> None:
    it = world(fault=first(1, ErrorKind.IP_BAN, "close"))
    end = it.run()
    assert end is not None
    assert end.clean
    told = [one.text for one in it.of(Told) if isinstance(one, Told)]
    assert len(told) == 1
    assert "the exchange bans this address for 600 s" in told[0]
    assert it.violations == []


@pytest.mark.parametrize("stubborn", [0, 2], ids=["nothing rests", "orders that do not go"])
def test_during_a_ban_legs_are_closed_by_another_way_and_rest_confirms_it_afterwards(stubborn: int) -> None:
    """A 403 is about HTTP alone: the legs stayed open for its ten minutes though the trade socket was up."""
    it = world(fault=first(1, ErrorKind.IP_BAN, "read"), has_socket=True, stubborn=stubborn)
    end = it.run()
    assert end is not None
    assert end.clean
    closes = [at_s for at_s, one in it.log if isinstance(one, Close)]
    assert stubborn * 2.5 <= closes[0] - 100 < stubborn * 2.5 + 2, "orders that do not go keep them waiting for 5 s"
    assert closes[-1] - closes[0] < 10
    [(told_s, told)] = [(at_s, one) for at_s, one in it.log if isinstance(one, Told)]
    assert isinstance(told, Told)
    assert "by the streams all legs are closed, which REST confirms then" in told.text
    assert told_s < closes[0] + 2
    confirmed = [at_s for at_s, one in it.log if isinstance(one, AskLegs)]
    assert confirmed[0] - 100 >= 600, "nothing by HTTP before the end of the ban"
    assert it.violations == []


def test_a_way_that_ends_in_a_ban_is_asked_for_again_and_says_so() -> None:
    it = world(fault=first(1, ErrorKind.IP_BAN, "read"))
    it.run(30.0)
    assert (it.of(Close), len(it.of(Told))) == ([], 1), "told at once: nobody can close"
    it.feed(Known({}, {}))
    it.has_socket = True
    it.run(3.0)
    assert it.of(Close)
    assert it.violations == []


def test_a_price_that_the_exchange_does_not_take_goes_to_the_market_at_once() -> None:
    def fault(what: str, request: object) -> str | ErrorKind:
        return ErrorKind.PARAM if isinstance(request, Close) and request.price is not None else OK

    it = world(fault=fault)
    end = it.run(5)
    assert end is not None
    assert end.clean
    at_market = [one.qty for one in it.of(Close) if isinstance(one, Close) and one.price is None]
    assert max(at_market) == D(4), "pieces of the largest market order"
    assert it.violations == []


def test_what_finds_nobody_at_its_price_goes_to_the_market_after_a_time() -> None:
    it = world()
    full = it.close

    def close(one: Close) -> None:
        if one.price is None:
            full(one)
        else:
            it.later(CloseAnswered(one.number))

    it.close = close  # type: ignore[method-assign, assignment]
    end = it.run(60)
    assert end is not None
    assert end.clean
    began_s = it.log[0][0]
    market_s = next(at_s for at_s, one in it.log if isinstance(one, Close) and one.price is None)
    assert 5 <= market_s - began_s < 7


@pytest.mark.parametrize("kind", [ErrorKind.SYMBOL, ErrorKind.HALT, ErrorKind.BALANCE, ErrorKind.PARAM])
def test_a_leg_that_is_refused_withdraws_no_other(kind: ErrorKind) -> None:
    def fault(what: str, request: object) -> str | ErrorKind:
        return kind if isinstance(request, Close) and (request.symbol, request.direction) == (A, LONG) else OK

    it = world(fault=fault)
    end = it.run()
    assert end is not None
    assert not end.clean
    assert {name: size for name, size in it.legs.items() if size} == {(A, LONG): D("23.4")}
    assert end.text.startswith("NOT flat: 23.4 long of AUSDT is open (")
    assert f"refused: {kind})" in end.text
    others_s = max(at_s for at_s, one in it.log if isinstance(one, Close) and one.symbol == B)
    assert others_s - it.log[0][0] < 1
    assert it.violations == []


def test_orders_that_do_not_go_keep_the_closes_waiting_for_five_seconds() -> None:
    def fault(what: str, request: object) -> str | ErrorKind:
        return ErrorKind.HALT if what == "cancel" else OK

    it = world(fault=fault)
    end = it.run()
    assert end is not None
    assert not end.clean
    assert not any(it.legs.values())
    first_s = next(at_s for at_s, one in it.log if isinstance(one, Close))
    assert 5 <= first_s - it.log[0][0] < 6
    assert end.text.startswith("NOT flat: 2 orders of AUSDT, BUSDT rest (halt)")


def test_dust_is_closed_by_whole_and_told_when_that_is_refused() -> None:
    dust = {(A, LONG): D("0.2")}
    it = world(legs=dict(dust))
    end = it.run()
    assert end is not None
    assert end.clean
    assert [one.qty for one in it.of(Close) if isinstance(one, Close)] == [D(0)]
    it = world(legs=dict(dust), fault=lambda what, request: ErrorKind.PARAM if what == "close" else OK)
    end = it.run()
    assert end is not None
    assert not end.clean
    assert "0.2 long of AUSDT is open (less than the exchange takes as an order; refused: param)" in end.text


def test_what_cannot_be_read_is_told_and_keeps_nothing_else_waiting() -> None:
    it = world(fault=lambda what, request: ErrorKind.AUTH if what == "read" else OK)
    end = it.run(30)
    assert end is not None
    assert not end.clean
    assert "reading the exchange failed: auth" in end.text
    it = world(orders=[])
    it.read = lambda what, request, answer: it.later(  # type: ignore[method-assign]
        replace(answer, unreadable={B: "positionIdx 0"}) if isinstance(answer, LegsListed) else answer
    )
    end = it.run()
    assert end is not None
    assert not end.clean
    assert not it.legs[A, LONG]
    assert "BUSDT: a row of the listed legs cannot be read (positionIdx 0)" in end.text


def test_rules_that_cannot_be_read_do_not_keep_a_leg_open() -> None:
    def fault(what: str, request: object) -> str | ErrorKind:
        return ErrorKind.PARAM if getattr(request, "symbol", "") == A and what == "read" else OK

    it = world(fault=fault, orders=[])
    end = it.run()
    assert end is not None
    assert end.clean
    assert {one.qty for one in it.of(Close) if isinstance(one, Close) and one.symbol == A} == {D(0)}


def test_what_may_land_yet_is_waited_for() -> None:
    it = world(orders=[], legs={}, terms=Terms(settle_s=2.0))
    assert it.run() is not None
    assert it.now_s - it.log[0][0] >= 2
    assert len(it.of(AskOrders)) == len(it.of(AskLegs)) == 2, "at once, and when all has landed: no look in between"
    it = world(orders=[], legs={}, symbols={A: False})
    it.read = lambda what, request, answer: it.later(  # type: ignore[method-assign]
        replace(answer, under_way=1) if isinstance(answer, OrdersListed) and it.now_s < 103 else answer
    )
    assert it.run() is not None
    assert it.now_s >= 103


def test_it_gives_up_in_the_end() -> None:
    it = world(fault=lambda what, request: NEVER)
    end = it.run()
    assert end is not None
    assert not end.clean
    assert it.now_s - it.log[0][0] == pytest.approx(900, abs=2)
    assert "the legs are not read yet" in end.text


def test_what_comes_late_changes_nothing() -> None:
    state = FlattenState(Wanted({A: True}))
    assert step(state, Time(), 1.0) == []
    step(state, Begun(), 1.0)
    for stray in (
        Begun(),
        CloseAnswered(7),
        CancelAnswered("x"),
        LegsListed(0.0, {(A, LONG): D(1)}),
        OrdersListed(0.0, (resting(1),)),
        ReadFailed("orders", Problem(ErrorKind.RETRY, "")),
        MarketRead(A, RULES[A], None),
    ):
        assert step(state, stray, 1.1) == []
    assert state.stage is Stage.LATCH
    assert next_look_s(state, 1.1) == pytest.approx(0.1)
