"""Comparing with the exchange's list of open orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, Side
from gridbot.orders.book import OrderBook
from gridbot.orders.former_ids import hash_of
from gridbot.orders.ids import Owner, account_tag, wire_id
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.reconcile import (
    GRACE_MS,
    Plan,
    adopted,
    answered_cancels,
    compare,
    contradicts,
    owns,
    owns_execution,
)
from gridbot.orders.reconcile_state import Recorded
from gridbot.orders.retry import Tries
from tests.case_table import case_table
from tests.orders.helpers import INSTRUMENT, OWNER, begin_cancel, hold_for_gone, make_order, update
from tests.orders.reconcile_model import Told

D = Decimal
ASKED = 1_000_000
NOT_RECORDED: Mapping[str, Recorded] = {}
FORMER = f"{hash_of('s1', 'BTCUSDT', Side.BUY, 1000, Direction.LONG)}-7"
OTHERS = wire_id(Owner.of(OWNER.head[:6], "s2"), Side.BUY, Direction.LONG, 1000, 7)


def run(
    book: OrderBook,
    *rows: object,
    cancels: dict[str, int] | None = None,
    recorded: Mapping[str, Recorded] | None = None,
) -> Plan:
    return compare(
        *(book, rows),  # type: ignore[arg-type]
        owner=OWNER,
        instrument=INSTRUMENT,
        asked_ms=ASKED,
        cancels=cancels or {},
        recorded=recorded or {},
    )


def test_our_resting_order_is_adopted_once_with_its_fills_accounted_for() -> None:
    """A restart finds the ladder on the exchange: taken over, never doubled (incident L2, incident L29)."""
    row = update(make_order(7), OrderStatus.PARTIALLY_FILLED, "0.004", 9)
    book = OrderBook(INSTRUMENT)
    plan = run(book, row)
    assert plan.adopt == (row,)
    order = adopted(row, "s1", INSTRUMENT)
    book.add(order)
    assert (order.state, order.ticks, order.exec_qty) == (OrderState.PARTIALLY_FILLED, 1000, D("0.004"))
    assert book.has_live(Direction.LONG, 1000)
    assert run(book, row) == Plan((row,), (), (), ())


def test_another_strategys_and_manual_orders_are_foreign() -> None:
    """incidents L4, L6, L7: ownership is the tags of the id, which are this account's and this strategy's."""
    mine = update(make_order(7), OrderStatus.NEW)
    manual = replace(mine, order_link_id="", order_id="m1")
    other = replace(mine, order_link_id="0" * 12 + mine.order_link_id[12:], order_id="m2")
    elsewhere = replace(mine, symbol="ETHUSDT", order_id="m3")
    one_way = replace(mine, direction=None, order_id="m4")
    assert not any(owns(row, OWNER, INSTRUMENT, NOT_RECORDED) for row in (manual, other, elsewhere, one_way))
    assert owns(mine, OWNER, INSTRUMENT, NOT_RECORDED)
    for renamed in (Owner.of(OWNER.head[:6], "renamed"), Owner.of(account_tag("demo", "alice"), "s1")):
        assert not owns(mine, renamed, INSTRUMENT, NOT_RECORDED)
    assert run(OrderBook(INSTRUMENT), manual, other).foreign == (manual, other)


def test_a_foreign_order_that_is_not_listed_any_more_rests_no_more() -> None:
    """Its end came while the stream was away: it covered a leg for ever, and was named in alerts after it was gone."""
    row = replace(update(make_order(7), OrderStatus.NEW, ts=ASKED - GRACE_MS), order_link_id="", order_id="m1")
    other = replace(row, order_id="m2")
    fresh = replace(row, order_id="m3", exchange_ts=ASKED - GRACE_MS + 1)
    book = OrderBook(INSTRUMENT)
    book.strangers.update({each.order_id: each for each in (row, other, fresh)})
    plan = run(book, other)
    assert plan.gone == (replace(row, status=OrderStatus.CANCELLED),)
    assert plan.foreign == (other,)


@case_table("tick", ["0.0001", "0.0005", "0.02", "0.25", "0.7", "1", "100"])
@case_table("price", ["100", "101", "93.7"])
def test_an_order_is_ours_at_any_price_and_tick_size(tick: str, price: str) -> None:
    """A restart over a change of tick size, or while a hand has moved the order: no second ladder rests beside it."""
    today = replace(INSTRUMENT, tick_size=D(tick))
    row = replace(update(make_order(7), OrderStatus.NEW), price=D(price), qty=D("0.0077"))
    fill = ExecutionEvent("BTCUSDT", "e1", "x1", row.order_link_id, row.side, D(price), row.qty)
    assert owns(row, OWNER, today, NOT_RECORDED)
    assert owns_execution(fill, OWNER, today, NOT_RECORDED)
    stranger = Owner.of(OWNER.head[:6], "s2")
    assert not owns(row, stranger, today, NOT_RECORDED)
    assert not owns_execution(fill, stranger, today, NOT_RECORDED)
    assert adopted(row, "s1", today).ticks == today.ticks(D(price)), "it counts at the level nearest to its price"


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"price": D("99.9"), "order_price": D(100)}, True),  # filled better than its own price
        ({"price": D("99.9")}, False),
        ({"closed_size": D("0.010")}, False),  # a Buy that closes is the short leg's
        ({"side": Side.SELL, "closed_size": D("0.010")}, False),
        ({"order_link_id": ""}, False),
    ],
)
def test_an_order_and_a_fill_of_the_layout_before_are_ours_by_their_terms(
    changes: dict[str, Any], *, ours: bool
) -> None:
    """incident L41: the leg follows from the side together with whether the order closes."""
    order = make_order(7)
    link = f"{hash_of('s1', 'BTCUSDT', order.side, order.ticks, order.direction)}-7"
    fill = ExecutionEvent("BTCUSDT", "e1", "x1", link, Side.BUY, D(100), D("0.010"))
    assert owns_execution(replace(fill, **changes), OWNER, INSTRUMENT, NOT_RECORDED) is ours
    assert not owns_execution(replace(fill, **changes), Owner.of(OWNER.head[:6], "s2"), INSTRUMENT, NOT_RECORDED)
    row = replace(update(order, OrderStatus.NEW), order_link_id=link)
    assert owns(row, OWNER, INSTRUMENT, NOT_RECORDED)
    assert run(OrderBook(INSTRUMENT), row).adopt == (row,)
    assert not owns(replace(row, price=D("100.1")), OWNER, INSTRUMENT, NOT_RECORDED)


@pytest.mark.parametrize(
    ("link", "told", "ours"),
    [
        (FORMER, Told(FORMER), True),
        (FORMER, None, False),  # nobody can tell: the digits do not fit the price of now
        (FORMER, Told(FORMER, strategy="s2"), False),
        (FORMER, Told(FORMER, symbol="ETHUSDT"), False),
        ("by hand", Told("by hand"), True),  # adopted: the records alone know that it is ours
        ("by hand", None, False),
        ("by hand", Told("by hand", strategy="s2"), False),
        (OTHERS, Told(OTHERS), False),  # an id of today says itself whose it is
    ],
)
def test_an_order_of_the_layout_before_that_our_records_know_is_ours_at_any_price(
    link: str, told: Told | None, *, ours: bool
) -> None:
    """Issue 11: a hand moved one while we were down; it was taken for foreign, and rested for ever."""
    recorded = {} if told is None else {link: told}
    row = replace(update(make_order(7), OrderStatus.NEW), order_link_id=link, price=D("100.1"))
    fill = ExecutionEvent("BTCUSDT", "e1", "x1", link, Side.BUY, D("100.1"), D("0.010"), order_price=D("100.1"))
    assert owns(row, OWNER, INSTRUMENT, recorded) is ours
    assert owns_execution(fill, OWNER, INSTRUMENT, recorded) is ours
    plan = run(OrderBook(INSTRUMENT), row, recorded=recorded)
    assert (plan.adopt, plan.foreign) == (((row,), ()) if ours else ((), (row,)))


def test_an_order_that_is_not_listed_is_asked_for_not_cancelled() -> None:
    book = OrderBook(INSTRUMENT)
    order = make_order(1)
    order.sent_ms = ASKED - GRACE_MS
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW))
    assert run(book).missing == (order,)
    assert order.state is OrderState.OPEN
    book.apply_update(update(order, OrderStatus.FILLED, "0.010", 2))
    assert list(book) == [order]
    assert run(book).missing == (), "what is over is not listed, only its execution is still to come"


def test_a_fresh_order_has_a_few_seconds_to_be_listed() -> None:
    book = OrderBook(INSTRUMENT)
    fresh, unsent, unresolved = make_order(1), make_order(2, ticks=1001), make_order(3, ticks=1002)
    fresh.sent_ms = unresolved.sent_ms = ASKED - GRACE_MS + 1
    unsent.on_wire = False
    for order in (fresh, unsent, unresolved):
        book.add(order)
    book.lose_reply(unresolved.key, "timeout")
    assert run(book).missing == (unresolved,)


def test_rows_of_other_symbols_are_not_looked_at() -> None:
    elsewhere = replace(update(make_order(7), OrderStatus.NEW), symbol="ETHUSDT")
    assert run(OrderBook(INSTRUMENT), elsewhere) == Plan((), (), (), ())


def test_an_adopted_order_is_taken_as_the_exchange_has_it() -> None:
    known = make_order(7, side=Side.SELL)
    row = update(known, OrderStatus.PARTIALLY_FILLED, "0.004", 9)
    assert adopted(row, "s1", INSTRUMENT) == replace(
        known,
        order_id=row.order_id,
        state=OrderState.PARTIALLY_FILLED,
        cum_exec_qty=D("0.004"),
        exec_qty=D("0.004"),
        exchange_ts=9,
    )
    assert known.reduce_only


def test_a_row_is_known_by_either_id() -> None:
    book = OrderBook(INSTRUMENT)
    order = make_order(1)
    book.add(order)
    book.acknowledge(order.key, "x1")
    row = replace(update(order, OrderStatus.NEW), order_link_id="", order_id="x1")
    assert run(book, row).update == (row,)


def test_an_order_without_a_leg_cannot_be_adopted() -> None:
    one_way = replace(update(make_order(7), OrderStatus.NEW), direction=None, order_id="m4")
    with pytest.raises(ValueError, match="m4: expected a hedge-mode order"):
        adopted(one_way, "s1", INSTRUMENT)


def test_a_page_that_repeats_a_row_counts_it_once() -> None:
    row = update(make_order(7), OrderStatus.NEW)
    assert len(run(OrderBook(INSTRUMENT), row, row).adopt) == 1


@pytest.mark.parametrize(
    ("status", "cum", "ts", "contradicted"),
    [
        (OrderStatus.NEW, "0", 5, True),  # the same millisecond: both may be true
        (OrderStatus.NEW, "0", 6, True),
        (OrderStatus.NEW, "0", 4, True),  # older by its time: the exchange's clock may be set back
        (OrderStatus.PARTIALLY_FILLED, "0.004", 6, True),
        (OrderStatus.CANCELLED, "0", 6, False),
        (OrderStatus.NEW, "0.010", 6, False),  # complete
    ],
)
def test_a_listing_may_contradict_an_end(status: OrderStatus, cum: str, ts: int, *, contradicted: bool) -> None:
    """One stale answer ended it; the row is neither applied, which would change nothing, nor dropped."""
    book = OrderBook(INSTRUMENT)
    order = make_order(1)
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=5))
    row = update(order, status, cum, ts)
    assert not contradicts(order, row), "it is not over"
    hold_for_gone(book, order.key, "a stale answer")
    assert contradicts(order, row) is contradicted
    plan = run(book, row)
    assert (plan.revive, plan.update) == (((row,), ()) if contradicted else ((), (row,)))
    assert plan.missing == ()


def test_a_row_from_before_the_exchanges_own_end_contradicts_nothing() -> None:
    book, order = OrderBook(INSTRUMENT), make_order(1)
    book.add(order)
    book.apply_update(update(order, OrderStatus.CANCELLED, ts=5))
    assert not contradicts(order, update(order, OrderStatus.NEW, ts=4))
    assert contradicts(order, update(order, OrderStatus.NEW, ts=5)), "both may be true, so it is asked for"


def test_a_row_with_less_executed_than_is_known_contradicts_nothing() -> None:
    book = OrderBook(INSTRUMENT)
    order = make_order(1)
    book.add(order)
    book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", ts=5))
    assert not contradicts(order, update(order, OrderStatus.NEW, "0", ts=6))


def leaving() -> tuple[OrderBook, TrackedOrder]:
    """An order whose cancel was answered, and of whose end nobody has told."""
    book, order = OrderBook(INSTRUMENT), make_order(1)
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=5))
    begin_cancel(book, order.key, "outside_grid")
    order.cancelling = False
    return book, order


def test_what_rests_though_its_cancel_had_been_answered_was_not_cancelled() -> None:
    book, order = leaving()
    row = update(order, OrderStatus.NEW, ts=5)
    plan = run(book, row, cancels=answered_cancels(book))
    assert (plan.undone, plan.update, plan.missing) == ((row,), (), ())


@pytest.mark.parametrize("when", ["answered later", "sent again since", "waits for another try", "wanted again"])
def test_a_listing_says_nothing_of_a_cancel_that_was_answered_after_the_question(when: str) -> None:
    book, order = leaving()
    if when == "answered later":
        order.cancelling = True
    cancels = answered_cancels(book)
    order.cancelling = False
    if when == "sent again since":
        order.cancel_tries = Tries(1, None, None)
    if when == "waits for another try":
        order.cancel_tries = Tries(0, 1.0, 2.0)
    if when == "wanted again":
        book.move(order, OrderState.OPEN, "still open")
    row = update(order, OrderStatus.NEW, ts=5)
    plan = run(book, row, cancels=cancels)
    assert (plan.undone, plan.update) == ((), (row,))
