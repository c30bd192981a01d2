"""Days composed so that something happens in them, by name, and how to see in the records that it did."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.core.instrument import Instrument
from gridbot.market.day import Day
from tests.simulation.session_examples import BTC, ETH, START_MS, Ticks, configured, wandering

D = Decimal
Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by table."""


@dataclass(frozen=True)
class Scene:
    """`happened` says of the records whether the scene was what it is for."""

    config: GridbotConfig
    days: tuple[Day, ...]
    happened: Callable[[Rows], bool]
    end_ms: int

    @classmethod
    def of(cls, config: GridbotConfig, *days: Day, happened: Callable[[Rows], bool]) -> Scene:
        return cls(config, days, happened, max(int(day.times_ms[-1]) for day in days) + 1000)


def count(table: str, least: int, **values: Any) -> Callable[[Rows], bool]:
    """Whether so many rows have these values."""
    return lambda rows: (
        sum(all(row[name] == value for name, value in values.items()) for row in rows.get(table, ())) >= least
    )


def both(*each: Callable[[Rows], bool]) -> Callable[[Rows], bool]:
    return lambda rows: all(one(rows) for one in each)


def fundings(*at_s: int) -> list[tuple[int, Decimal]]:
    return [(START_MS + second * 1000, D("0.0005") * (1 if second % 2 else -1)) for second in at_s]


def walk(count: int, seed: int, *, symbol: Instrument = BTC, price: int = 500_000, **others: Any) -> Ticks:
    return wandering(symbol, price, count, seed, **others)


def calm() -> Scene:
    ticks = walk(80, 1, step=20)
    return Scene.of(configured(), ticks.day(), happened=lambda rows: not rows.get("executions"))


def trending() -> Scene:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] + [120] * 50 + [-160] * 45, after_ms=300)
    return Scene.of(configured({"grid_count": 20}), ticks.day(), happened=count("executions", 30))


def whipsaw() -> Scene:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] + [600, -600, 1200, -1200, 1800, -1800] * 8, after_ms=400)
    return Scene.of(configured({"grid_count": 20}), ticks.day(), happened=count("executions", 30))


def fills_of_one_moment() -> Scene:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] * 4)
    for _ in range(12):
        for direction in (-1, 1):
            for number in range(3):
                ticks.trade(0 if number else 900, 500 * direction)
    return Scene.of(configured({"grid_count": 20}), ticks.day(), happened=count("executions", 25))


def partial_fills() -> Scene:
    """Little stands at each price, and the trades at ours are small; two symbols."""
    draw, btc = random.Random(3), Ticks(BTC, 500_000)
    btc.go([0] * 5)
    for _ in range(100):
        target = 500_000 + draw.choice((-1000, -500, 0, 500, 1000))
        btc.trade(draw.choice((0, 200, 400)), target - btc.price, draw.randint(1, 60), draw.choice((1, -1)))
    eth = walk(60, 3, symbol=ETH, price=250_000, step=100)
    config = configured(
        {"amount": "q0.05"},
        {"symbol": "ETHUSDT", "amount": "q1"},
        paper={
            "matching": "queue",
            "market": {"level_notional": 500, "symbols": {"ETHUSDT": {"level_notional": 2500}}},
        },
    )
    return Scene.of(
        config,
        btc.day(),
        eth.day(),
        happened=lambda rows: sum(row["leaves_qty"] > 0 for row in rows["executions"]) > 10,
    )


def _matched(model: str, fills: int) -> Scene:
    """Trades that only touch our prices, and few that go through."""
    draw, ticks = random.Random(4), Ticks(BTC, 500_000)
    ticks.go([0] * 3)
    for _ in range(70):
        ticks.trade(250, 500_000 + draw.choice((-500, 0, 0, 500, draw.randint(-600, 600))) - ticks.price, 1)
    return Scene.of(configured(paper={"matching": model}), ticks.day(), happened=count("executions", fills))


def touched() -> Scene:
    return _matched("touch", 10)


def gone_through() -> Scene:
    return _matched("through", 3)


def faster_than_requests() -> Scene:
    """The price has passed when an order arrives: the exchange cancels what would take; others never leave."""
    ticks, draw = Ticks(BTC, 500_000), random.Random(6)
    ticks.go([0, -600], after_ms=15)
    ticks.trade(100, 0)
    for _ in range(300):
        ticks.trade(draw.choice((0, 0, draw.randint(1, 40))), draw.randint(-400, 400), draw.randint(1, 4000))
    return Scene.of(
        configured({"grid_count": 20}),
        ticks.day(),
        happened=both(
            lambda rows: any("PostOnly" in row["reason"] for row in rows["orders"]),
            count("intents", 1, action="cancel", reason="price_passed"),
        ),
    )


def more_orders_than_the_budget() -> Scene:
    ticks = walk(120, 14, step=400, gap_ms=300)
    config = configured({"grid_count": 50, "grid_step": 0.05, "amount": "q0.002"}, account={"order_entry": "websocket"})
    return Scene.of(config, ticks.day(), happened=count("orders", 200))


def sizes_by_positions() -> Scene:
    """Multipliers change with the position, and each is read every ten seconds."""
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] + [-60] * 60 + [120] * 30 + [-90] * 40, after_ms=300)
    strategy = {"grid_count": 20, "amount": "x0.02", "min_total_margin": 5}
    return Scene.of(
        configured(
            strategy | {"increase_same_position_on_low_margin": True},
            account={"balance": 1000},
            position_check_interval=10,
        ),
        ticks.day(),
        happened=lambda rows: len({row["rule"] for row in rows["position_events"]}) > 2,
    )


def caps_of_a_strategy() -> Scene:
    btc, eth = walk(100, 8, step=300, gap_ms=600), walk(100, 9, symbol=ETH, price=250_000, step=150, gap_ms=600)
    return Scene.of(
        configured(
            {"grid_count": 20, "caps": {"max_notional": 2000}},
            {"symbol": "ETHUSDT", "amount": "q0.1", "caps": {"max_open_orders": 9, "max_orders_per_minute": 12}},
            account={"balance": 1000},
        ),
        btc.day(),
        eth.day(),
        happened=both(
            *(
                count("intents", 1, verdict="refused", reason=reason)
                for reason in ("max_notional", "max_open_orders", "max_orders_per_minute")
            )
        ),
    )


def cap_over_two_symbols() -> Scene:
    btc, eth = walk(100, 8, step=300, gap_ms=500), walk(100, 9, symbol=ETH, price=250_000, step=100, gap_ms=500)
    return Scene.of(
        configured(
            {},
            {"symbol": "ETHUSDT", "amount": "q0.2"},
            account={"balance": 1000, "caps": {"max_notional": 2500}},
        ),
        btc.day(),
        eth.day(),
        happened=count("intents", 1, verdict="refused", reason="account_max_notional"),
    )


def loss_beyond_the_limit() -> Scene:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] + [-100] * 60 + [125] * 30, after_ms=300)
    caps = {"session_loss_limit": 2, "session_loss_includes_unrealised": True}
    return Scene.of(
        configured({"grid_count": 20}, account={"balance": 1000, "caps": caps}),
        ticks.day(),
        happened=count("latches", 1, kind="session_loss", is_set=True),
    )


def fundings_and_marks() -> Scene:
    """Marks far from the last price decide fundings, margins and what is said of them."""
    draw, ticks = random.Random(4), walk(140, 11, step=300, gap_ms=500)
    ticks.marks = [(START_MS + 1000 * second, 500_000 + draw.randint(-3000, 3000)) for second in range(60)]
    return Scene.of(
        configured({"grid_count": 20}),
        ticks.day(fundings(5, 10, 16, 21, 30)),
        happened=both(count("executions", 3, exec_type="Funding"), count("executions", 10, exec_type="Trade")),
    )


def liquidation() -> Scene:
    ticks = Ticks(BTC, 500_000)
    ticks.go([0] + [-250] * 80 + [200] * 20, after_ms=300)
    return Scene.of(
        configured(
            {"grid_count": 20, "amount": "q0.02", "max_margin": 100, "caps": {"max_notional": None}},
            paper={"default_leverage": 50},
            account={"balance": 150, "caps": {"session_loss_limit": None}},
        ),
        ticks.day(),
        happened=count("executions", 1, exec_type="BustTrade"),
    )


def shadow_beside_a_live_one() -> Scene:
    btc, eth = walk(100, 12, step=300, gap_ms=500), walk(100, 13, symbol=ETH, price=250_000, step=150, gap_ms=500)
    due = fundings(5, 10, 15, 20)
    return Scene.of(
        configured({"amount": "x0.01"}, {"symbol": "ETHUSDT", "amount": "x0.01", "shadow_mode": True}),
        btc.day(due),
        eth.day(due),
        happened=both(
            count("executions", 5, shadow=True, exec_type="Trade"),
            count("executions", 2, shadow=True, exec_type="Funding"),
        ),
    )


def hardly_any_money() -> Scene:
    ticks = walk(120, 16, step=300, gap_ms=600)
    return Scene.of(
        configured({"amount": "3"}, account={"balance": 50}),
        ticks.day(),
        happened=lambda rows: any(row["verdict"] == "refused" for row in rows["intents"]),
    )


SCENES: dict[str, Callable[[], Scene]] = {
    made.__name__: made
    for made in (
        *(calm, trending, whipsaw, fills_of_one_moment, partial_fills, touched, gone_through, faster_than_requests),
        *(more_orders_than_the_budget, sizes_by_positions, caps_of_a_strategy, cap_over_two_symbols),
        *(loss_beyond_the_limit, fundings_and_marks, liquidation, shadow_beside_a_live_one, hardly_any_money),
    )
}
