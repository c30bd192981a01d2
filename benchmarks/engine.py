"""How fast the strategy decides: quiet ticks, full decisions, and both against the naive reference.

    python benchmarks/engine.py [--json] [--trades FILE] [--naive-ticks N]

(a) quiet: ticks inside the known interval, each timed in a batch of 1,000; median and best batch.
(b) full: decisions over 2 × 50 resting orders whose version has just changed, so that nothing known helps.
    with intents: the same with half of the orders missing, so that 50 intents come out.
    repeat: the same answer with intents, asked for again (what a refused order costs at each tick).
(c) path: the recorded trades (or a seeded synthetic walk), the same ticks, fills and orders for the engine and for the
    naive reference of the tests, which is checked to answer the same. Fills happen where a trade goes through a level.

Single thread, no I/O inside the measured parts. The garbage collector stays on, as it does in a worker.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gridbot.core import (  # noqa: E402
    CancelIntent,
    Direction,
    ExecutionEvent,
    Instrument,
    LimitOrder,
    LimitOrders,
    Side,
    TickerEvent,
)
from gridbot.strategies.grid import GridConfig, GridEngine  # noqa: E402
from tests.strategies.grid.reference import NaiveEngine, as_tuple  # noqa: E402

SYMBOL = "BTCUSDT"
TICK = Decimal("0.1")
RULES = Instrument(SYMBOL, TICK, Decimal("0.001"), Decimal("0.001"), Decimal(100))
CONFIG = GridConfig()
RECORDED = ROOT.parent / "shared" / "data" / "trades" / "BTCUSDT2024-08-08.csv.gz"
BATCH = 1_000


@dataclass(frozen=True)
class Timing:
    """Microseconds per event: median and best over batches."""

    median_us: float
    best_us: float

    @property
    def per_second(self) -> float:
        return 1e6 / self.median_us

    @classmethod
    def of(cls, batches_ns: Sequence[int], events: int) -> Timing:
        return cls(statistics.median(batches_ns) / events / 1000, min(batches_ns) / events / 1000)


def settled(price: Decimal) -> tuple[GridEngine, LimitOrders]:
    """An engine whose every level has its orders."""
    engine, orders = GridEngine(SYMBOL, RULES, CONFIG, "bench"), LimitOrders()
    carry_out(orders, engine.on_event(TickerEvent(SYMBOL, price), orders))
    return engine, orders


def carry_out(orders: LimitOrders, intents: Sequence[Any]) -> None:
    for intent in intents:
        rows = orders[intent.direction]
        if isinstance(intent, CancelIntent):
            rows[:] = [order for order in rows if order.key != intent.key]
        else:
            rows.append(LimitOrder(f"{intent.direction}-{intent.ticks}-{orders.version}", intent.side, intent.ticks))
    orders.version += bool(intents)


def timed(batches: int, run: Callable[[], None]) -> list[int]:
    samples = []
    for _ in range(batches):
        started = time.perf_counter_ns()
        run()
        samples.append(time.perf_counter_ns() - started)
    return samples


def quiet() -> Timing:
    engine, orders = settled(Decimal(60000))
    walk = random.Random(1)
    events = [TickerEvent(SYMBOL, Decimal(600000 + walk.randint(-3000, 3000)) / 10) for _ in range(BATCH)]
    engine.on_event(events[0], orders)
    if engine.quiet_interval is None:
        raise SystemExit("expected a quiet interval around the centre, got none")
    on_event = engine.on_event

    def run() -> None:
        for event in events:
            on_event(event, orders)

    return Timing.of(timed(300, run), BATCH)


def full() -> tuple[Timing, int]:
    engine, orders = settled(Decimal(60000))
    events = [TickerEvent(SYMBOL, Decimal(600000 + number) / 10) for number in range(100)]

    def run() -> None:
        for event in events:
            orders.version += 1
            engine.on_event(event, orders)

    return Timing.of(timed(100, run), len(events)), len(orders.long) + len(orders.short)


def ragged() -> tuple[Timing, int]:
    """As `full`, but with the closes missing on both legs, as when there is no position: every level is asked about."""
    engine, orders = settled(Decimal(60000))
    orders.long[:] = [order for order in orders.long if order.side is Side.BUY]
    orders.short[:] = [order for order in orders.short if order.side is Side.SELL]
    event = TickerEvent(SYMBOL, Decimal(60000))
    intents = len(engine.on_event(event, orders))

    def run() -> None:
        for _ in range(100):
            orders.version += 1
            engine.on_event(event, orders)

    return Timing.of(timed(100, run), 100), intents


def repeat() -> tuple[Timing, int]:
    engine, orders = GridEngine(SYMBOL, RULES, CONFIG, "bench"), LimitOrders()
    events = [TickerEvent(SYMBOL, Decimal(600000 + number % 100) / 10) for number in range(BATCH)]
    intents = len(engine.on_event(events[0], orders))

    def run() -> None:
        for event in events:
            engine.on_event(event, orders)

    return Timing.of(timed(100, run), BATCH), intents


# ---------------------------------------------------------------------- the same path for both


def prices(path: Path | None) -> tuple[list[Decimal], str]:
    if path is not None and path.exists():
        with gzip.open(path, "rt", newline="") as rows:
            return [Decimal(row["price"]) for row in csv.DictReader(rows)], path.name
    walk, ticks, made = random.Random(8), 600_000, []
    for _ in range(20_000):
        ticks += round(walk.gauss(0, 12))
        made.append(Decimal(ticks) / 10)
    return made, "seeded synthetic walk"


def fills_at(orders: LimitOrders, price: Decimal) -> list[tuple[Direction, LimitOrder]]:
    ticks = price / TICK
    return [
        (direction, order)
        for direction in Direction
        for order in orders[direction]
        if (ticks < order.ticks if order.side is Side.BUY else ticks > order.ticks)
    ]


def script(path: Sequence[Decimal]) -> list[tuple[Any, LimitOrders]]:
    """The events of a run with the orders at each: made once by the engine and the market, then fed to both.

    Orders are a new holder whenever they change, as both runs have to see the orders of that moment.
    """
    engine, orders = GridEngine(SYMBOL, RULES, CONFIG, "bench"), LimitOrders()
    events: list[tuple[Any, LimitOrders]] = []
    nearest: tuple[Decimal, Decimal] | None = None
    for price in path:
        if nearest is None or not nearest[0] <= price <= nearest[1]:
            for direction, order in fills_at(orders, price):
                kept = [other for other in orders[direction] if other is not order]
                both = (kept, orders.short) if direction is Direction.LONG else (orders.long, kept)
                orders = LimitOrders(*both, version=orders.version + 1)
                paid = RULES.price(order.ticks)
                fill = ExecutionEvent(SYMBOL, order.key, order.key, order.key, order.side, paid, Decimal(1))
                events.append((fill, orders))
                engine.on_event(fill, orders)
        ticker = TickerEvent(SYMBOL, price)
        events.append((ticker, orders))
        intents = engine.on_event(ticker, orders)
        if intents:
            orders = LimitOrders(orders.long, orders.short, orders.version)
            carry_out(orders, intents)
        bids = (
            [o.ticks for d in Direction for o in orders[d] if o.side is Side.BUY]
            if intents or nearest is None
            else None
        )
        if bids is not None:
            asks = [o.ticks for d in Direction for o in orders[d] if o.side is Side.SELL]
            nearest = (RULES.price(max(bids, default=0)), RULES.price(min(asks, default=10**9)))
    return events


def play(engine: Any, events: Sequence[tuple[Any, Any]]) -> tuple[int, list[Sequence[Any]]]:
    answers = []
    started = time.perf_counter_ns()
    for event, orders in events:
        answers.append(engine.on_event(event, orders))
    return time.perf_counter_ns() - started, answers


def along(path: Sequence[Decimal], naive_events: int) -> dict[str, Any]:
    events = script(path)
    runs = [play(GridEngine(SYMBOL, RULES, CONFIG, "bench"), events) for _ in range(5)]
    fast_ns = statistics.median(ns for ns, _ in runs)
    part = events[:naive_events]
    plain = [(event, {"long": orders.long, "short": orders.short}) for event, orders in part]
    naive = NaiveEngine(SYMBOL, TICK, CONFIG.grid_count, CONFIG.grid_step, CONFIG.rebalance_threshold, "bench")
    naive_ns, expected = play(naive, plain)
    part_ns = statistics.median(play(GridEngine(SYMBOL, RULES, CONFIG, "bench"), part)[0] for _ in range(5))
    every_ns = statistics.median(play(GridEngine(SYMBOL, RULES, CONFIG, "bench"), plain)[0] for _ in range(5))
    if [[as_tuple(intent) for intent in answer] for answer in runs[0][1][:naive_events]] != expected:
        raise SystemExit("expected the same intents from the engine and the naive reference, got others")
    return {
        "events": len(events),
        "fills": sum(isinstance(event, ExecutionEvent) for event, _ in events),
        "decisions_with_intents": sum(bool(answer) for answer in runs[0][1]),
        "engine_us_per_event": fast_ns / len(events) / 1000,
        "naive_events": len(part),
        "naive_us_per_event": naive_ns / len(part) / 1000,
        "engine_us_per_event_on_naive_part": part_ns / len(part) / 1000,
        "engine_without_interval_us_per_event": every_ns / len(part) / 1000,
        "naive_over_engine": naive_ns / part_ns,
        "naive_over_engine_without_interval": naive_ns / every_ns,
        "without_interval_over_engine": every_ns / part_ns,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the strategy core.")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    parser.add_argument("--trades", type=Path, default=RECORDED, help="a trade dump (.csv.gz) with a price column")
    parser.add_argument("--naive-events", type=int, default=600, help="events the naive reference plays (it is slow)")
    options = parser.parse_args()
    quiet_tick, (full_tick, resting), (repeat_tick, repeated) = quiet(), full(), repeat()
    ragged_tick, asked = ragged()
    path, source = prices(options.trades)
    result: dict[str, Any] = {
        "python": platform.python_version(),
        "quiet_tick_us": {"median": quiet_tick.median_us, "best": quiet_tick.best_us},
        "quiet_ticks_per_s": quiet_tick.per_second,
        "full_decision_us": {"median": full_tick.median_us, "best": full_tick.best_us},
        "full_decisions_per_s": full_tick.per_second,
        "resting_orders": resting,
        "full_decision_with_intents_us": {"median": ragged_tick.median_us, "best": ragged_tick.best_us},
        "full_decision_intents": asked,
        "repeated_answer_us": {"median": repeat_tick.median_us, "best": repeat_tick.best_us},
        "repeated_intents": repeated,
        "source": source,
        "path": along(path, options.naive_events),
    }
    if options.json:
        print(json.dumps(result))
        return
    ran = result["path"]
    for name, timing, what in (
        ("quiet tick", quiet_tick, f"best {quiet_tick.best_us:.3f}"),
        ("full decision", full_tick, f"{resting} resting orders"),
        ("  with intents", ragged_tick, f"{asked} intents, {resting - asked} resting orders"),
        ("repeated answer", repeat_tick, f"{repeated} intents"),
    ):
        print(f"{name:<16} {timing.median_us:9.3f} µs {timing.per_second:12,.0f} /s   ({what})")
    print(f"path: {source}, {ran['events']} events, {ran['fills']} fills, {ran['decisions_with_intents']} with intents")
    print(f"  engine         {ran['engine_us_per_event']:8.3f} µs per event")
    print(f"  naive          {ran['naive_us_per_event']:8.3f} µs per event over the first {ran['naive_events']}")
    print(f"  every tick     {ran['engine_without_interval_us_per_event']:8.3f} µs: the engine without its interval")
    print(
        f"  ratios         naive / engine {ran['naive_over_engine']:,.0f} ×, of which the interval "
        f"{ran['without_interval_over_engine']:,.0f} × and the rest {ran['naive_over_engine_without_interval']:,.0f} ×"
    )


if __name__ == "__main__":
    main()
