"""Days, settings and latencies drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.market.day import Day
from gridbot.paper.market.instruments import LISTINGS
from gridbot.simulation.even_ways import Latencies
from tests.simulation.session_examples import START_MS, WAYS, Ticks, configured

PRICES = {"BTCUSDT": 500_000, "ETHUSDT": 250_000, "SOLUSDT": 15_000}
LONGEST_MS = 25_000


@dataclass(frozen=True)
class Drawn:
    """What is played, and with which latencies."""

    config: GridbotConfig
    days: tuple[Day, ...]
    ways: Latencies
    end_ms: int


def drawn_scene(seed: int) -> Drawn:
    """One to three symbols of an account, on up to 25 s of trades."""
    draw = random.Random(seed)
    symbols = draw.sample(sorted(PRICES), draw.choice((1, 1, 2, 3)))
    days = tuple(_day(draw, symbol) for symbol in symbols)
    end_ms = max(int(day.times_ms[-1]) for day in days) + draw.choice((1, 1500))
    one_us, config = draw.randint(0, 60_000), _config(draw, symbols)
    alike = Latencies(one_us, one_us, one_us, one_us)
    ways = draw.choice((WAYS, alike, _ways(draw)))
    if ways is alike:  # what a shadow hears at the moment of other news has no order
        live = tuple(each.model_copy(update={"shadow_mode": False}) for each in config.strategies)
        config = config.model_copy(update={"strategies": live})
    if ways.private_us + config.paper.ack_delay_ms * 1000 > ways.answer_us:  # listings would be sooner than the stream
        config = config.model_copy(update={"order_sync_interval": 0})
    return Drawn(config, days, ways, end_ms)


def _ways(draw: random.Random) -> Latencies:
    return Latencies(*(draw.randint(1, 120_000) for _ in range(4)))


def _day(draw: random.Random, symbol: str) -> Day:
    """A walk with drifts, jumps that come back, standing prices, and several trades at once."""
    ticks = Ticks(LISTINGS[symbol].instrument, PRICES[symbol], START_MS + draw.randint(0, 2000))
    step = PRICES[symbol] * draw.choice((1, 4, 10)) // 10_000
    gap_ms, drift = draw.choice((40, 400, 1500)), draw.choice((0, 0, -step // 2, step // 2))
    ticks.trade(0, 0)
    for _ in range(draw.randint(10, 120)):
        after_ms = draw.choice((0, draw.randint(1, gap_ms), draw.randint(1, gap_ms)))
        move = draw.choice((0, drift + draw.randint(-step, step), drift + draw.randint(-step, step), 5 * drift))
        if ticks.at_ms + after_ms >= START_MS + LONGEST_MS or ticks.price + move <= PRICES[symbol] // 2:
            break
        ticks.trade(after_ms, move, draw.choice((1, 50, 1000, 10_000)), draw.choice((1, -1)))
    if draw.random() < 0.3:
        ticks.marks = [
            (at_ms, price + draw.randint(-20, 20)) for at_ms, price, *_ in ticks.rows[:: draw.choice((1, 5))]
        ]
    due = sorted(draw.sample(range(START_MS + 3000, START_MS + LONGEST_MS), draw.choice((0, 0, 1, 3))))
    return ticks.day([(at_ms, Decimal(draw.randint(-20, 20)) / 10_000) for at_ms in due])


def _config(draw: random.Random, symbols: list[str]) -> GridbotConfig:
    strategies: list[dict[str, Any]] = [
        {
            "strat_id": symbol[:3].lower(),
            "symbol": symbol,
            "grid_count": draw.choice((4, 10, 20, 40)),
            "grid_step": draw.choice((0.05, 0.1, 0.2)),
            "amount": draw.choice(("x0.01", "x0.05", "100", "20")),
            "shadow_mode": draw.random() < 0.15,
            "max_margin": draw.choice((8, 8, 1)),
            "min_total_margin": draw.choice((0.15, 5)),
            "increase_same_position_on_low_margin": draw.random() < 0.5,
            "caps": draw.choice(({}, {}, {"max_notional": 3000}, {"max_open_orders": 8, "max_orders_per_minute": 25})),
        }
        for symbol in symbols
    ]
    account = {  # readings of several symbols wait for each other at a worker (docs/backtest.md 2)
        "balance": draw.choice((10_000, 1000, 150)) if len(symbols) == 1 else 10_000,
        "order_entry": draw.choice(("http", "websocket")),
        "caps": draw.choice(({}, {}, {"max_notional": 4000}, {"session_loss_limit": 2})),
    }
    return configured(
        *strategies,
        account=account,
        paper={
            "matching": draw.choice(("queue", "touch", "through")),
            "market": {"level_notional": draw.choice((500, 10_000))},
            "default_leverage": draw.choice((10, 50)),
            "ack_delay_ms": draw.choice((0, 3)),
        },
        position_check_interval=draw.choice((10, 63)),
        order_sync_interval=draw.choice((11, 61)),
        wallet_cache_interval=draw.choice((13, 300)),
    )
