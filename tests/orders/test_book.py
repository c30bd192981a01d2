"""What the order book makes of news, one at a time; `test_life_machine.py` has random lives of its orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Direction, OrderStatus, Side
from gridbot.orders.book import OrderBook
from gridbot.orders.order import IllegalTransition, OrderState, Transition
from tests.orders.helpers import INSTRUMENT, make_order, update

ZERO = Decimal(0)


@pytest.fixture
def book() -> OrderBook:
    return OrderBook(INSTRUMENT)


def test_a_filled_order_keeps_its_level_until_its_execution_is_in(book: OrderBook) -> None:
    """The order stream may run ahead of the execution stream (docs/bybit.md 3.12 no. 5)."""
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    assert order.state is OrderState.FILLED
    assert book.has_live(Direction.LONG, 1000)
    assert [shown.key for shown in book.limit_orders.long] == [order.key]
    assert book.unsettled() == [order]

    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 2)
    assert not book.has_live(Direction.LONG, 1000)
    assert book.limit_orders.long == []


def test_partial_fills_leave_the_rest_managed(book: OrderBook) -> None:
    """incident L17: any execution used to mark the order filled and nobody owned the remainder."""
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert order.state is OrderState.PARTIALLY_FILLED
    assert book.has_live(Direction.LONG, 1000)
    assert book.limit_orders.long[0].has_fills
    book.apply_execution(order.link_id, Decimal("0.006"), ZERO, 2)
    assert order.state is OrderState.FILLED
    assert not book.has_live(Direction.LONG, 1000)


def test_executions_may_arrive_in_any_order(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.006"), ZERO, 2)  # the second one first
    assert order.state is OrderState.FILLED
    assert book.has_live(Direction.LONG, 1000), "0.004 are still to be accounted for"
    book.apply_execution(order.link_id, Decimal("0.001"), Decimal("0.009"), 1)
    assert book.has_live(Direction.LONG, 1000), "0.003 are"
    book.apply_execution(order.link_id, Decimal("0.003"), Decimal("0.006"), 1)
    assert not book.has_live(Direction.LONG, 1000)


def test_fills_that_were_accounted_for_before_adoption_are_not_added_again(book: OrderBook) -> None:
    """The listing may be ahead of the execution stream: 0.004 is in the row, and its execution comes afterwards."""
    order = make_order()
    order.state, order.cum_exec_qty, order.exec_qty = OrderState.PARTIALLY_FILLED, Decimal("0.004"), Decimal("0.004")
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert (order.state, order.cum_exec_qty) == (OrderState.PARTIALLY_FILLED, Decimal("0.004"))


def test_a_clamped_order_is_complete_when_the_exchange_says_so(book: OrderBook) -> None:
    """A reduce-only order may have been cut; its execution can arrive before the order's own message."""
    order = make_order(side=Side.SELL, qty="0.020")
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 1, order_qty=Decimal("0.010"))
    assert order.is_settled
    assert not book.has_live(Direction.LONG, 1000)


def test_the_second_filled_message_of_a_lost_cancel_is_not_news(book: OrderBook) -> None:
    """docs/bybit.md 3.12 no. 4: a cancel that lost the race answers with a second Filled."""
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 5)
    again = update(order, OrderStatus.FILLED, "0.010", 6, reject_reason="EC_OrigClOrdIDDoesNotExist")
    assert book.apply_update(again) is None


@pytest.mark.parametrize(("cum", "ts"), [("0", 5), ("0.004", 9), ("0.003", 11)])
def test_old_news_is_dropped(book: OrderBook, cum: str, ts: int) -> None:
    """Older by its time, or by what was executed: frames may overtake each other (docs/bybit.md 3.12)."""
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 10))
    assert book.apply_update(update(order, OrderStatus.NEW, cum, ts, price=Decimal(90))) is None
    assert (order.state, order.cum_exec_qty, order.ticks) == (OrderState.PARTIALLY_FILLED, Decimal("0.004"), 1000)


@pytest.mark.parametrize(("cum", "ts"), [("0.004", 9), ("0", 11)])
def test_the_end_of_an_order_is_news_however_late_it_comes(book: OrderBook, cum: str, ts: int) -> None:
    order = make_order()
    book.add(order)
    book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 10)
    over = book.apply_update(update(order, OrderStatus.CANCELLED, cum, ts))
    assert over is not None
    assert (over.after, order.cum_exec_qty, order.exchange_ts) == (OrderState.CANCELLED, Decimal("0.004"), max(ts, 10))


def test_a_cancelled_order_with_fills_waits_for_them(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", 3, cancel_type="CancelByUser"))
    assert order.state is OrderState.CANCELLED
    assert book.has_live(Direction.LONG, 1000)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 2)
    assert not book.has_live(Direction.LONG, 1000)


def test_the_exchanges_price_and_quantity_are_believed(book: OrderBook) -> None:
    """It re-prices silently outside its band (docs/bybit.md 3.13) and clamps reduce-only orders."""
    order = make_order(side=Side.SELL)
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, price=Decimal("101.5"), qty=Decimal("0.007")))
    assert (order.ticks, order.qty) == (1015, Decimal("0.007"))
    assert book.has_live(Direction.LONG, 1015)
    assert not book.has_live(Direction.LONG, 1000)
    assert book.resting_close_qty(Direction.LONG) == Decimal("0.007")


@pytest.mark.parametrize("heard", ["update", "execution"])
def test_an_order_that_the_exchange_speaks_of_has_left(book: OrderBook, heard: str) -> None:
    order = make_order()
    order.on_wire = False
    book.add(order)
    if heard == "update":
        book.apply_update(update(order, OrderStatus.NEW))
    else:
        book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 1)
    assert order.on_wire


def test_an_id_is_never_used_twice(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.REJECTED, "no")
    with pytest.raises(IllegalTransition, match="never used"):
        book.add(make_order())


def test_an_order_answers_to_both_of_its_ids(book: OrderBook) -> None:
    """An adopted order brings its exchange id along; a new one gets it with the acknowledgement."""
    adopted, new = make_order(1), make_order(2, ticks=1001)
    adopted.order_id = "x1"
    book.add(adopted)
    book.add(new)
    book.acknowledge(new.key, "x2")
    assert (book.get("x1"), book.get("x2"), book.get(new.link_id)) == (adopted, new, new)
    assert new.state is OrderState.PENDING, "an acknowledgement is no proof that it rests"
    for key, order_id in (("unknown", "x3"), (new.key, "")):
        book.acknowledge(key, order_id)
    assert (book.get("x3"), new.order_id) == (None, "x2")


def test_a_lost_reply_keeps_the_level_until_it_is_known_what_became_of_the_order(book: OrderBook) -> None:
    """incident L2: nobody knows whether the order exists, so nothing may be placed in its stead."""
    order = make_order()
    book.add(order)
    lost = book.lose_reply(order.key, "timeout", 10000)
    assert lost == Transition(order, OrderState.PENDING, OrderState.UNRESOLVED, "timeout", 0, 10000)
    assert (book.lose_reply(order.key, "timeout"), book.lose_reply("unknown", "")) == (None, None)
    assert book.has_live(Direction.LONG, 1000)
    assert book.move(order, OrderState.REJECTED, "refused") == Transition(
        order, OrderState.UNRESOLVED, OrderState.REJECTED, "refused"
    )
    assert not book.has_live(Direction.LONG, 1000)
    assert book.move(order, OrderState.CANCELLED, "") is None, "what is over stays over"


def test_a_cancel_is_under_way_only_while_that_is_the_orders_state(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.PENDING_CANCEL, "outside_grid")
    assert order.cancelling
    book.move(order, OrderState.OPEN, "busy")
    assert not order.cancelling


def test_a_withdrawn_order_keeps_its_level_and_the_engine_no_longer_sees_it(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    changes = book.version
    version = book.limit_orders.version
    book.withdraw(order, "outside_grid")
    assert (book.limit_orders.long, book.has_live(Direction.LONG, 1000)) == ([], True)
    assert book.limit_orders.version > version
    assert book.version > changes
    book.withdraw(order, "")
    assert [shown.key for shown in book.limit_orders.long] == [order.key]


def test_the_book_answers_for_both_legs_and_for_what_may_execute(book: OrderBook) -> None:
    opening, closing = make_order(1), make_order(2, side=Side.SELL, ticks=1010)
    book.add(opening)
    book.add(closing)
    book.apply_execution(opening.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert book.opening_notional() == Decimal("0.006") * 100
    assert book.opening_notional(Direction.SHORT) == 0
    assert book.resting_close_qty(Direction.LONG) == Decimal("0.010")
    assert len(book) == 2
    book.apply_update(update(closing, OrderStatus.FILLED, "0.010"))
    assert (len(book), list(book)) == (1, [opening, closing])


# ---------------------------------------------------------------------- what contradicts the end of an order


@pytest.mark.parametrize(
    ("status", "cum", "after", "lives"),
    [
        (OrderStatus.NEW, "0", OrderState.OPEN, True),
        (OrderStatus.PARTIALLY_FILLED, "0.004", OrderState.PARTIALLY_FILLED, True),
        (OrderStatus.FILLED, "0.010", OrderState.FILLED, True),  # until its execution is in
        (OrderStatus.CANCELLED, "0.004", OrderState.CANCELLED, True),
        (OrderStatus.CANCELLED, "0", OrderState.CANCELLED, False),
    ],
)
def test_an_order_that_was_thought_over_takes_the_exchanges_word(
    book: OrderBook, status: OrderStatus, cum: str, after: OrderState, *, lives: bool
) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.REJECTED, "never reached the exchange")
    back = book.revive(order, update(order, status, cum, 7, price=Decimal(101)), "listed")
    assert back == Transition(order, OrderState.REJECTED, after, "listed", 7)
    assert (order.ticks, order.cum_exec_qty, order.order_id) == (1010, Decimal(cum), f"x-{order.link_id}")
    assert order.ended_ts == (0 if status.is_open else 7)
    assert (book.has_live(Direction.LONG, 1010), book.has_live(Direction.LONG, 1000)) == (lives, False)
    assert book.get(f"x-{order.link_id}") is order


def test_a_complete_order_never_comes_back(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_execution(order.key, Decimal("0.010"), ZERO, 5)
    with pytest.raises(IllegalTransition, match="filled cannot become partially_filled again"):
        book.revive(order, update(order, OrderStatus.NEW, ts=9), "listed")


@pytest.mark.parametrize(
    ("qty", "leaves", "after"), [("0.010", "0", OrderState.FILLED), ("0.004", "0.006", OrderState.CANCELLED)]
)
def test_what_has_executed_was_not_rejected(book: OrderBook, qty: str, leaves: str, after: OrderState) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.REJECTED, "never reached the exchange")
    found = book.apply_execution(order.key, Decimal(qty), Decimal(leaves), 5)
    assert found == Transition(order, OrderState.REJECTED, after, "executed after all", 5)
    assert not book.has_live(Direction.LONG, 1000)


def test_an_execution_behind_one_that_is_missing_makes_the_order_unsettled_again(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.CANCELLED, "not known any more")
    assert book.apply_execution(order.key, Decimal("0.002"), Decimal("0.005"), 5) is None
    assert book.unsettled() == [order]
    book.apply_execution(order.key, Decimal("0.003"), Decimal("0.007"), 4)
    assert book.unsettled() == []


def test_the_exchanges_own_end_stays_what_it_is_when_executions_come_late(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", 3))
    assert order.ended_ts == 3
    assert book.apply_execution(order.key, Decimal("0.004"), ZERO, 2, order_qty=Decimal("0.004")) is None
    assert (order.state, order.qty) == (OrderState.CANCELLED, Decimal("0.010")), "an older quantity is no news"


def test_what_never_comes_is_given_up(book: OrderBook) -> None:
    """After a minute an unsettled order is settled as it is, so that its level is free again."""
    order = make_order()
    book.add(order)
    book.settle(order.key)
    assert book.has_live(Direction.LONG, 1000), "an order that rests is not settled by anybody"
    book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    book.settle(order.key)
    assert (order.exec_qty, order.is_settled, book.unsettled()) == (Decimal("0.010"), True, [])
    assert not book.has_live(Direction.LONG, 1000)

    assert book.apply_execution(order.key, Decimal("0.010"), ZERO, 9) is None
    assert not book.has_live(Direction.LONG, 1000), "the late execution frees no level twice"
    book.add(make_order(2))
    assert book.has_live(Direction.LONG, 1000)


def test_an_execution_of_an_unknown_order_changes_nothing(book: OrderBook) -> None:
    assert book.apply_execution("unknown", Decimal(1), ZERO, 1) is None
    assert len(book) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"reject_reason": "EC_PostOnlyWillTakeLiquidity", "cancel_type": "UNKNOWN"}, "EC_PostOnlyWillTakeLiquidity"),
        ({"reject_reason": "EC_NoError", "cancel_type": "CancelByUser"}, "CancelByUser"),
        ({"reject_reason": "", "cancel_type": "UNKNOWN"}, ""),
    ],
)
def test_the_reason_of_an_end_is_the_exchanges_most_telling_word(
    book: OrderBook, words: dict[str, str], reason: str
) -> None:
    order = make_order()
    book.add(order)
    over = book.apply_update(update(order, OrderStatus.CANCELLED, ts=7, **words))
    assert over == Transition(order, OrderState.PENDING, OrderState.CANCELLED, reason, 7)


def test_a_change_that_the_table_does_not_know_is_refused(book: OrderBook) -> None:
    order = make_order()
    order.state = OrderState.PARTIALLY_FILLED  # a fault of ours: nothing was executed
    book.add(order)
    with pytest.raises(IllegalTransition, match="partially_filled -> open is not a legal transition"):
        book.apply_update(update(order, OrderStatus.NEW))


def test_while_a_cancel_is_under_way_only_the_end_is_news(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.move(order, OrderState.PENDING_CANCEL, "outside_grid")
    assert book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 2)) is None
    assert book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 2) is None
    assert (order.state, order.cum_exec_qty) == (OrderState.PENDING_CANCEL, Decimal("0.004"))
    assert book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", 3)) is not None
    assert not book.has_live(Direction.LONG, 1000)


def test_what_is_said_again_changes_nothing(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=2))
    version = book.limit_orders.version
    assert book.apply_update(update(order, OrderStatus.NEW, ts=3)) is None
    assert (book.limit_orders.version, order.exchange_ts) == (version, 3)


def test_news_of_an_unknown_order_are_not_the_books_business(book: OrderBook) -> None:
    assert book.apply_update(update(make_order(), OrderStatus.NEW)) is None


def test_an_execution_is_a_change_of_state_at_its_own_time(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    version = book.limit_orders.version
    part = book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 7)
    assert part == Transition(order, OrderState.PENDING, OrderState.PARTIALLY_FILLED, "", 7)
    assert book.limit_orders.version > version
    full = book.apply_execution(order.key, Decimal("0.006"), ZERO, 9)
    assert full == Transition(order, OrderState.PARTIALLY_FILLED, OrderState.FILLED, "", 9)


def test_an_execution_as_new_as_the_last_news_brings_its_quantity(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=7))
    book.apply_execution(order.key, Decimal("0.004"), Decimal("0.004"), 7, order_qty=Decimal("0.008"))
    assert order.qty == Decimal("0.008")


def test_what_has_executed_more_is_newer_though_the_exchanges_clock_was_set_back(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=9000))
    news = update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 1000, qty=Decimal("0.008"))
    assert book.apply_update(news) == Transition(order, OrderState.OPEN, OrderState.PARTIALLY_FILLED, "", 1000)
    assert (order.cum_exec_qty, order.qty, order.exchange_ts) == (Decimal("0.004"), Decimal("0.008"), 9000)
    book.apply_execution(order.key, Decimal("0.004"), Decimal("0.004"), 1000, order_qty=Decimal("0.008"))
    assert order.qty == Decimal("0.008")
    book.apply_execution(order.key, Decimal("0.001"), Decimal("0.002"), 1001, order_qty=Decimal("0.007"))
    assert (order.cum_exec_qty, order.qty) == (Decimal("0.005"), Decimal("0.007"))
    book.apply_execution(order.key, Decimal("0.002"), Decimal("0.006"), 9500, order_qty=Decimal("0.010"))
    assert (order.cum_exec_qty, order.qty) == (Decimal("0.005"), Decimal("0.007")), "an execution of before the others"


def test_an_older_price_counts_when_the_exchange_was_asked_for_the_order(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=9000))
    moved = update(order, OrderStatus.NEW, ts=1000, price=Decimal("101"))
    assert book.apply_update(moved) is None
    assert order.price == Decimal("100.0")
    book.apply_update(moved, is_newest=True)
    assert (order.price, order.exchange_ts) == (Decimal("101"), 9000)
    book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 1001)
    book.apply_update(update(order, OrderStatus.NEW, ts=1002), is_newest=True)
    assert (order.state, order.price) == (OrderState.PARTIALLY_FILLED, Decimal("101")), "less executed is never newer"
