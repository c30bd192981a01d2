"""Which orders of another program fit: all six or none, nothing twice, whatever the order of the rows."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, Instrument, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.ids import Owner, account_tag, wire_id
from gridbot.orders.shape_match import Fit, Judged, WantedOrder, match
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
INSTRUMENT = Instrument("BTCUSDT", D("0.1"), D("0.001"), D("0.001"), D(100))
OURS = wire_id(Owner.of(account_tag("paper", "alice"), "s2"), Side.BUY, Direction.LONG, 1000, 1)
WANTED = WantedOrder(Side.BUY, Direction.LONG, D("100.0"), D("0.01"), closes=False)
HIGHER = WantedOrder(Side.SELL, Direction.SHORT, D("102.0"), D("0.01"), closes=False)


def row(**changes: Any) -> OrderUpdateEvent:
    fields: dict[str, Any] = {
        "symbol": "BTCUSDT", "order_id": "x1", "order_link_id": "theirs", "side": Side.BUY,
        "direction": Direction.LONG, "price": D(100), "qty": D("0.010"), "status": OrderStatus.NEW, "created_ts": 5,
    }  # fmt: skip
    return OrderUpdateEvent(**{**fields, **changes})


def judged(*rows: OrderUpdateEvent, wanted: tuple[WantedOrder, ...] = (WANTED, HIGHER), **more: Any) -> list[Judged]:
    return list(match(rows, wanted, INSTRUMENT, **more).judged)


def test_an_order_of_the_same_shape_is_adopted_also_when_it_is_filled_in_part_or_has_no_link_id() -> None:
    for changes in ({}, {"order_link_id": ""}, {"status": OrderStatus.PARTIALLY_FILLED, "cum_exec_qty": D("0.004")}):
        found = match([row(**changes)], [WANTED, HIGHER], INSTRUMENT)
        assert found.of(Fit.ADOPTED) == [Judged(row(**changes), Fit.ADOPTED, WANTED)]
        assert found.absent == (HIGHER,)


@case_table(
    ("changes", "fit", "why"),
    [
        ({"qty": D("0.02")}, Fit.NEAR, "quantity 0.02, wanted 0.01"),
        ({"reduce_only": True}, Fit.NEAR, "reduceOnly true, wanted false"),
        ({"direction": Direction.SHORT}, Fit.NEAR, "leg short, wanted long"),
        ({"side": Side.SELL}, Fit.NEAR, "side Sell, wanted Buy"),
        ({"price": D("100.1")}, Fit.NEAR, "price off the ladder: 1 tick from the level 100.0"),
        ({"price": D("98.05")}, Fit.NEAR, "price off the ladder: 19.5 ticks from the level 100.0"),
        ({"price": D("97.9")}, Fit.FOREIGN, "price off the ladder: 21 ticks from the level 100.0"),
        ({"price": D("99"), "side": Side.SELL}, Fit.FOREIGN, "nothing of the long leg is wanted as Sell"),
        ({"direction": None}, Fit.FOREIGN, "it has no leg (one-way mode)"),
        ({"status": OrderStatus.UNTRIGGERED}, Fit.FOREIGN, "it is no resting limit order (Limit, Untriggered)"),
        ({"order_type": "Market"}, Fit.FOREIGN, "it is no resting limit order (Market, New)"),
        ({"order_link_id": OURS}, Fit.FOREIGN, "its id is one of gridbot, of another strategy or account"),
        ({"price": D(0)}, Fit.FOREIGN, "price off the ladder: 1000 ticks from the level 100.0"),
    ],
)
def test_why_an_order_is_not_adopted(changes: dict[str, Any], fit: Fit, why: str) -> None:
    [found] = judged(row(**changes))
    assert (found.fit, found.why) == (fit, why)


def test_a_level_that_is_taken_or_has_nothing_to_close_takes_no_order() -> None:
    [found] = judged(row(), wanted=(replace(WANTED, taken=True),))
    assert (found.fit, found.why) == (Fit.NEAR, "the strategy has an order of its own there")
    [found] = judged(row(qty=D(0)), wanted=(replace(WANTED, qty=D(0)),))
    assert (found.fit, found.why) == (Fit.NEAR, "nothing is wanted there now")
    [found] = judged(row(), wanted=(replace(WANTED, qty=D(0)),))
    assert found.why == "quantity 0.010, wanted none: nothing to close"
    assert match([], [replace(WANTED, taken=True), replace(WANTED, qty=D(0))], INSTRUMENT).absent == ()


def test_of_two_alike_the_older_is_adopted_and_another_symbol_is_left_out() -> None:
    older, newer = row(order_id="b", created_ts=1), row(order_id="a", created_ts=2)
    found = {each.row.order_id: each for each in judged(newer, older, row(symbol="ETHUSDT"))}
    assert {name: each.fit for name, each in found.items()} == {"b": Fit.ADOPTED, "a": Fit.NEAR}
    assert found["a"].why == "another order of the same shape is adopted there"


def test_another_quantity_fits_when_it_is_asked_for_and_nothing_else_does() -> None:
    assert [each.fit for each in judged(row(qty=D(5)), any_quantity=True)] == [Fit.ADOPTED]
    assert [each.why for each in judged(row(qty=D(5), reduce_only=True), any_quantity=True)] == [
        "reduceOnly true, wanted false"
    ]


prices = st.sampled_from([D("99.9"), D("100.0"), D("100.1"), D("100.2")])
quantities = st.sampled_from([D("0.01"), D("0.010"), D("0.02")])
rows = st.builds(
    row,
    side=st.sampled_from(Side),
    direction=st.sampled_from([*Direction, None]),
    price=prices,
    qty=quantities,
    reduce_only=st.booleans(),
    status=st.sampled_from([OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNTRIGGERED]),
    symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
    created_ts=st.integers(0, 3),
    order_link_id=st.sampled_from(["", "theirs", OURS]),
)
levels = st.builds(
    WantedOrder,
    side=st.sampled_from(Side),
    direction=st.sampled_from(Direction),
    price=prices,
    qty=st.sampled_from([D(0), D("0.01"), D("0.02")]),
    closes=st.booleans(),
    taken=st.booleans(),
)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(rows, max_size=8), st.lists(levels, max_size=8), st.integers(), st.booleans())
def test_the_six_must_be_equal_and_nothing_is_taken_twice(
    found: list[OrderUpdateEvent], wanted: list[WantedOrder], seed: int, any_quantity: bool
) -> None:
    listed = [replace(each, order_id=f"x{number}") for number, each in enumerate(found)]
    answer = match(listed, wanted, INSTRUMENT, any_quantity=any_quantity)
    adopted = answer.of(Fit.ADOPTED)
    for each in adopted:
        level = each.wanted
        assert level is not None
        assert not level.taken
        six = (each.row.symbol, each.row.side, each.row.price, each.row.reduce_only, each.row.direction)
        assert six == ("BTCUSDT", level.side, level.price, level.closes, level.direction)
        assert any_quantity or each.row.qty == level.qty
    assert len({each.row.order_id for each in adopted}) == len(adopted)
    assert len(answer.judged) == sum(each.symbol == "BTCUSDT" for each in listed)
    free = [level for level in wanted if not level.taken and level.qty]
    for level in {*free}:
        filled = sum(each.wanted == level for each in adopted)
        assert filled + answer.absent.count(level) == free.count(level)
    shuffled = listed[:]
    random.Random(seed).shuffle(shuffled)
    assert match(shuffled, wanted, INSTRUMENT, any_quantity=any_quantity) == answer
