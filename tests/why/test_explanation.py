"""The whole answer: counts, what holds, caps, legs, rules; and that it adds up and stays small."""

from __future__ import annotations

import json
from typing import Any

from gridbot.core import TickerEvent
from gridbot.core.limits import Limit
from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders.order import OrderState
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.strategy_state import Leg
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Sending
from gridbot.why.explanation import explain
from gridbot.why.rule_words import RULES, rule_texts
from tests.risk.helpers import BAD_KEY
from tests.why.scenes import BUY, LONG, NOW, NOW_MS, OPEN, SHORT, Bench, D, add, bench_with, scene


def test_it_counts_what_rests_and_what_does_not_and_the_worst_comes_first() -> None:
    bench = Bench()
    add(bench, OrderState.OPEN, 1000)
    add(bench, OrderState.OPEN, 777)
    bench.risk_state.pause()
    near = Wish(LONG, 1004, BUY, "within half a step of the price")
    wishes = [near, OPEN, Wish(LONG, 995, BUY), Wish(LONG, 990, BUY)]
    found = explain(scene(bench, wishes), NOW + 2, most=2)
    assert {key: found[key] for key in ("wanted", "placed", "off_grid", "held", "passing", "normal", "left_out")} == {
        "wanted": 4,
        "placed": 1,
        "off_grid": 1,
        "held": 2,
        "passing": 0,
        "normal": 1,
        "left_out": 1,
    }
    assert [row["price"] for row in found["missing"]] == ["99.5", "99.0"]
    assert found["missing"][0] == {
        "leg": "long",
        "side": "Buy",
        "price": "99.5",
        "closes": False,
        "weight": "held",
        "text": "paused: paused by the operator",
        "next_s": None,
        "lifted_by": "gb resume alice/s1",
    }
    assert found["holds"] == [
        {
            "of": "strategy",
            "what": "paused",
            "text": "paused by the operator",
            "since_ms": NOW_MS,
            "by": "operator",
            "left_s": None,
            "lifted_by": "gb resume alice/s1",
        }
    ]
    assert (found["last_price"], found["price_age_s"], found["mode"]) == ("100.5", 2.0, "live")
    assert json.loads(json.dumps(found)) == found


def test_all_that_may_hold_an_account_has_its_row() -> None:
    bench = Bench()
    bench.gate.stop()
    bench.gate.latch_loss("lost 250.00 USDT")
    for _ in range(5):
        bench.gate.auth_failed(BAD_KEY, NOW)
    bench.risk_state.restricted(make_error("reduce only", ErrorKind.SYMBOL, ret_code=110023), NOW)
    bench.risk_state.set_leg(LONG, Leg(D(1), D(100), D(10), reduce_only=True))
    bench.risk_state.doubt_leg(LONG)
    bench.risk_state.set_ready(ready=False)
    ban = Ban(NOW + 100, make_error("too many", ErrorKind.IP_BAN, ret_code=10006))
    sending = Sending(ban=ban, late="requests have been waiting for 9 s")
    bench.gate.braked(Brake(Stops.ALL, "max_drawdown: fallen too far"))
    rows = explain(scene(bench, sending=sending, blocked="s1: no order gets through"), NOW)["holds"]
    assert [(row["of"], row["what"]) for row in rows] == [
        ("account", "stopping"),
        ("account", "session_loss"),
        ("account", "cap_latch"),
        ("account", "auth_cooldown"),
        ("account", "ip_ban"),
        ("account", "requests"),
        ("strategy", "not_ready"),
        ("strategy", "symbol"),
        ("strategy", "reduce_only"),
        ("strategy", "position_unsure"),
        ("strategy", "refused"),
    ]
    lifts = [row["lifted_by"] for row in rows]
    assert lifts == ["", "gb resume alice", "gb resume alice", "gb restart alice", "", "", "", "", "", "", ""]
    assert [row["left_s"] for row in rows[3:5]] == [1800.0, 100.0]
    bench.gate.braked(Brake(Stops.OPENS, "max_margin_ratio: only reducing", passes=True))
    [brake] = [row for row in explain(scene(bench), NOW)["holds"] if row["what"] == "only_reduces"]
    assert brake["lifted_by"] == "", "it ends by itself"


def test_distances_to_the_caps_and_to_liquidation() -> None:
    bench = bench_with(max_notional=Limit.parse("x10"), max_open_orders=200, max_margin=D(8), max_orders_per_minute=600)
    state = bench.risk_state
    state.set_leg(LONG, Leg(D(2), D(100), D(10)))
    state.set_price(TickerEvent("BTCUSDT", D("100.5"), mark_price=D(100)), NOW)
    own = (
        {"cap": "max_drawdown", "used": "12.5", "limit": "50", "share": 0.25},
        {"cap": "max_margin_ratio", "used": "0.1", "limit": "0.5", "share": 0.2},
    )
    values: dict[str, Any] = {"liquidation": {LONG: D(80), SHORT: None}, "rules": "long_2,short_9", "account_caps": own}
    found = explain(scene(bench, **values), NOW)
    assert [(row["name"], row["used"], row["limit"], row["left"], row["percent"]) for row in found["caps"]] == [
        ("max_notional", "201", "10000", "9799", 2.0),
        ("account max_drawdown", "12.5", "50", "37.5", 25.0),
        ("account max_margin_ratio", "0.1", "0.5", "0.4", 20.0),
        ("max_margin long", "0.2", "8", "7.8", 2.5),
        ("max_margin short", "0", "8", "8", 0.0),
        ("max_open_orders", "0", "200", "200", 0.0),
        ("max_orders_per_minute", "0", "600", "600", 0.0),
    ]
    assert [row["unit"] for row in found["caps"]] == ["USDT", "USDT", "", "wallets", "wallets", "orders", "orders"]
    long, short = found["legs"]
    assert (long["size"], long["liq"], long["liq_distance_percent"]) == ("2", "80", 20.0)
    assert (short["size"], short["liq"], short["liq_distance_percent"]) == ("0", None, None)
    beyond = explain(scene(bench, liquidation={LONG: D(104), SHORT: D(97)}), NOW)["legs"]
    assert [leg["liq_distance_percent"] for leg in beyond] == [-4.0, -3.0]
    assert found["rules"] == [f"long_2: {RULES['long_2']}", "short_9: see docs/risk.md"]
    assert rule_texts("") == []
