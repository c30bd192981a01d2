"""The composed day of conf/example, which docs/backtest-example.md works through.

    python -m tests.backtest.example_day conf/example

Prices go from waypoint to waypoint, with noise drawn from a seed; whole numbers only, so it is the same everywhere.
"""

from __future__ import annotations

import gzip
import itertools
import random
import sys
from pathlib import Path
from typing import Final

__all__ = ["FILES", "write"]

START_S: Final = 1_788_220_800
"""2026-09-01 UTC."""
TRADES: Final = 6_000
WAYPOINTS: Final = (
    *((0, 600_000), (90, 603_600), (180, 597_200), (290, 604_100), (380, 598_900), (470, 603_000), (560, 597_800)),
    *((650, 602_400), (720, 599_500), (770, 601_900), (800, 596_000), (835, 583_500), (860, 577_100), (885, 581_900)),
    *((960, 578_600), (1020, 585_200), (1090, 582_000), (1170, 588_900), (1250, 585_600), (1340, 592_800)),
    (1440, 590_400),
)
"""Minute of the day, price in ticks of 0.1 USDT."""
FUNDINGS: Final = ((0, "0.0001"), (8, "0.000085"), (16, "-0.00012"))
HEADER: Final = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"


def _level(at_s: int) -> int:
    """Where the price is without noise, ticks."""
    minute = at_s / 60
    (begin, low), (end, high) = next(pair for pair in itertools.pairwise(WAYPOINTS) if minute <= pair[1][0])
    return low + (high - low) * (at_s - begin * 60) // ((end - begin) * 60)


def _trades() -> list[tuple[int, str, int, int]]:
    """Time (ms of the day), side, size (steps of 0.001), price (ticks)."""
    draw = random.Random(9)
    moments = [(86_400_000 * number + draw.randrange(86_400_000)) // TRADES for number in range(TRADES)]
    found, noise, before = [], 0, 600_000
    for at_ms in moments:
        noise = noise * 9 // 10 + draw.randrange(-120, 121)
        price = _level(at_ms // 1000) + noise
        side = "Buy" if price > before or (price == before and draw.random() < 0.5) else "Sell"
        found.append((at_ms, side, draw.choice((1, 2, 5, 10, 20, 50, 100, 250)), price))
        before = price
    return found


def trades() -> str:
    """The day as Bybit's dumps have it. The columns after the price say again what is before them."""
    lines, before, direction = [HEADER], 0, "PlusTick"
    for number, (at_ms, side, steps, ticks) in enumerate(_trades(), 1):
        if ticks != before:
            direction = "PlusTick" if ticks > before else "MinusTick"
        else:
            direction = f"Zero{direction.removeprefix('Zero')}"
        before = ticks
        size, price = f"{steps // 1000}.{steps % 1000:03}", f"{ticks // 10}.{ticks % 10}0"
        value = f"{steps * ticks // 10_000}.{steps * ticks % 10_000:04}"
        lines.append(
            f"{START_S + at_ms // 1000}.{at_ms % 1000:03}0,BTCUSDT,{side},{size},{price},{direction},{number},"
            f"{steps * ticks * 10_000}.0,{size},{value}"
        )
    return "\n".join(lines) + "\n"


def marks() -> str:
    """A mark price each minute: what the day would be without its noise."""
    rows = [f"{(START_S + minute * 60) * 1000},{_level(minute * 60) / 10:.1f}" for minute in range(1440)]
    return "\n".join(["time,mark_price", *rows]) + "\n"


def fundings() -> str:
    rows = [f"{(START_S + hour * 3600) * 1000},BTCUSDT,{rate}" for hour, rate in FUNDINGS]
    return "\n".join(["fundingRateTimestamp,symbol,fundingRate", *rows]) + "\n"


FILES: Final = {
    "BTCUSDT2026-09-01.csv.gz": trades,
    "BTCUSDT-mark-2026-09-01.csv.gz": marks,
    "BTCUSDT-funding.csv": fundings,
}


def write(directory: Path) -> None:
    """Write all of them."""
    for name, text in FILES.items():
        content = text().encode("ascii")
        (directory / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
