"""The orders that the records hold for open: the newest record of each that is not over."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.order import OrderState
from gridbot.records import unfollowed_orders
from gridbot.records.open_orders import ADOPTED_KEPT, OVER, OpenOrders, is_over
from gridbot.records.record_types import OrderRecord
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
UNTOLD = "ended while no worker followed it; the exchange does not tell how any more"


def order(
    link_id: str, state: str = "open", *, order_id: str = "", filled: str = "0", shadow: bool = False
) -> OrderRecord:
    return OrderRecord(
        strategy="s1",
        symbol="BTCUSDT",
        order_link_id=link_id,
        order_id=order_id,
        direction=Direction.LONG,
        side=Side.BUY,
        price=D("50000.1"),
        qty=D("0.010"),
        cum_exec_qty=D(filled),
        reduce_only=False,
        state=state,
        attempt=1,
        ret_code=110001,
        reason="why",
        shadow=shadow,
    )


def row(status: OrderStatus, **changes: object) -> OrderUpdateEvent:
    fields = {
        "symbol": "BTCUSDT",
        "order_id": "x1",
        "order_link_id": "a",
        "side": Side.BUY,
        "direction": Direction.LONG,
        "price": D(51000),
        "qty": D("0.010"),
        "cum_exec_qty": D("0.004"),
        "status": status,
        "exchange_ts": 77,
        **changes,
    }
    return OrderUpdateEvent(**fields)  # type: ignore[arg-type]


RECORDS = st.lists(
    st.builds(
        order,
        st.sampled_from(["", "a", "b", "c"]),
        st.sampled_from([*map(str, OrderState), "Filled", "Cancelled"]),
        order_id=st.sampled_from(["x1", "x2"]),
        shadow=st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=examples(60), deadline=None)
@given(records=RECORDS, saved=st.integers(0, 30))
def test_the_fold_is_the_newest_record_of_each_order_that_is_not_over(records: list[OrderRecord], saved: int) -> None:
    """Also across a checkpoint, whenever that was."""
    before, after = OpenOrders(), OpenOrders()
    for record in records[:saved]:
        before.take(record)
    after.restore(json.loads(json.dumps(before.to_rows())))
    for record in records[saved:]:
        after.take(record)
    newest = {record.order_link_id or record.order_id: record for record in records}
    expected = {key: record for key, record in newest.items() if record.state.lower() not in OVER}
    assert {key: (each.state, each.shadow) for key, each in after.by_key.items()} == {
        key: (each.state, each.shadow) for key, each in expected.items()
    }
    assert len(after) == len(list(after)) == len(expected)
    assert not any(is_over(record) for record in after)


def test_a_checkpoint_keeps_the_terms_and_not_how_it_came_to_be() -> None:
    orders, again = OpenOrders(), OpenOrders()
    orders.take(order("a", filled="0.004"))
    again.restore(json.loads(json.dumps(orders.to_rows())))
    [kept] = again
    assert (kept.price, kept.qty, kept.cum_exec_qty, kept.reduce_only) == (D("50000.1"), D("0.010"), D("0.004"), False)
    assert (kept.ret_code, kept.reason) == (None, "")


@case_table("rows", [[{}], [1], [{"price": "x"}], 7])
def test_anything_else_is_refused(rows: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        OpenOrders().restore(rows)  # type: ignore[arg-type]


def test_the_last_record_of_an_order_is_the_exchanges_word() -> None:
    last = unfollowed_orders.of_end(order("a"), row(OrderStatus.CANCELLED, cancel_type="CancelByAdmin"))
    assert (last.state, last.cum_exec_qty, last.order_id, last.price) == ("cancelled", D("0.004"), "x1", D(51000))
    assert last.reason == "ended while no worker followed it: CancelByAdmin"
    assert (last.exchange_ts, last.ret_code, last.strategy) == (77, None, "s1")
    done = unfollowed_orders.of_end(order("a"), row(OrderStatus.FILLED, cum_exec_qty=D("0.010")))
    assert (done.state, done.reason) == ("filled", "ended while no worker followed it")


def test_an_order_that_rests_unfollowed_is_recorded_as_the_exchange_has_it() -> None:
    found = unfollowed_orders.of_resting("s1", row(OrderStatus.NEW))
    assert (found.strategy, found.state, found.order_id, found.price) == ("s1", "partially_filled", "x1", D(51000))
    assert (found.reason, found.exchange_ts) == ("it rests, and no worker follows it", 77)
    assert not is_over(found)


@case_table(
    ("newest", "state", "reason"),
    [
        (order("a"), "cancelled", UNTOLD),
        (order("a", filled="0.010"), "filled", UNTOLD),
        (order("a", "pending"), "rejected", "never reached the exchange, as far as it tells"),
        (order("a", "pending_cancel"), "cancelled", UNTOLD),
        (order("a", "unresolved", order_id="x1"), "cancelled", UNTOLD),
    ],
)
def test_what_the_exchange_does_not_tell_is_said(newest: OrderRecord, state: str, reason: str) -> None:
    last = unfollowed_orders.of_end(newest, None)
    assert (last.state, last.reason, last.exchange_ts) == (state, reason, None)
    assert unfollowed_orders.of_end(newest, None, "its venue ended").reason == "its venue ended"


def test_an_adopted_order_is_known_when_it_is_over_until_many_others_have_been() -> None:
    """Its id does not say that it is ours; a fill of it may be read in the next life, after its end is recorded."""
    orders = OpenOrders()
    ours = "abcdefghijkl-a1-1-0"
    theirs = "0123456789abcdef-1764000000000"  # as the original bot made them
    for record in (order(theirs, order_id="x1"), order("", order_id="x2"), order(ours)):
        orders.take(record)
    for record in (order(theirs, "filled"), order("", "cancelled", order_id="x2"), order(ours, "filled")):
        orders.take(record)
    assert (len(orders), set(orders.by_key), set(orders.known)) == (0, set(), {theirs, "x2"})
    next_life = OpenOrders()
    next_life.restore(json.loads(json.dumps(orders.to_rows())))
    assert (len(next_life), set(next_life.known)) == (0, {theirs, "x2"})
    next_life.take(order(theirs))
    assert (set(next_life.by_key), next_life.known[theirs].state) == ({theirs}, "open")
    for number in range(ADOPTED_KEPT):
        next_life.take(order(f"other {number}", "cancelled"))
    assert len(next_life.known) == 1 + ADOPTED_KEPT
    assert "x2" not in next_life.known


def test_the_record_of_an_adoption_says_who_did_it() -> None:
    record = unfollowed_orders.of_adoption("s1", row(OrderStatus.PARTIALLY_FILLED), "ann@host")
    assert (record.strategy, record.state, record.cum_exec_qty) == ("s1", OrderState.PARTIALLY_FILLED, D("0.004"))
    assert record.reason == "adopted from another program by ann@host"
