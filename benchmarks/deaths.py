"""A fleet whose processes die in the middle of its work, and whether every cent is explained afterwards.

bin/bench deaths                                  50 accounts, two strategies each, ten minutes
bin/bench deaths --accounts 10 --minutes 2 --keep /tmp/fleet

Half way three workers and the writer get kill -9. At the end, while the fleet still runs, `ledger check --exchange`
compares each account with the exchange's own log, and is timed; then the levels at which two orders rest and the
executions that are recorded twice are counted. Exit code 1 when something is unexplained, doubled, or did not run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet import Fleet, FleetError, configuration, running
from benchmarks.parts.fleet_books import doubled_executions, doubled_levels
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets

START_S = 300.0
BACK_S = 180.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench deaths", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accounts", type=int, default=50, help="paper accounts (default 50)")
    parser.add_argument("--minutes", type=float, default=10.0, help="from everyone trading to the check (default 10)")
    parser.add_argument("--workers", type=int, default=3, help="workers that are killed (default 3)")
    parser.add_argument("--scenario", default="lively", help="of the synthetic market (default lively; docs/paper.md)")
    parser.add_argument("--seed", type=int, default=1, help="draws who is killed (default 1)")
    parser.add_argument("--keep", type=Path, help="an empty directory for the fleet, which stays; else it is removed")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        home: Path = options.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        try:
            result = run(home, options)
        except FleetError as error:
            print(f"failed: {error}", file=sys.stderr)
            return 1
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if result["explained"] == options.accounts and not result["doubled"] else 1


def run(home: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The whole of it; the figures by name."""
    result: dict[str, Any] = {"accounts": options.accounts, "minutes": options.minutes, "load": [os.getloadavg()[0]]}
    began_s = time.monotonic()
    with running(home, configuration(options.accounts, options.scenario)) as fleet:
        fleet.until(lambda status: not _not_running(status), "all processes", START_S)
        result["started_s"] = round(time.monotonic() - began_s, 1)
        half_s = options.minutes * 30
        time.sleep(half_s)
        dead = kill_some(fleet, options)
        killed_s = time.monotonic()
        fleet.until(lambda status: not _not_running(status, dead), "all processes again", BACK_S)
        result["killed"] = list(dead)
        result["back_s"] = round(time.monotonic() - killed_s, 1)
        time.sleep(max(0.0, half_s - result["back_s"]))
        result["load"].append(os.getloadavg()[0])
        result |= checked(fleet, options.accounts)
        result["load"].append(os.getloadavg()[0])
    return result


def kill_some(fleet: Fleet, options: argparse.Namespace) -> dict[str, int]:
    """kill -9 of some workers and of the writer; their names and process ids."""
    draw = random.Random(options.seed)
    names = [account.name for account in load_config(fleet.config).accounts]
    victims = [f"worker-{name}" for name in draw.sample(names, min(options.workers, len(names)))] + ["writer"]
    return {victim: pid for victim, (pid, _) in fleet.kill(*victims).items()}


def checked(fleet: Fleet, accounts: int) -> dict[str, Any]:
    """The verdict of `ledger check --exchange`, how long it took, and what is doubled."""
    status = fleet.until(lambda status: bool(status["paper"]["url"]), "the paper exchange's address", BACK_S)
    fills = sum(row.get("fills") or 0 for account in status["accounts"] for row in account["strategies"])
    began_s = time.monotonic()
    done = fleet.run("ledger", "check", "--exchange")
    took_s = time.monotonic() - began_s
    config = load_config(fleet.config, data_dir=str(fleet.data_dir))
    config = with_paper_secrets(config, paper_seed(fleet.data_dir))
    resting, doubled = doubled_levels(config, status["paper"]["url"])
    doubled += doubled_executions(fleet.data_dir)
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    return {
        "fills": fills,
        "check_s": round(took_s, 1),
        "check_exit": done.returncode,
        "explained": sum(line.endswith(": explained") for line in heads),
        "problems": [line for line in done.stdout.splitlines() if _tells(line)][:100] + done.stderr.splitlines()[-5:],
        "resting": resting,
        "doubled": doubled,
    }


def _not_running(status: dict[str, Any], dead: Mapping[str, int] = MappingProxyType({})) -> list[str]:
    """Children that do not run, or are still the process that was killed, and accounts that do not report."""
    rows = [row["process"] for row in (*status["accounts"], status["writer"], status["paper"]) if row]
    names = [row["name"] for row in rows if row["state"] != "RUNNING" or row["pid"] == dead.get(row["name"])]
    return names + [account["account"] for account in status["accounts"] if account["health"] is None]


def _tells(line: str) -> bool:
    return not line.endswith((": explained", "are as the exchange has them")) and "TRANSFER_IN" not in line


def show(result: dict[str, Any]) -> None:
    loads = ", ".join(f"{load:.1f}" for load in result["load"])
    print(f"{result['accounts']} accounts x 2 strategies, {result['minutes']:g} minutes, {result['fills']} fills")
    print(f"load at the start, before and after the check: {loads}")
    print(
        f"all running after {result['started_s']} s; killed {', '.join(result['killed'])}: back in {result['back_s']} s"
    )
    print(
        f"ledger check --exchange: {result['explained']} explained, {result['check_s']} s, exit {result['check_exit']}"
    )
    print(f"{result['resting']} orders rest on the exchange; doubled: {len(result['doubled'])}")
    for line in (*result["problems"], *result["doubled"]):
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
