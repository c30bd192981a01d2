"""What a fleet costs and how soon it trades: real processes on the paper exchange, with the limit of an address on.

bin/bench fleet                                   50 accounts, two strategies each, ten minutes
bin/bench fleet --accounts 10 --minutes 2
bin/bench fleet --accounts 200                    what gives first
bin/bench fleet --accounts 10 --code ../other     the same of another checkout

Two fleets run one after the other. A quiet one of twenty accounts loses one worker after another (`--kills`), each time
when the last one is back. The large one trades in a lively market; at the end of its time some of its workers are
killed together. Times of the workers come from their own records, so nothing is asked while it is measured:

    trading     from the start of the command to the first order of each account
    recovery    from kill -9 to the first comparison with the exchange of the next life: what is missing is placed then
    decision    from the ticker (its own time, in ms) to the record of the order that it caused; the request follows

    requests    over HTTP, of each account, from the start to the end of the time (counted in the exchange)

PSS is what a process has in memory, shared pages divided by those who share them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet import Fleet, FleetError, account_names, configuration, running
from benchmarks.parts.fleet_figures import (
    decisions,
    loop_lags,
    orders_of_accounts,
    pss_mb,
    recoveries,
    refusals,
    requests_of_accounts,
    spread,
    trading_after,
)
from benchmarks.parts.own_supervisor import ROOT, Status, child_rows

START_S = 300.0
BACK_S = 180.0
QUIET_ACCOUNTS = 20  # a second death in a row within a minute is waited for, so each has one
QUIET_S = 30.0
FULL_PERCENT = 90.0
BEHIND_S = 10.0
LATE_MS = 1000.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=50, help="paper accounts of the large fleet (default 50)")
    parser.add_argument("--minutes", type=float, default=10.0, help="that it trades (default 10)")
    parser.add_argument("--rate", type=float, default=10.0, help="tickers a second and symbol (default 10)")
    parser.add_argument("--kills", type=int, default=20, help="workers killed in each fleet (default 20)")
    parser.add_argument(
        "--scenario", default="lively", help="market of the large fleet (default lively; docs/paper.md)"
    )
    parser.add_argument("--strategies", type=int, default=2, choices=range(1, 5), help="of each account (default 2)")
    parser.add_argument("--no-limit", action="store_true", help="the exchange does not limit what comes of an address")
    parser.add_argument("--code", type=Path, default=ROOT, help="the checkout whose code runs (default this one)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(given)
    if options.accounts < 1 or options.minutes <= 0 or options.rate <= 0 or options.kills < 0:
        parser.error("expected at least one account, and minutes, rate and kills that are not negative")
    if not (options.code / "supervisor" / "cli").is_dir():
        parser.error(f"--code: expected a checkout of gridbot, got {options.code}; give the directory of its README.md")
    return options


def main() -> int:
    options = arguments()
    result: dict[str, Any] = {
        "benchmark": "fleet",
        "accounts": options.accounts,
        "strategies": options.strategies,
        "minutes": options.minutes,
        "rate": options.rate,
        "address_limit": not options.no_limit,
        "cpus": os.cpu_count(),
        "load": [os.getloadavg()[0]],
    }
    try:
        with tempfile.TemporaryDirectory(prefix="gridbot-fleet-") as folder:
            result["quiet"] = quiet_fleet(Path(folder), options)
        with tempfile.TemporaryDirectory(prefix="gridbot-fleet-") as folder:
            result["busy"] = busy_fleet(Path(folder), options)
    except FleetError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    result["load"].append(os.getloadavg()[0])
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


def quiet_fleet(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Twenty accounts in a calm market: what they use when nothing happens, and how soon a killed worker is back."""
    result: dict[str, Any] = {}
    with running(home, _config(options, QUIET_ACCOUNTS, "calm"), options.code.resolve()) as fleet:
        began = _began(fleet, QUIET_ACCOUNTS, result)
        result["cpu_percent"] = cpu_over(fleet, QUIET_S)
        kills = []
        for number in range(options.kills):
            name = f"a{number % QUIET_ACCOUNTS:02d}"
            [(pid, killed)] = fleet.kill(f"worker-{name}").values()
            kills.append((name, killed))
            fleet.until(partial(_is_back, name, pid), f"{name} again", BACK_S)
    result["recovery_s"] = spread(recoveries(fleet.data_dir, kills))
    result["trading_s"] = trading_after(fleet.data_dir, began)
    return result


def busy_fleet(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All accounts in a lively market; then kill -9 of some workers at once."""
    result: dict[str, Any] = {}
    probe = home / "probe"
    probe.mkdir()
    config = _config(options, options.accounts, options.scenario)
    with running(home, config, options.code.resolve(), probe) as fleet:
        began = _began(fleet, options.accounts, result)
        time.sleep(min(30.0, options.minutes * 15))
        psutil.cpu_percent(None)
        result["cpu_percent"] = cpu_over(fleet, options.minutes * 60)
        result["cpu_percent"]["machine"] = psutil.cpu_percent(None)
        until = time.time()
        result["pss_mb"] = pss_mb(_pids(fleet))
        result["behind_s"], result["incidents"] = _troubles(fleet.status())
        victims = [f"a{number:02d}" for number in range(min(options.kills, options.accounts))]
        killed = fleet.kill(*(f"worker-{name}" for name in victims)).values()
        kills = [(name, at) for name, (_, at) in zip(victims, killed, strict=True)]
        dead = {name: pid for name, (pid, _) in zip(victims, killed, strict=True)}
        fleet.until(
            lambda status: all(_is_back(name, pid, status) for name, pid in dead.items()), "all workers again", BACK_S
        )
        result["health"] = _words(fleet.status())
    result["recovery_s"] = spread(recoveries(fleet.data_dir, kills))
    result["trading_s"] = trading_after(fleet.data_dir, began)
    result["decision_ms"] = decisions(fleet.data_dir, until)
    result["loop_lag_ms"] = loop_lags(fleet.data_dir, until)
    result["orders_per_account"] = orders_of_accounts(fleet.data_dir, until)
    result["refusals"] = refusals(fleet.data_dir, until)
    names = account_names(options.accounts)
    result["requests"] = requests_of_accounts(probe, names, began, until)
    result["gives_first"] = gives_first(result)
    return result


def cpu_over(fleet: Fleet, seconds: float) -> dict[str, float]:
    """Percent of one core that each kind of process uses over a time: a worker on average, the others each."""
    processes = {name: psutil.Process(pid) for name, pid in _pids(fleet).items()}
    before = {name: _cpu_s(process) for name, process in processes.items()}
    began_s = time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began_s
    used = {name: 100 * (_cpu_s(process) - before[name]) / took_s for name, process in processes.items()}
    workers = [percent for name, percent in used.items() if name.startswith("worker-")]
    others = {name: round(percent, 1) for name, percent in used.items() if not name.startswith("worker-")}
    return {"worker": round(sum(workers) / len(workers), 2), **others, "all": round(sum(used.values()), 1)}


def show(result: dict[str, Any]) -> None:
    """Lines for people: each figure, and what was wanted."""
    busy, quiet = result["busy"], result["quiet"]
    loads = ", ".join(f"{load:.1f}" for load in result["load"])
    limit = "limits for an address" if result["address_limit"] else "no limits for an address"
    print(
        f"{result['accounts']} accounts x {result['strategies']} strategies, {result['minutes']:g} minutes, {limit}, "
        f"{result['cpus']} cores; load before and after: {loads}"
    )
    others = {name: mb for name, mb in busy["pss_mb"].items() if name != "worker"}
    rows = {
        "PSS of a worker, MB": (busy["pss_mb"]["worker"], "p50 16"),
        "PSS of the others, MB": (others, ""),
        "all trading after, s": (busy["trading_s"], "max 6"),
        "recovery, quiet, s": (quiet["recovery_s"], "p50 0.7"),
        "recovery, busy, s": (busy["recovery_s"], "p50 3"),
        "loop lag, ms": (busy["loop_lag_ms"], "p99 25"),
        "price to decision, ms": (busy["decision_ms"], ""),
        "CPU quiet, % of a core": (quiet["cpu_percent"], ""),
        "CPU busy, % of a core": (busy["cpu_percent"], ""),
        "orders of an account": (busy["orders_per_account"], ""),
        "requests of an account": (busy["requests"], "ratio 1.2"),
        "refusals by code": (busy["refusals"], ""),
        "incidents": (busy["incidents"], ""),
        "health at the end": (busy["health"], ""),
    }
    for name, (figures, wanted) in rows.items():
        told = "  ".join(f"{what} {figure}" for what, figure in figures.items()) or "none"
        print(f"  {name:24}{told}{f'   (wanted: {wanted})' if wanted else ''}")
    print(f"  what gives first        {'; '.join(busy['gives_first']) or 'nothing'}")


def gives_first(busy: dict[str, Any]) -> list[str]:
    """What was at its limit, in words; nothing when there was room everywhere."""
    cpu, found = busy["cpu_percent"], []
    if cpu["machine"] >= FULL_PERCENT:
        found.append(f"the machine: {cpu['machine']:.0f} % of its CPU is used")
    own = {name: used for name, used in cpu.items() if name not in ("worker", "all", "machine")}
    found += [f"{name} fills a core ({used:.0f} %)" for name, used in own.items() if used >= FULL_PERCENT]
    if "ip_ban" in busy["incidents"]:
        found.append(f"the address: {busy['incidents']['ip_ban']} accounts were banned")
    if busy["behind_s"] >= BEHIND_S:
        found.append(f"the database: {busy['behind_s']:.0f} s behind")
    if busy["loop_lag_ms"].get("p99", 0.0) >= LATE_MS:
        found.append(f"the workers: their loops are late by {busy['loop_lag_ms']['p99']:.0f} ms")
    return found


def _config(options: argparse.Namespace, accounts: int, scenario: str) -> str:
    limited = not options.no_limit
    return configuration(accounts, scenario, limited=limited, rate=options.rate, strategies=options.strategies)


def _troubles(status: Status | None) -> tuple[float, dict[str, int]]:
    """How many seconds the database is behind, and how many accounts have which incident."""
    if status is None:
        return 0.0, {}
    keys = [str(row["key"]) for row in status["incidents"]]
    return (status["writer"] or {}).get("lag_s") or 0.0, {key: keys.count(key) for key in sorted(set(keys))}


def _began(fleet: Fleet, accounts: int, result: dict[str, Any]) -> float:
    """Wait until everyone trades; when the command was given (seconds since 1970)."""
    assert fleet.supervisor is not None
    began = psutil.Process(fleet.supervisor.pid).create_time()
    fleet.until(lambda status: len(status["accounts"]) == accounts and not _unready(status), "all to trade", START_S)
    result["seen_trading_s"] = round(time.time() - began, 1)
    return began


def _unready(status: Status) -> list[str]:
    """Accounts without a report of a life that trades."""
    return [row["account"] for row in status["accounts"] if not _trades(row)]


def _trades(row: Status) -> bool:
    return row["process"]["state"] == "RUNNING" and any(each.get("open_orders") for each in row["strategies"])


def _is_back(name: str, killed: int, status: Status) -> bool:
    [row] = [row for row in status["accounts"] if row["account"] == name]
    return _trades(row) and row["process"]["pid"] != killed


def _pids(fleet: Fleet) -> dict[str, int]:
    status = fleet.status()
    if status is None or fleet.supervisor is None:
        raise FleetError(f"expected a status to find the processes in, got none\n{fleet.tail()}")
    pids = {name: int(row["pid"]) for name, row in child_rows(status).items() if row["pid"]}
    pids = {"supervisor": fleet.supervisor.pid, **pids}
    below = psutil.Process(fleet.supervisor.pid).children(recursive=True)
    helpers = [child.pid for child in below if child.pid not in pids.values()]  # such as a server that forks
    return pids | {f"helper-{number}": pid for number, pid in enumerate(helpers, 1)}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _words(status: Status | None) -> dict[str, int]:
    """How many accounts are healthy, degraded and so on."""
    words = [str(row["health"]) for row in status["accounts"]] if status is not None else []
    return {word: words.count(word) for word in sorted(set(words))}


if __name__ == "__main__":
    sys.exit(main())
