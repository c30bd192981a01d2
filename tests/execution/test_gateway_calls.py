"""Requests about orders past queue and budget, and what their answers mean."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind
from gridbot.execution.gateway_calls import GatewayCalls
from gridbot.execution.send_lane import RequestKind
from gridbot.orders.order import OrderState
from gridbot.orders.outcomes import OrderOutcome
from tests.execution.support import FakeGateway, ManualClock, failure, order_of


async def test_a_result_for_each_order() -> None:
    gateway = FakeGateway(ManualClock())
    gateway.answers = {"b": failure(ErrorKind.PARAM)}
    calls = GatewayCalls(gateway, lambda part, error, symbol="": None)
    resting = order_of("c", state=OrderState.PENDING_CANCEL)
    for answer, expected in (
        (calls.execute_place(order_of("a")), [OrderOutcome.CONFIRMED]),
        (calls.execute_place(order_of("b")), [OrderOutcome.REJECTED]),
        (calls.execute_cancel(resting), [OrderOutcome.CONFIRMED]),
        (
            calls.execute_batch(RequestKind.PLACE, [order_of("d"), order_of("b")]),
            [OrderOutcome.CONFIRMED, OrderOutcome.REJECTED],
        ),
        (calls.execute_batch(RequestKind.CANCEL, [resting]), [OrderOutcome.CONFIRMED]),
    ):
        assert [result.outcome for result in await answer] == expected
    assert gateway.sent[0] == ("order/create", ["a"])
