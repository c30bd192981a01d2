"""Where an order is that does not rest yet, or is being withdrawn."""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.order import OrderState
from gridbot.orders.retry import RetryItem
from gridbot.why.asked_about import Reason, Sending, Weight
from gridbot.why.level_words import level_reason
from tests.case_table import case_table
from tests.why.scenes import NOW, OPEN, SELL, Bench, add, scene

S = OrderState
BAN = Ban(NOW + 500, make_error("too many visits", ErrorKind.IP_BAN, ret_code=10006, http_status=403))


def said(state: OrderState, sending: Sending | None = None, retry: bool = False, **more: Any) -> Reason | None:
    bench = Bench()
    order = add(bench, state, **more)
    retries = {order.key: RetryItem(order.key, False, 1, NOW + 2, "too busy (retCode 10016, retry)")} if retry else {}
    queued = frozenset({order.key}) if sending is not None else frozenset()
    way = sending or Sending()
    way = Sending(queued, way.ban, way.by_http, way.is_full, way.wait_s, way.late)
    return level_reason(scene(bench, sending=way, retries=retries), OPEN, [order], NOW)


@pytest.mark.parametrize("state", [S.OPEN, S.PARTIALLY_FILLED])
def test_an_order_that_rests_is_no_missing_one(state: OrderState) -> None:
    assert said(state) is None


@case_table(
    ("found", "text"),
    [
        (lambda: said(S.OPEN, side=SELL), "a Sell of ours is still there: it is withdrawn first"),
        (lambda: said(S.PENDING_CANCEL), "its old order is being withdrawn"),
        (lambda: said(S.PENDING_CANCEL, withdrawn="rebuild"), "its old order is being withdrawn: rebuild"),
        (lambda: said(S.UNRESOLVED), "it may rest or not: an answer was lost; the exchange is asked for it"),
        (lambda: said(S.UNRESOLVED, answered_with=10016), "it may rest or not: an answer was lost (retCode 10016); "),
        (lambda: said(S.FILLED, cum_exec_qty=1), "the order is filled; its executions are still missing here"),
        (lambda: said(S.PENDING, in_flight=True), "its request is under way"),
        (lambda: said(S.PENDING, order_id="x"), "the exchange has accepted it and not shown it yet"),
        (lambda: said(S.PENDING), "it is on its way"),
        (lambda: said(S.PENDING, Sending()), "it waits to be sent"),
        (lambda: said(S.PENDING, Sending(is_full=True)), "it waits to be sent: as many requests as may be are"),
    ],
)
def test_what_passes_by_itself(found: Any, text: str) -> None:
    reason = found()
    assert reason.text.startswith(text)
    assert (reason.weight, reason.next_s) == (Weight.PASSING, None)


def test_what_is_tried_again_says_when() -> None:
    again = said(S.PENDING, retry=True)
    assert again == Reason(
        "the exchange did not take it, try 2 is due: too busy (retCode 10016, retry)", Weight.PASSING, 2.0
    )
    cancel = said(S.PENDING_CANCEL, retry=True)
    assert cancel is not None
    assert cancel.text.startswith("its old order is being withdrawn; try 2 of the cancel is due")
    budget = said(S.PENDING, Sending(wait_s=0.4))
    assert budget == Reason("it waits to be sent: the request budget of the account is used", Weight.PASSING, 0.4)


def test_a_ban_and_a_budget_that_others_use_up_hold() -> None:
    banned = said(S.PENDING, Sending(ban=BAN))
    assert banned is not None
    assert (banned.weight, banned.next_s) == (Weight.HELD, 500.0)
    assert "bans this address" in banned.text
    assert said(S.PENDING, Sending(ban=BAN, by_http=False)) == Reason("it waits to be sent", Weight.PASSING)
    late = said(S.PENDING, Sending(late="requests have been waiting for 9 s"))
    assert late == Reason("it waits to be sent: requests have been waiting for 9 s", Weight.HELD)
