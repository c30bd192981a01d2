"""States of an order and what follows from them (docs/glossary.md)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.core import OrderStatus
from gridbot.orders.order import CONTRADICTED, LEGAL, OrderState, is_in_doubt, is_older, state_of
from gridbot.orders.retry import Tries
from tests.case_table import case_table
from tests.orders.helpers import make_order, update

FINAL = {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}


def test_final_states_have_no_way_out() -> None:
    assert {state for state in OrderState if state.is_final} == FINAL
    assert {state for state in OrderState if not LEGAL[state]} == FINAL


def test_only_what_is_incomplete_can_be_contradicted_and_nothing_becomes_undecided_again() -> None:
    assert CONTRADICTED.keys() == FINAL
    assert CONTRADICTED[OrderState.FILLED] == set()
    undecided = {OrderState.PENDING, OrderState.UNRESOLVED, OrderState.PENDING_CANCEL, OrderState.REJECTED}
    assert not undecided & frozenset[OrderState]().union(*CONTRADICTED.values())


def test_a_state_is_the_word_that_is_recorded() -> None:
    assert {OrderState.OPEN: 1}["open"] == 1  # type: ignore[index]
    assert f"{OrderState.PARTIALLY_FILLED}" == "partially_filled"


def test_every_other_state_can_end_and_none_follows_itself() -> None:
    for state in set(OrderState) - FINAL:
        assert LEGAL[state] >= FINAL
        assert state not in LEGAL[state]


def test_fills_are_never_forgotten() -> None:
    """Only what may not have arrived can be open again: nothing leads from partially filled back to open."""
    assert OrderState.OPEN not in LEGAL[OrderState.PARTIALLY_FILLED]
    assert {state for state in OrderState if OrderState.PENDING in LEGAL[state]} == {OrderState.UNRESOLVED}


@case_table(
    ("status", "executed", "state"),
    [
        ("New", "0", "open"),
        ("New", "0.1", "partially_filled"),  # what was executed counts more than the word
        ("PartiallyFilled", "0.1", "partially_filled"),
        ("Untriggered", "0", "open"),
        ("Triggered", "0", "open"),
        ("Filled", "1", "filled"),
        ("Cancelled", "0", "cancelled"),
        ("PartiallyFilledCanceled", "0.1", "cancelled"),
        ("Deactivated", "0", "cancelled"),
        ("Rejected", "0", "rejected"),
    ],
)
def test_the_state_of_an_exchange_status(status: str, executed: str, state: str) -> None:
    assert state_of(OrderStatus(status), Decimal(executed)) == state


def test_an_order_is_named_by_its_link_id_or_else_by_the_exchanges() -> None:
    order = make_order()
    order.order_id = "x1"
    assert order.key == order.link_id
    assert replace(order, link_id="").key == "x1"


@case_table(
    ("state", "said", "seen", "left", "settled"),
    [
        ("open", "0", "0", "0.010", False),
        ("partially_filled", "0.004", "0.004", "0.006", False),
        ("filled", "0.010", "0.004", "0", False),  # 0.006 are still to be seen
        ("filled", "0.010", "0.010", "0", True),
        ("cancelled", "0.004", "0", "0", False),
        ("cancelled", "0.004", "0.004", "0", True),
        ("rejected", "0", "0", "0", True),
    ],
)
def test_what_is_left_of_an_order_and_whether_it_is_settled(
    state: str, said: str, seen: str, left: str, *, settled: bool
) -> None:
    order = make_order(qty="0.010")
    order.state, order.cum_exec_qty, order.exec_qty = OrderState(state), Decimal(said), Decimal(seen)
    assert (order.open_qty, order.is_settled) == (Decimal(left), settled)


@case_table("state", OrderState)
def test_a_live_order_may_rest_and_is_wanted(state: OrderState) -> None:
    order = make_order()
    order.state = state
    assert order.is_live is (state not in FINAL | {OrderState.PENDING_CANCEL})
    order.withdrawn = "outside_grid"
    assert not order.is_live


@case_table("state", OrderState)
def test_a_cancel_is_answered_when_none_waits_or_is_under_way(state: OrderState) -> None:
    order = make_order()
    order.state = state
    assert order.is_cancel_answered is (state is OrderState.PENDING_CANCEL)
    order.cancelling = True
    assert not order.is_cancel_answered
    order.cancelling, order.cancel_tries = False, Tries(0, 1.0, 2.0)
    assert not order.is_cancel_answered


@case_table(
    ("state", "row", "older", "in_doubt"),
    [
        ("open", {"ts": 9}, True, False),  # it says what we know
        ("open", {"ts": 9, "price": Decimal("101")}, True, True),
        ("open", {"ts": 9, "qty": Decimal("0.008")}, True, True),
        ("open", {"ts": 9, "price": Decimal(0)}, True, False),
        ("open", {"ts": 10, "price": Decimal("101")}, False, False),
        ("open", {"ts": 9, "cum": "0.005", "price": Decimal("101")}, False, False),
        ("open", {"ts": 11, "cum": "0.003", "price": Decimal("101")}, True, False),
        ("unresolved", {"ts": 9}, True, True),
        ("open", {"ts": 9, "status": OrderStatus.CANCELLED, "price": Decimal("101")}, True, False),
    ],
)
def test_which_news_are_older_and_which_only_the_exchange_can_judge(
    state: str, row: dict[str, Any], *, older: bool, in_doubt: bool
) -> None:
    order = make_order()
    order.state, order.exchange_ts, order.cum_exec_qty = OrderState(state), 10, Decimal("0.004")
    news = update(order, **{"status": OrderStatus.PARTIALLY_FILLED, "cum": "0.004", **row})
    assert (is_older(order, news), is_in_doubt(order, news)) == (older, in_doubt)
