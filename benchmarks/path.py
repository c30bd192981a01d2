"""What a worker does between a price and the request, and with each row of the private stream: CPU time per part.

Everything runs in this process with a real journal and an exchange that answers at once (`parts/path_bench.py`), so the
figures are those of our own code, without threads, sockets and other processes.

    python benchmarks/path.py [--rounds 2000] [--levels 4 50] [--profile orders|rows] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import platform
import pstats
import statistics
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.path_bench import CENTRE, PathBench
from gridbot.core import Direction, OrderStatus, Side

WARM_UP = 200


class Costs:
    """Samples in ns by what was done."""

    def __init__(self) -> None:
        self._samples: dict[str, list[int]] = {}

    def mark(self, name: str, took_ns: int) -> None:
        self._samples.setdefault(name, []).append(took_ns)

    def forget(self) -> None:
        self._samples.clear()

    def figures(self) -> dict[str, dict[str, float]]:
        """Microseconds: of a shared machine the lower ones tell more about the code."""
        return {name: _figures(sorted(values)) for name, values in self._samples.items()}


def _figures(ranked: list[int]) -> dict[str, float]:
    places = {"p10": len(ranked) // 10, "p50": len(ranked) // 2, "p99": len(ranked) * 99 // 100}
    figures = {name: ranked[place] / 1000 for name, place in places.items()}
    return figures | {"mean": statistics.fmean(ranked) / 1000}


async def orders(bench: PathBench, rounds: int, costs: Costs) -> None:
    """Order after order, each because of one price."""
    for number in range(rounds):
        await bench.replace(number, costs.mark)


async def rows(bench: PathBench, rounds: int, costs: Costs) -> None:
    """Prices that change nothing, and the rows that the private stream brings with a fill."""
    for number in range(rounds):
        price = CENTRE + Decimal(number % 7) / 10
        costs.mark("price after news", bench.take(tickers=[bench.ticker(price)]))
        costs.mark("price that changes nothing", bench.take(tickers=[bench.ticker(price)]))
        costs.mark("wallet row", bench.take(bench.wallet(Decimal(10_000_000) + number)))
        size = Decimal(100 + number % 50) / 100
        costs.mark("position row, as before", bench.take(bench.position(Direction.SHORT, Decimal(1))))
        costs.mark("position row", bench.take(bench.position(Direction.LONG, size, CENTRE - number % 11)))
        order = bench.nearest(Side.BUY if number % 2 else Side.SELL)
        fill, news = bench.fill(order), bench.news(order, OrderStatus.FILLED, order.qty)
        costs.mark("execution and order row", bench.take(fill, news))
        await bench.settled()
        costs.mark("price after a fill", bench.take(tickers=[bench.ticker(price)]))
        await bench.settled()
        fresh = [order for order in bench.runner.book if order.exchange_ts == 0]
        bench.take(*(bench.news(order, OrderStatus.NEW) for order in fresh))
        if bench.runner.risk_state.halted or not len(bench.runner.book):
            raise RuntimeError(f"the strategy stands: {bench.runner.risk_state.halted}")


WORK = {"orders": orders, "rows": rows}


async def measure(levels: int, rounds: int, profile: str) -> dict[str, dict[str, float]]:
    figures: dict[str, dict[str, float]] = {}
    for name, work in WORK.items():
        if profile not in ("", name):
            continue
        with tempfile.TemporaryDirectory(prefix="gridbot-path-") as directory:
            bench, costs = PathBench(Path(directory), levels), Costs()
            await bench.begin()
            await work(bench, WARM_UP, costs)
            costs.forget()
            if profile:
                with cProfile.Profile() as profiler:
                    await work(bench, rounds, costs)
                pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
            else:
                await work(bench, rounds, costs)
            bench.recorder.close()
            figures |= costs.figures()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2000, help="measured rounds of each part (default 2000)")
    parser.add_argument("--levels", type=int, nargs="+", default=[4, 50], help="levels of the grid (default 4 50)")
    parser.add_argument("--profile", choices=sorted(WORK), default="", help="only this part, in cProfile")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.rounds < 1 or min(options.levels) < 2:
        parser.error("expected at least one round and two levels")
    results = {levels: asyncio.run(measure(levels, options.rounds, options.profile)) for levels in options.levels}
    document: dict[str, Any] = {
        "benchmark": "path",
        "python": platform.python_version(),
        "load": os.getloadavg(),
        "us": results,
    }
    if options.json:
        print(json.dumps(document))
        return 0
    for levels, figures in results.items():
        print(f"{levels} levels, µs of CPU time: p10 / p50 / p99")
        for name, each in figures.items():
            print(f"  {name:<26} {each['p10']:8.1f} {each['p50']:8.1f} {each['p99']:8.1f}")
    print(f"load {os.getloadavg()[0]:.2f}, Python {document['python']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
