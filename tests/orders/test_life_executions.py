"""What executions say of an order that was held to be over, and how much of it is done."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import OrderStatus
from gridbot.orders import life_effects, life_events
from gridbot.orders.order import OrderState, Transition
from tests.orders.life_bench import BUSY, LATER_TS, LifeBench, names

D = Decimal


def test_an_order_held_to_be_over_that_executes_is_compared_with_the_exchange() -> None:
    bench = LifeBench().reach("held to be rejected")
    order = bench.order
    assert bench.take(bench.execution("0.004", "0.006")) == [
        Transition(order, OrderState.REJECTED, OrderState.CANCELLED, "executed after all", LATER_TS),
        life_effects.Reconcile(f"{order.key} was held to be over and has executed"),
    ]
    assert names(bench.take(life_events.Revived(bench.row(OrderStatus.PARTIALLY_FILLED, "0.004")))) == (
        "[cancelled>partially_filled] TellOperator"
    )


def test_the_exchanges_quantity_comes_with_an_execution() -> None:
    bench = LifeBench().reach("open")
    assert names(bench.take(bench.execution("0.004", "0", order_qty=D("0.004")))) == "[open>filled]"
    assert bench.order.qty == D("0.004")


def test_a_busy_create_that_turns_out_to_rest_is_not_tried_again() -> None:
    bench = LifeBench().reach("in flight")
    bench.take(bench.placed(BUSY))
    assert bench.take(bench.heard(OrderStatus.NEW))[1:] == [life_effects.ForgetRetry(bench.order.key)]
    assert bench.take(bench.due(is_cancel=False)) == []
