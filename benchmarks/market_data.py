"""How long the import of a day of trades takes, and a look-up of where the price next leaves an interval.

    bin/bench market_data [--trades N] [--ticks N] [--json]

A dump of N trades in the layout of Bybit's archive is composed (a random walk, each with an id and a size of its own),
packed, and imported; then all of it is checked. `import_cpu_s` is of the whole import, of which `unpack_cpu_s` is what
gzip alone takes; `peak_mb` the most memory the process ever had. The second figure looks from random places of a walk
of `--ticks` prices for the next one outside an interval, half of `--widths` ticks to each side, beside numpy, which
looks at all that follow: medians in µs, and the median distance.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import statistics
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from gridbot.market.day import day_start_ms
from gridbot.market.day_check import check_symbol
from gridbot.market.importer import import_files
from gridbot.market.market_root import Market
from gridbot.market.pyramid import Pyramid
from gridbot.market.rule_book import RuleBook

DAY = date(2026, 9, 1)
HEAD = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional,RPI\n"
BLOCK = 100_000
LOOKS = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench market_data", description=__doc__.split("\n")[0])
    parser.add_argument("--trades", type=int, default=3_000_000, help="of the dump that is imported")
    parser.add_argument("--ticks", type=int, default=10_000_000, help="of the walk with the pyramid")
    parser.add_argument("--widths", type=int, nargs="+", default=[100, 800, 4000], help="of the intervals, in ticks")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridbot-bench-") as temporary:
        figures = {"import": _imported(Path(temporary), options.trades)}
    figures["look_ups"] = _looked_up(options.ticks, options.widths)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, row in [("import", figures["import"]), *figures["look_ups"].items()]:
            print(f"{name}: " + "  ".join(f"{what} {value:,}" for what, value in row.items()))
    return 0


def _imported(directory: Path, count: int) -> dict[str, Any]:
    path = directory / f"BTCUSDT{DAY}.csv.gz"
    _compose(path, count)
    market = Market(directory / "market")
    wall, cpu = time.perf_counter(), time.process_time()
    done = import_files(market, [path], RuleBook(None, ""))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert not done.refused, done.refused
    checking = time.process_time()
    assert not [one for one in check_symbol(market, "BTCUSDT", None, None) if not one.is_note]
    checking = time.process_time() - checking
    unpacking = time.process_time()
    with gzip.open(path, "rb") as file:
        while file.read(1 << 23):
            pass
    return {
        "trades": len(market.day("BTCUSDT", DAY)),
        "packed_mb": round(path.stat().st_size / 1e6),
        "import_wall_s": round(wall, 2),
        "import_cpu_s": round(cpu, 2),
        "unpack_cpu_s": round(time.process_time() - unpacking, 2),
        "check_cpu_s": round(checking, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _compose(path: Path, count: int) -> None:
    random = np.random.default_rng(17)
    times = np.sort(random.integers(0, 864_000_000, count)) + day_start_ms(DAY) * 10
    prices = 600_000 + np.cumsum(random.integers(-2, 3, count))
    sizes, sides = random.integers(1, 50_000, count), random.integers(0, 2, count)
    ids = random.integers(0, 1 << 60, (count, 2))
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(HEAD)
        for begin in range(0, count, BLOCK):
            part = slice(begin, begin + BLOCK)
            rows = zip(*(column[part].tolist() for column in (times, prices, sizes, sides, ids)), strict=True)
            file.writelines(_line(*row) for row in rows)


def _line(at: int, price: int, size: int, side: int, name: list[int]) -> str:
    coins, front, back = size / 1000, f"{name[0]:016x}", f"{name[1]:016x}"
    uuid = f"{front[:8]}-{front[8:12]}-{front[12:]}-{back[:4]}-{back[4:]}"
    text = f"{at / 10_000:.4f},BTCUSDT,{('Sell', 'Buy')[side]},{coins},{price / 10:.2f},ZeroPlusTick,{uuid}"
    return f"{text},{coins * price * 1e7},{coins},{coins * price / 10},0\n"


def _looked_up(count: int, widths: list[int]) -> dict[str, dict[str, float]]:
    random = np.random.default_rng(1)
    prices = 10_000_000 + np.cumsum(random.integers(-3, 4, count))
    began = time.perf_counter()
    pyramid = Pyramid(prices)
    built_s = time.perf_counter() - began
    starts = random.integers(0, count, LOOKS).tolist()
    found = {"pyramid": {"ticks": count, "build_s": round(built_s, 3)}}
    for width in widths:
        ours, plain, distances = [], [], []
        half = width // 2
        looks = [(start, int(prices[start]) - half, int(prices[start]) + half) for start in starts]
        answers = []
        for look in looks:  # before numpy has pushed everything else out of the caches
            began = time.perf_counter()
            answers.append(pyramid.next_outside(*look))
            ours.append(time.perf_counter() - began)
        for at, (start, low, high) in zip(answers, looks, strict=True):
            began = time.perf_counter()
            outside = (prices[start:] < low) | (prices[start:] > high)
            there = start + int(outside.argmax()) if outside.any() else count
            plain.append(time.perf_counter() - began)
            assert at == there
            distances.append(at - start)
        found[f"look-up, {width} ticks wide"] = {
            "pyramid_us": round(statistics.median(ours) * 1e6, 2),
            "numpy_us": round(statistics.median(plain) * 1e6),
            "distance": round(statistics.median(distances)),
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
