"""An order that is over for us and rests on the exchange: what brings it back, and what is too old to."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import OrderStatus
from gridbot.orders import life_effects, life_events
from gridbot.orders.breakers import Cause
from gridbot.orders.life_moves import TAKEN
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.reconcile import contradicts
from gridbot.orders.retry import MAX_TRIES, NO_TRIES, Tries
from tests.case_table import case_table
from tests.orders.helpers import make_order, update
from tests.orders.life_bench import LATER_TS, LifeBench, names

D = Decimal


MOVED = life_effects.TellOperator(
    "warning",
    "moved.BTCUSDT",
    "BTCUSDT: the exchange has moved our Buy from 100.0 to 101 (price band); when it goes on the level waits, a "
    "minute at a time; narrow the grid if that should not be",
    "s1",
)


@pytest.mark.parametrize("situation", ["held to be cancelled", "held to be rejected"])
def test_an_order_that_was_held_to_be_over_and_is_listed_lives_again(situation: str) -> None:
    """Issue 11: eleven orders rested and the book knew ten; the level was doubled."""
    bench = LifeBench().reach(situation)
    order = bench.order
    order.withdrawn = ""
    was, row = order.state, bench.row(OrderStatus.PARTIALLY_FILLED, "0.004", 10, price=D("101"))
    is_first, level = not order.exchange_ts, order.ticks
    effects = bench.take(life_events.Revived(row))
    text = f"BTCUSDT: {order.key} was held to be {was} and rests on the exchange (Buy @ 101); it is followed again"
    assert effects == [
        Transition(order, was, OrderState.PARTIALLY_FILLED, f"was held to be {was}, and rests", 10),
        life_effects.TellOperator("warning", "revived.BTCUSDT", text, "s1"),
        *([MOVED, life_effects.CountRefusal(order, level, answered=False, cause=Cause.MOVED)] if is_first else []),
    ]
    assert bench.book.has_live(order.direction, 1010)
    assert (order.cum_exec_qty, order.on_wire) == (D("0.004"), True)


def test_what_was_under_way_for_a_revived_order_is_forgotten() -> None:
    bench = LifeBench().reach("held to be rejected")
    order = bench.order
    order.in_flight = order.cancelling = True
    order.cancel_tries = Tries(MAX_TRIES, 1.0, None)
    bench.take(life_events.Revived(bench.row(OrderStatus.NEW)))
    assert (order.in_flight, order.cancelling, order.cancel_tries) == (False, False, NO_TRIES)


def test_a_revived_order_that_nobody_wants_is_cancelled_at_once() -> None:
    bench = LifeBench().reach("held to be cancelled")
    effects = bench.take(life_events.Revived(bench.row(OrderStatus.NEW)))
    assert names(effects) == "[cancelled>open] TellOperator cancel[open]"
    assert isinstance(effects[1], life_effects.TellOperator)
    assert effects[1].text.endswith("; it is cancelled")


def test_a_revived_order_whose_level_has_another_one_is_cancelled_at_once() -> None:
    bench = LifeBench().reach("held to be rejected")
    other = make_order(2)
    bench.book.add(other)
    effects = bench.take(life_events.Revived(bench.row(OrderStatus.NEW)))
    assert names(effects) == "[rejected>open] TellOperator cancel[open]"
    assert (bench.order.withdrawn, other.is_live) == (TAKEN, True)


@case_table(
    ("situation", "row"),
    [
        ("cancelled", {"ts": 12}),  # not newer than the exchange's own last word
        ("filled", {"ts": LATER_TS}),  # what is complete never comes back
        ("filled, unsettled", {"ts": LATER_TS}),
    ],
)
def test_a_stale_row_revives_nothing(situation: str, row: dict[str, int]) -> None:
    for event in (life_events.Heard, life_events.Revived):
        bench = LifeBench().reach(situation)
        before = bench.order.state
        news = bench.row(OrderStatus.NEW, **row)  # type: ignore[arg-type]
        assert (
            bench.take(
                life_events.Heard(bench.order, news) if event is life_events.Heard else life_events.Revived(news)
            )
            == []
        )
        assert bench.order.state is before


def test_what_is_older_by_its_time_alone_revives_when_the_exchange_says_so_itself() -> None:
    """Its clock may be set back: the stream's word leads to a listing, and an answer about the order is believed."""
    bench = LifeBench().reach("held to be cancelled")
    assert names(bench.take(bench.heard(OrderStatus.NEW, ts=9))) == "Reconcile"
    row = bench.row(OrderStatus.NEW, ts=9)
    assert contradicts(bench.order, row)
    assert names(bench.take(life_events.Revived(row))) == "[cancelled>open] TellOperator cancel[open]"


def test_the_stream_alone_takes_back_no_end_that_the_exchange_has_told() -> None:
    """A frame of before the end may be later by its time than the end itself."""
    bench = LifeBench().reach("cancelled")
    assert names(bench.take(bench.heard(OrderStatus.NEW, ts=LATER_TS + 5))) == "Reconcile"
    assert bench.order.state is OrderState.CANCELLED


def test_a_row_that_knows_of_fewer_executions_is_stale() -> None:
    bench = LifeBench().reach("partially filled")
    bench.take(life_events.LookedUp(bench.order, life_events.LookUp.GONE))
    assert bench.take(life_events.Revived(bench.row(OrderStatus.NEW))) == []


def test_the_exchanges_own_end_is_remembered_so_that_older_rows_do_not_revive() -> None:
    bench = LifeBench().reach("held to be rejected")
    bench.take(bench.heard(OrderStatus.CANCELLED, ts=8))
    assert bench.take(bench.heard(OrderStatus.NEW, ts=7)) == []
    assert bench.take(life_events.Revived(bench.row(OrderStatus.NEW, ts=8))) == []


def test_an_end_with_more_executions_makes_the_order_unsettled_again() -> None:
    bench = LifeBench().reach("held to be cancelled")
    order = bench.order
    assert bench.take(bench.heard(OrderStatus.CANCELLED, "0.004")) == [
        Transition(order, OrderState.CANCELLED, OrderState.CANCELLED, "was held to be cancelled", LATER_TS)
    ]
    assert bench.book.unsettled() == [order]
    assert bench.take(bench.heard(OrderStatus.CANCELLED, "0.004")) == []


def test_a_row_of_an_order_that_is_not_over_is_news_and_one_of_nobody_is_nothing() -> None:
    bench = LifeBench().reach("acknowledged")
    assert names(bench.take(life_events.Revived(bench.row(OrderStatus.NEW)))) == "[pending>open]"
    nameless = bench.row(OrderStatus.PARTIALLY_FILLED, "0.004", order_link_id="")
    assert names(bench.take(life_events.Revived(nameless))) == "[open>partially_filled]", "found by the exchange's id"
    assert bench.take(life_events.Revived(update(make_order(9), OrderStatus.NEW))) == []
