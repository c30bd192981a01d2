"""Data directories that earlier versions of this program left behind, opened by this one: is anything lost or doubled?

bin/bench upgrade                                     the last version before each change of what is stored
bin/bench upgrade --from a1c99c4 b46a442 --keep /tmp/up

What it does is told as it goes (stderr). Each version has `--within` minutes, whatever hangs: a busy machine makes it
find less, not run for ever; what it waited for in vain is then among what it found.

The code of each version is taken from the repository's history, so a checkout with its history is needed. It runs a
fleet of two paper accounts with five strategies in a lively market until orders rest and fills exist; then everything
gets kill -9 (or is stopped by this version's `stop`), and this version starts on the data directory. Exit code 1 when
something is lost, doubled, unexplained or does not start.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts import upgrade_checks as checks
from benchmarks.parts.earlier_version import CONFIG, PAUSED, Left, fills, has_history, leave_behind, unpack
from benchmarks.parts.fleet import Fleet, FleetError, running
from benchmarks.parts.own_supervisor import Status

VERSIONS = {
    "a1c99c4": "the first that landed",
    "380dabd": "before the paper exchange's journal (state version 2)",
    "a3f8720": "before pause, halt and latch outlived a process",
    "afc1a17": "before executions alone made our legs (schema 2, ledger 1)",
    "f0fa1c3": "before ids that say whose an order is, states in the journal, paper state 4",
    "3267dc4": "before link-id numbers in blocks of 10,000",
    "342f4ad": "before fees in other coins (schema 3)",
    "422ecd3": "before ledger 3",
    "abebba9": "before open orders in the checkpoint",
    "877d07a": "before paper state 5",
    "88c4b5d": "before paper state 6",
    "b46a442": "before one lock file for all",
}
START_S = 180.0
MORE_FILLS = 20
CHECKS = 5


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", nargs="+", dest="versions", metavar="COMMIT", default=list(VERSIONS))
    parser.add_argument("--seconds", type=float, default=60.0, help="that the earlier version trades (default 60)")
    parser.add_argument("--within", type=float, default=10.0, help="minutes for each version (default 10)")
    parser.add_argument("--end", choices=("kill", "stop"), default="kill", help="of the earlier version (default kill)")
    parser.add_argument("--keep", type=Path, help="an empty directory for all, which stays; else it is removed")
    parser.add_argument("--json", action="store_true", help="one JSON object for each version instead of lines")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    missing = [version for version in options.versions if not has_history(version)]
    if missing:
        print(
            f"expected a checkout with its history, got none that has {', '.join(missing)}: earlier versions are "
            "taken from it; use a full clone (git fetch --unshallow)",
            file=sys.stderr,
        )
        return 2
    is_good = True
    for number, version in enumerate(options.versions, 1):
        say = Progress(f"{version} ({number} of {len(options.versions)})")
        with tempfile.TemporaryDirectory() as folder:
            home: Path = (options.keep or Path(folder)) / version
            home.mkdir(parents=True)
            result = tried(version, home, options.seconds, 60 * options.within, say, kills=options.end == "kill")
        say("done")
        is_good = is_good and not result["findings"]
        print(json.dumps(result) if options.json else text_of(result), flush=True)
    return 0 if is_good else 1


class Progress:
    """Says on stderr what is being done, and since when."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began_s = time.monotonic()

    def __call__(self, step: str) -> None:
        print(f"{self._what} {time.monotonic() - self._began_s:4.0f} s: {step}", file=sys.stderr, flush=True)


def tried(
    version: str, home: Path, seconds: float, within_s: float, say: Callable[[str], object], *, kills: bool
) -> dict[str, Any]:
    """One version: what was left, what became of it, and the findings. Takes `within_s` s, and those of a stop."""
    result: dict[str, Any] = {"version": version, "what": VERSIONS.get(version, ""), "findings": []}
    until_s = time.monotonic() + within_s
    try:
        say("the earlier version trades")
        unpack(version, home / "code")
        left = leave_behind(home, home / "code", seconds, least_fills=20, kills=kills, until_s=until_s)
        shutil.copytree(home / "data", home / "before", ignore=shutil.ignore_patterns("*.sock"))
        result |= {
            "executions": sum(map(len, left.executions.values())),
            "resting": sum(map(len, left.resting.values())),
        }
        say("this version starts on what it left")
        with running(home, CONFIG, until_s=until_s) as fleet:
            result |= opened(fleet, left, home / "before", say)
        say("what the records have")
        result["findings"] += recorded(fleet, left, home / "before")
        result["orders"] = checks.became_of_orders(left, fleet.data_dir)
        result["alerts"] = checks.new_alerts(home / "before", fleet.data_dir)
    except (FleetError, subprocess.TimeoutExpired, psutil.Error) as error:
        result["findings"].append(str(error))
    return result


def opened(fleet: Fleet, left: Left, before: Path, say: Callable[[str], object]) -> dict[str, Any]:
    """This version at work on the directory."""
    began_s = time.monotonic()
    status = fleet.until(lambda status: bool(fills(status)) and _trades(status), "all accounts healthy", START_S)
    started_s = round(time.monotonic() - began_s, 1)
    url = status["paper"]["url"]
    findings = checks.holds_lost(before, status) + checks.levels_doubled(fleet, url)
    shown = fills(status)
    findings += [
        f"{name}: {shown.get(name)} fills, {had} before" for name, had in left.fills.items() if shown.get(name, 0) < had
    ]
    total = sum(shown.values())
    say(f"it trades after {started_s} s; new fills are waited for")
    fleet.until(lambda status: sum(fills(status).values()) >= total + MORE_FILLS, "new fills", START_S)
    fleet.run("resume", "bob", "--strategy", PAUSED, within_s=60)
    say("records, exchange and ledger are compared")
    findings += checks.exchange_lost(left, fleet, url) + checks.levels_doubled(fleet, url)
    repaired, unexplained = _explained_or_repaired(fleet)
    filled = [sum(left.fills.values()), total]
    return {"started_s": started_s, "fills": filled, "repaired": repaired, "findings": findings + unexplained}


def recorded(fleet: Fleet, left: Left, before: Path) -> list[str]:
    """What the records lack, when it has stopped."""
    findings = checks.records_lost(left, fleet.data_dir) + checks.rows_lost(before, fleet.data_dir)
    then, now = checks.grid_versions(before), checks.grid_versions(fleet.data_dir)
    findings += [f"{name} began anew: {now.get(name)} changes" for name in then if now.get(name, 0) < then[name]]
    return findings + _explained(fleet)


def text_of(result: dict[str, Any]) -> str:
    lines = [f"{result['version']}  {result['what']}"]
    if "orders" in result:
        became = ", ".join(f"{count} {what}" for what, count in result["orders"].items())
        lines += [
            f"  {result['executions']} executions and {result['resting']} resting orders; started in "
            f"{result['started_s']} s, fills {result['fills'][0]} then {result['fills'][1]}",
            f"  orders without an end in the earlier version's records, ended by --repair: {result['repaired']}",
            f"  the orders: {became}",
            *(f"  told: {line}" for line in result["alerts"]),
        ]
    return "\n".join([*lines, *(f"  FOUND {line}" for line in result["findings"]), ""])


def _trades(status: Status) -> bool:
    return status["health"] == "healthy" and all(account["health"] == "healthy" for account in status["accounts"])


def _explained_or_repaired(fleet: Fleet) -> tuple[int, list[str]]:
    """Orders that `--repair` had to end, and what is unexplained after that.

    An earlier version may have forgotten an order that its records hold for open. When no journal has that record any
    more, only a comparison of the database with the exchange can tell.
    """
    found = _explained(fleet, "--exchange")
    different = [line for line in found if "DIFFERENT" in line]
    if not different or not all(line.strip().startswith("DIFFERENT open_orders: ") for line in different):
        return 0, found
    fleet.run("ledger", "check", "--exchange", "--repair", within_s=300)
    return len(different), _explained(fleet, "--exchange")


def _explained(fleet: Fleet, *options: str) -> list[str]:
    """What `ledger check` finds, asked again, because what happens this moment may stand in one of the two only."""
    for _ in range(CHECKS):
        done = fleet.run("ledger", "check", *options, within_s=300)
        if done.returncode == 0 and done.stdout.count(": explained") == 2:
            return []
    return [f"ledger check {' '.join(options)}: exit {done.returncode}", *(done.stdout + done.stderr).splitlines()]


if __name__ == "__main__":
    sys.exit(main())
