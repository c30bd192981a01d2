"""The ladder with its orders: what a picture needs, bounded, and plain enough for JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace

from gridbot.core import TickerEvent
from gridbot.orders.order import OrderState
from gridbot.why.ladder_rows import ladder_rows
from tests.why.scenes import BUY, NOW, SELL, Bench, D, add, scene

LADDER = SimpleNamespace(levels=((990, BUY), (1000, None), (1010, SELL)), anchor=D("100.2"), last_fill=None)


def test_levels_and_orders_are_told_as_they_are_from_the_lowest_up() -> None:
    bench = Bench()
    bench.risk_state.set_price(TickerEvent("BTCUSDT", D("100.5"), mark_price=D("100.45")), NOW)
    add(bench, OrderState.PENDING, 1010, side=SELL)
    partly = add(bench, OrderState.PARTIALLY_FILLED, 990, cum_exec_qty=D("0.004"))
    found = ladder_rows(scene(bench, ladder=LADDER))
    assert found["levels"] == [["99.0", "Buy"], ["100.0", None], ["101.0", "Sell"]]
    assert (found["anchor"], found["last_fill"], found["mark_price"], found["left_out"]) == ("100.2", None, "100.45", 0)
    assert found["orders"][0] == {
        "leg": "long",
        "side": "Buy",
        "price": "99.0",
        "qty": f"{partly.qty:f}",
        "filled": "0.004",
        "closes": False,
        "state": "partially_filled",
        "link_id": partly.link_id,
    }
    assert [(row["price"], row["side"], row["closes"], row["state"]) for row in found["orders"]] == [
        ("99.0", "Buy", False, "partially_filled"),
        ("101.0", "Sell", True, "pending"),
    ]
    assert json.loads(json.dumps(found)) == found


def test_of_too_many_orders_those_near_the_price_are_told() -> None:
    bench = Bench()
    for ticks in (500, 990, 1000, 1020, 2000):
        add(bench, OrderState.OPEN, ticks)
    bench.risk_state.set_price(TickerEvent("BTCUSDT", D("100.5")), NOW)
    found = ladder_rows(scene(bench), most=3)
    assert [row["price"] for row in found["orders"]] == ["99.0", "100.0", "102.0"]
    assert (found["left_out"], found["levels"], found["anchor"], found["mark_price"]) == (2, [], None, None)
