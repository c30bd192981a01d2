"""What always holds of flattening: pieces, prices, whatever is refused or lost; and its invariants find faults."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.exchange.failures import ErrorKind
from gridbot.flatten.flatten_invariants import of_effects
from gridbot.flatten.flatten_legs import MOST_PIECES, limit_price, pieces
from gridbot.flatten.flatten_state import LegToClose, Market, Stage
from gridbot.flatten.flatten_words import (
    Begun,
    Cancel,
    Close,
    Finished,
    Terms,
    Told,
    Wanted,
)
from tests.examples import examples
from tests.flatten.flatten_world import (
    LONG,
    LOST,
    NEVER,
    OK,
    PRICE,
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


@given(
    size=st.integers(1, 5000).map(lambda tenths: D(tenths) / 10),
    most=st.integers(1, 300).map(lambda tenths: D(tenths) / 10),
    at_market=st.booleans(),
)
@settings(max_examples=examples(100), deadline=None)
def test_pieces_are_orders_that_the_exchange_takes(size: Decimal, most: Decimal, at_market: bool) -> None:
    rules = replace(RULES[A], max_order_qty=max(most, D("0.3")), max_market_qty=None)
    leg = LegToClose(size, size, at_market=at_market)
    found = pieces(leg, Market(rules, PRICE, 0.0), Terms(), LONG.close_side, 0.0)
    total = sum(qty for qty, _ in found)
    assert found
    assert total <= size
    if size < rules.min_order_qty:
        assert found == [(D(0), None)]
        return
    assert all(rules.min_order_qty <= qty <= rules.max_order_qty and not qty % D("0.1") for qty, _ in found)
    assert len(found) <= MOST_PIECES
    if len(found) < MOST_PIECES:
        assert size - total < rules.min_order_qty, "no more is left than comes with the next round"


@given(price=st.decimals("0.7", "9000", places=2), band=st.decimals("0.001", "0.1", places=3))
@settings(max_examples=examples(60), deadline=None)
def test_a_limit_is_the_last_tick_within_the_band(price: Decimal, band: Decimal) -> None:
    rules = RULES[A]
    sell, buy = (limit_price(one.close_side, price, band, rules) for one in (LONG, SHORT))
    assert price * (1 - band) <= sell < price * (1 - band) + rules.tick_size
    assert price * (1 + band) - rules.tick_size < buy <= price * (1 + band)


# ---------------------------------------------------------------------- whatever happens

FATES = st.sampled_from([OK, OK, OK, LOST, NEVER, *ErrorKind])


@given(
    legs=st.dictionaries(
        st.tuples(st.sampled_from([A, B]), st.sampled_from([LONG, SHORT])),
        st.integers(0, 600).map(lambda tenths: D(tenths) / 10),
    ),
    orders=st.lists(st.tuples(st.sampled_from([A, B]), st.booleans()), max_size=6),
    fates=st.lists(FATES, max_size=60),
    disk_s=st.sampled_from([0.0, 0.1, None]),
    foreign=st.booleans(),
    has_socket=st.booleans(),
)
@settings(max_examples=examples(120), deadline=None)
def test_whatever_is_refused_or_lost_it_ends_flat_once_the_exchange_is_well(
    legs: Any, orders: Any, fates: list[Any], disk_s: float | None, foreign: bool, has_socket: bool
) -> None:
    """Refusals in a row may make it give up a leg; then it says so, and a second order of the operator ends flat."""
    left = iter(fates)
    it = World(
        legs=dict(legs),
        orders=[resting(number, symbol, ours=ours) for number, (symbol, ours) in enumerate(orders)],
        fault=lambda what, request: next(left, OK),
        disk_s=disk_s,
        terms=Terms(foreign=foreign),
        has_socket=has_socket,
    )
    end = it.run()
    assert end is not None, "it ends"
    assert it.violations == []
    is_flat = not any(it.legs.values()) and not [row for row in it.orders if row.ours or foreign]
    assert end.clean <= is_flat, "it never says flat when it is not"
    if not end.clean:
        again = World(legs=it.legs, orders=it.orders, terms=it.terms)
        second = again.run()
        assert second is not None
        assert second.clean
        assert not any(it.legs.values())


def test_the_invariants_find_what_they_are_for() -> None:
    it = world()
    it.feed(Begun())
    state, leg = it.state, LegToClose(D(1), D(1))
    state.legs[A, LONG] = leg
    first_wrong: list[tuple[list[Any], str]] = [
        ([Close(1, A, LONG, D(1))], "before the latch"),
        ([Close(1, A, LONG, D("0.6")), Close(2, A, LONG, D("0.6"))], "are closed together"),
        ([Close(1, B, LONG, D(1))], "not to be closed"),
        ([Close(1, A, LONG, D(1))], "rules are not known"),
        ([Cancel((resting(1, "CUSDT"),))], "nobody wanted"),
        ([Cancel((resting(1, ours=False),))], "nobody wanted"),
        ([Finished(True, ""), Told("")], "after its end"),
        ([Finished(True, "")], "ended clean"),
    ]
    for wrong, told in first_wrong:
        assert any(told in text for text in of_effects(state, wrong, it.now_s)), told
    state.wanted = Wanted({A: True}, Terms(opens_only=True))
    assert any("nobody wanted" in text for text in of_effects(state, [Cancel((resting(1, opens=False),))], it.now_s))
    state.wanted = Wanted(it.symbols)
    state.markets[A] = Market(RULES[A], PRICE, 0.0)
    state.silent_until_s = it.now_s + 1
    state.sent["9"] = Close(9, A, LONG, D(1))
    then_wrong: list[tuple[list[Any], str]] = [
        ([Close(1, A, LONG, D("0.05"))], "no quantity"),
        ([Close(1, A, LONG, D(1), D(900))], "outside the band"),
        ([Close(1, A, LONG, D(1), D("999.9"))], "no whole tick"),
        ([Close(1, A, LONG, D(1))], "during a ban"),
        ([Cancel((resting(1),))], "during a ban"),
        ([Close(1, A, LONG, D(1))], "another was not answered"),
    ]
    for wrong, told in then_wrong:
        assert any(told in text for text in of_effects(state, wrong, it.now_s)), told
    state.wanted = Wanted({})
    state.legs.clear()
    state.sent.clear()
    state.stage, state.listed_s, state.cleared_s = Stage.DONE, 1.0, 2.0
    state.wanted = Wanted({A: True})
    assert any("older than" in text for text in of_effects(state, [Finished(True, "")], it.now_s))
