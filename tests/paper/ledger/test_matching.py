"""The queue at a price, by hand and against a slow model."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.vocabulary import Side
from gridbot.paper.ledger.matching import Fill, RestingBook
from gridbot.paper.settings import MatchingModel
from tests.case_table import case_table
from tests.examples import examples

D = Decimal


def test_a_trade_through_the_price_fills_whole_best_price_first() -> None:
    book = RestingBook()
    book.add("low", Side.BUY, 90, D(3), D(100))
    book.add("high", Side.BUY, 95, D(2), D(100))
    assert book.trade(Side.SELL, 89, D(1)) == [Fill("high", 95, D(2)), Fill("low", 90, D(3))]
    assert len(book) == 0


def test_volume_at_the_price_eats_the_queue_in_order_of_arrival() -> None:
    book = RestingBook()
    book.add("first", Side.SELL, 100, D(2), D(5))
    book.add("second", Side.SELL, 100, D(2), D(8))
    assert book.trade(Side.BUY, 100, D(5)) == []
    assert book.trade(Side.BUY, 100, D(1)) == [Fill("first", 100, D(1))]
    assert book.trade(Side.BUY, 100, D(3)) == [Fill("first", 100, D(1))]
    assert book.trade(Side.BUY, 100, D(10)) == [Fill("second", 100, D(2))]


def test_takers_of_the_same_side_do_not_touch_a_resting_order() -> None:
    book = RestingBook()
    book.add("bid", Side.BUY, 100, D(1), D(0))
    assert book.trade(Side.BUY, 100, D(50)) == []


def test_what_stood_before_a_cancelled_order_stands_before_the_next() -> None:
    book = RestingBook()
    book.add("first", Side.BUY, 100, D(2), D(5))
    book.add("second", Side.BUY, 100, D(2), D(5))
    assert book.remove("first")
    assert not book.remove("first")
    assert book.trade(Side.SELL, 100, D(6)) == [Fill("second", 100, D(1))]


MODELS: dict[
    MatchingModel, dict[int, list[Decimal]]
] = {  # what each model makes of a trade at the price of an order of 2 with 10 before it
    MatchingModel.QUEUE: {1: [], 10: [], 11: [D(1)], 12: [D(2)], 99: [D(2)]},
    MatchingModel.TOUCH: {1: [D(2)], 10: [D(2)], 11: [D(2)], 12: [D(2)], 99: [D(2)]},
    MatchingModel.THROUGH: {1: [], 10: [], 11: [], 12: [], 99: []},
}


@case_table("model", MODELS)
@case_table("side", Side)
def test_what_a_model_makes_of_a_trade_at_the_price(model: MatchingModel, side: Side) -> None:
    for size, expected in MODELS[model].items():
        book = RestingBook(model)
        book.add("order", side, 100, D(2), D(10))
        assert book.trade(side, 100, D(99)) == []
        assert book.trade(side.opposite, 100, D(0)) == []
        assert [fill.qty for fill in book.trade(side.opposite, 100, D(size))] == expected


@case_table("model", MatchingModel)
@case_table("side", Side)
@case_table("taker", Side)
@case_table("size", [0, 1])
def test_a_trade_through_the_price_fills_whole_in_each_model(
    model: MatchingModel, side: Side, taker: Side, size: int
) -> None:
    book = RestingBook(model)
    book.add("order", side, 100, D(2), D(10))
    short, through = (101, 99) if side is Side.BUY else (99, 101)
    assert book.trade(taker, short, D(size)) == []
    assert book.trade(taker, through, D(size)) == [Fill("order", 100, D(2))]


def test_a_price_without_volume_fills_only_what_it_passes() -> None:
    book = RestingBook(MatchingModel.TOUCH)
    book.add("at", Side.SELL, 100, D(2), D(0))
    book.add("below", Side.SELL, 99, D(2), D(0))
    assert [fill.order_id for fill in book.trade(Side.BUY, 100, D(0))] == ["below"]


orders = st.tuples(st.sampled_from(Side), st.integers(95, 105), st.integers(1, 9), st.integers(0, 9))
trades = st.tuples(st.sampled_from(Side), st.integers(94, 106), st.integers(0, 20))


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(orders, max_size=8), st.lists(trades, max_size=12))
def test_fills_never_exceed_orders_nor_the_volume_at_their_price(
    placed: list[tuple[Side, int, int, int]], tape: list[tuple[Side, int, int]]
) -> None:
    book = RestingBook()
    left = {}
    for number, (side, ticks, qty, ahead) in enumerate(placed):
        book.add(str(number), side, ticks, D(qty), D(ahead))
        left[str(number)] = D(qty)
    for taker, ticks, size in tape:
        at_price = D(0)
        for fill in book.trade(taker, ticks, D(size)):
            side, limit, _, _ = placed[int(fill.order_id)]
            left[fill.order_id] -= fill.qty
            assert fill.qty > 0
            assert left[fill.order_id] >= 0
            assert fill.ticks == limit
            assert limit >= ticks if side is Side.BUY else limit <= ticks
            if limit == ticks:
                assert taker is side.opposite
                at_price += fill.qty
        assert at_price <= size
    assert len(book) == sum(1 for qty in left.values() if qty)


def test_the_nearest_orders_are_those_that_a_price_reaches_first() -> None:
    book = RestingBook()
    assert book.nearest() == (None, None)
    for name, side, ticks in (("a", Side.BUY, 90), ("b", Side.BUY, 95), ("c", Side.SELL, 110), ("d", Side.SELL, 105)):
        book.add(name, side, ticks, Decimal(1), Decimal(0))
    assert book.nearest() == (95, 105)
    book.trade(Side.SELL, 94, Decimal(1))
    assert book.nearest() == (90, 105)
