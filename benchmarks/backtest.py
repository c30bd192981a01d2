"""How fast a backtest goes, by how much happens in it, beside the same run that looks at every tick.

    bin/bench backtest [--ticks N] [--every N] [--trades FILE] [--symbols N] [--days N] [--only ROW] [--others PYTHON]
                       [--json]

Trades: the 6-minute file FILE (Bybit's dump; default the one of ../shared/data where it is), tiled to N ticks:
forwards, then backwards, and so on, so that no price jumps. Without a file a composed walk. One strategy, 2 x 25
levels, at several steps, so that there is a fill each so many ticks; `every tick` is the same run on the tape's first
part, with the flag. `candles`: symbols x days of composed minute candles, four ticks each, all in one account; what a
month of many symbols costs is `--only candles --symbols 30 --days 30`, some minutes. Each row is a process of its own,
on days that are kept in files: `peak_mb` is all of it. CPU seconds include the database.

Beside it hftbacktest and nautilus_trader, on the same tape with the same levels (`parts/backtest_others.py` says what
they leave out), where the interpreter PYTHON has them. They are heavy, so better in a place of their own:

    python -m venv others && others/bin/python -m pip install 'gridbot[others]'
    bin/bench backtest --others others/bin/python
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

import numpy as np

from gridbot.backtest import Options, run
from gridbot.config.models import GridbotConfig
from gridbot.market.day import DAY_MS, day_start_ms, ticks_of
from gridbot.market.market_root import Market
from gridbot.paper.market.instruments import LISTINGS

TRADES = Path(__file__).resolve().parents[2] / "shared" / "data" / "trades" / "BTCUSDT2024-08-08.csv.gz"
FIRST = date(2026, 1, 5)
STEPS = (0.02, 0.05, 0.1, 0.3)
ROWS = (*(f"step {step} %" for step in STEPS), "candles")
SEED = 7
OTHERS = {"hftbacktest": ">=2.4,<3", "nautilus_trader": ">=1.221,<2"}
OTHERS_SCRIPT = Path(__file__).with_name("parts") / "backtest_others.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/bench backtest", description=__doc__.split("\n")[0])
    parser.add_argument("--ticks", type=int, default=3_000_000, help="trades of the tape")
    parser.add_argument("--every", type=int, default=50_000, help="of which so many are looked at one by one")
    parser.add_argument("--trades", type=Path, default=TRADES, help="a file of Bybit's trade dump")
    parser.add_argument("--symbols", type=int, default=4, help="of the row candles")
    parser.add_argument("--days", type=int, default=3, help="of the row candles")
    parser.add_argument("--only", choices=ROWS, help="this row alone, without other programs")
    parser.add_argument("--others", default=sys.executable, help="an interpreter with hftbacktest, nautilus_trader")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        _prepare(options, Path(options.prepare))
        return 0
    if options.row:
        print(json.dumps(_row(options.row[0], Path(options.row[1]))))
        return 0
    rows = {}
    with tempfile.TemporaryDirectory(prefix="gridbot-bench-") as temporary:
        _in_child("--prepare", temporary)
        for name in (options.only,) if options.only else ROWS:
            rows[name] = json.loads(_in_child("--row", name, temporary))
            if name != "candles":
                every = json.loads(_in_child("--row", f"{name} every", temporary))
                rows[name]["every_tick_per_s"] = every["ticks_per_s"]
        others = () if options.only else OTHERS
        beside = {name: _beside(options.others, name, Path(temporary)) for name in others}
    source = options.trades.name if options.trades.is_file() else ""
    tape = f"{source}, tiled to {options.ticks:,} ticks" if source else "a composed walk"
    document = {"tape": tape, "load": os.getloadavg()[0], "rows": rows, "others": beside}
    if options.json:
        print(json.dumps(document))
    else:
        _print(document)
    return 0


def _in_child(*words: str) -> str:
    command = [sys.executable, __file__, *sys.argv[1:], *words]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout


def _beside(python: str, name: str, directory: Path) -> dict[str, Any]:
    """Another backtester's rows by step; or a sentence that says how to have it."""
    known = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    if subprocess.run([python, "-c", known], check=False).returncode:
        return {"skipped": f"{python} has no {name}: {python} -m pip install '{name}{OTHERS[name]}'"}
    rows = {}
    for step in STEPS:
        command = [python, str(OTHERS_SCRIPT), name, str(directory / "tape.npz"), str(step)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        rows[f"step {step} %"] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _prepare(options: argparse.Namespace, directory: Path) -> None:
    columns = _tiled(options.trades, options.ticks) if options.trades.is_file() else _walked(options.ticks)
    np.savez(directory / "tape.npz", **dict(zip(("times_ms", "prices", "sizes", "sides"), columns, strict=True)))
    _put(Market(directory / "tape"), *columns)
    _put(Market(directory / "part"), *(column[: options.every] for column in columns))
    _candles(Market(directory / "candles"), options.symbols, options.days)


def _row(name: str, directory: Path) -> dict[str, Any]:
    if name == "candles":
        market = Market(directory / "candles")
        return _ran(_config(directory, market.symbols(), 0.5), market, directory)
    config = _config(directory, ["BTCUSDT"], float(name.split()[1]))
    if name.endswith("every"):
        return _ran(config, Market(directory / "part"), directory, every_tick=True)
    return _ran(config, Market(directory / "tape"), directory)


def _ran(config: GridbotConfig, market: Market, directory: Path, **flags: Any) -> dict[str, Any]:
    end = _last_moment(market, config.strategies[0].symbol)
    cpu = time.process_time()
    result = run(config, market, from_=FIRST, to=end, options=Options(**flags), into=directory / "run.duckdb")
    cpu = time.process_time() - cpu
    summary = result.summary
    result.close()
    ticks, looks, fills = summary["ticks"], summary["looks"], summary["fills"]
    return {
        "ticks": ticks,
        "fills": fills,
        "ticks_per_fill": round(ticks / max(1, fills)),
        "looks": looks,
        "cpu_s": round(cpu, 2),
        "ticks_per_s": round(ticks / cpu),
        "us_per_look": round(cpu / looks * 1e6, 1),
        "us_per_fill": round(cpu / max(1, fills) * 1e6),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _last_moment(market: Market, symbol: str) -> str:
    """Right after the last tick."""
    last_ms = int(market.day(symbol, market.days(symbol)[-1]).times_ms[-1]) + 1
    return str(np.datetime64(last_ms, "ms"))


def _config(directory: Path, symbols: list[str], step: float) -> GridbotConfig:
    strategies = [
        {
            "strat_id": symbol.lower(),
            "account": "alice",
            "symbol": symbol,
            "grid_count": 50,
            "grid_step": step,
            "amount": "20",
        }
        for symbol in symbols
    ]
    document = {
        "environment": "paper",
        "accounts": [{"name": "alice", "balance": 100_000, "caps": {"session_loss_limit": "off"}}],
        "strategies": strategies,
        "storage": {"data_dir": f"{directory}/data"},
    }
    return GridbotConfig.model_validate(document)


def _tiled(path: Path, count: int) -> tuple[Any, Any, Any, Any]:
    instrument = LISTINGS["BTCUSDT"].instrument
    with gzip.open(path, "rt") as file:
        rows = [line.split(",", 5)[:5] for line in file.read().splitlines()[1:]]
    times = np.array([float(row[0]) for row in rows]) * 1000
    sides = np.array([1 if row[2] == "Buy" else -1 for row in rows], np.int8)
    sizes = np.rint(np.array([float(row[3]) for row in rows]) / float(instrument.qty_step)).astype(np.int64)
    prices = np.rint(np.array([float(row[4]) for row in rows]) / float(instrument.tick_size)).astype(np.int64)
    order = np.argsort(times, kind="stable")
    gaps = np.diff(times[order], append=times[order][-1] + 20)
    there = [column[order] for column in (gaps, prices, sizes, sides)]
    back = [column[::-1] for column in there]
    back[3] = -back[3]
    parts = -(-count // len(rows))
    gaps, prices, sizes, sides = (
        np.concatenate([(back if part % 2 else there)[index] for part in range(parts)])[:count] for index in range(4)
    )
    at = day_start_ms(FIRST) + np.concatenate(([0], np.cumsum(gaps)[:-1])).astype(np.int64)
    return at, prices, sizes, sides


def _walked(count: int) -> tuple[Any, Any, Any, Any]:
    draw = np.random.default_rng(SEED)
    at = day_start_ms(FIRST) + np.cumsum(draw.integers(0, 35, count))
    prices = 600_000 + np.cumsum(np.rint(draw.normal(0, 8, count))).astype(np.int64)
    return at, prices, draw.integers(1, 300, count), np.where(draw.random(count) < 0.5, 1, -1).astype(np.int8)


def _put(market: Market, at: Any, prices: Any, sizes: Any, sides: Any) -> None:
    numbers = (at - day_start_ms(FIRST)) // DAY_MS
    for number in range(int(numbers[-1]) + 1):
        mine = numbers == number
        instrument = LISTINGS["BTCUSDT"].instrument
        market.put(ticks_of(instrument, at[mine], prices[mine], sizes[mine], sides[mine]))


def _candles(market: Market, count: int, days: int) -> None:
    """Minute candles of composed prices under composed names: open, the nearer extreme, the other, close."""
    draw, base = np.random.default_rng(SEED), LISTINGS["BTCUSDT"].instrument
    symbols = [f"COIN{number}USDT" for number in range(count)]
    for symbol in symbols:
        price = 600_000
        for number in range(days):
            minutes = np.arange(1440) * 60_000 + day_start_ms(FIRST) + number * DAY_MS
            walk = price + np.cumsum(np.rint(draw.normal(0, 250, 1440 * 4))).astype(np.int64)
            price = int(walk[-1])
            at = np.repeat(minutes, 4) + np.tile([0, 15_000, 30_000, 45_000], 1440)
            market.put(ticks_of(replace(base, symbol=symbol), at, walk, kind="candles"))


def _print(document: dict[str, Any]) -> None:
    print(f"{document['tape']}; load {document['load']:.1f}")
    rows = document["rows"]
    names = ["ticks", "ticks_per_fill", "fills", "looks", "cpu_s", "ticks_per_s", "every_tick_per_s"]
    names += ["us_per_look", "us_per_fill", "peak_mb"]
    _print_rows(names, rows)
    for name, beside in document["others"].items():
        print(f"\n{name}: {beside['skipped']}" if "skipped" in beside else f"\n{name}, the same tape and levels:")
        if "skipped" not in beside:
            _print_rows(["ticks", "ticks_per_fill", "fills", "cpu_s", "ticks_per_s", "peak_mb"], beside)


def _print_rows(names: list[str], rows: dict[str, dict[str, Any]]) -> None:
    print(" " * 13 + "".join(f"{name:>18}" for name in names))
    for name, figures in rows.items():
        print(
            f"{name:<13}" + "".join(f"{figures.get(each, ''):>18,}" if each in figures else " " * 18 for each in names)
        )


if __name__ == "__main__":
    sys.exit(main())
