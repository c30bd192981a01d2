"""Trouble for three real hosts of a fleet, one kind after the other, and what the exchange says of it afterwards.

    python -m supervisor.trials.fleet_faults [--only NAME] [--times N] [--list]

Real supervisors, workers and writers, a real PostgreSQL, the paper exchange, and a proxy before each of a host's two
ways out. After each kind everything runs again, every account trades, and `fleet_witness` compares: no two epochs
overlap at the exchange, no order is doubled, the fleet's records have every execution once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from supervisor.fleet.embedded_server import ServerNotStarted, programs
from supervisor.trials import database_faults, host_faults, joined_faults, order_faults
from supervisor.trials.fault_case import CASES, Case
from supervisor.trials.real_fleet import Broken, RealFleet

__all__ = ["ROOMS", "begun", "run_case"]

ROOMS: Final = (host_faults, database_faults, order_faults, joined_faults)
"""Where the cases are; importing them fills `CASES`."""
MOST_LINES: Final = 5
UNGUARDED: Final = 3.0
"""An account may be without a holder for so many times what a takeover takes: on a machine that has too much to do."""


def run_case(case: Case, fleet: RealFleet) -> list[str]:
    """Do it to a fleet that is whole, and have it whole again; what does not hold."""
    try:
        case.run(fleet)
        fleet.whole()
        unguarded = [] if case.nobody_can else fleet.witness.unguarded(UNGUARDED * fleet.takeover_s)
        return unguarded + fleet.witness.findings(by_the_database=not case.sets_clocks)
    except Broken as broken:
        return [str(broken)]


def main(words: Sequence[str] | None = None) -> int:
    """Run cases; 1 when something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="a case, more than once for more of them")
    parser.add_argument("--times", type=int, default=1, help="how often each (default 1)")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    parser.add_argument("--keep", action="store_true", help="leave logs and data where something did not hold")
    asked = parser.parse_args(words)
    if asked.list:
        for case in CASES.values():
            _say(f"{case.name:24} {case.what}")
        return 0
    if unknown := sorted(set(asked.only or ()) - CASES.keys()):
        parser.error(f"expected names of cases, got {', '.join(unknown)}; --list shows them")
    try:
        programs()
    except ServerNotStarted as error:
        parser.error(str(error))
    broken = 0
    for name in asked.only or CASES:
        broken += _case(CASES[name], asked.times, keep=asked.keep)
    _say(f"{broken} of {len(asked.only or CASES)} kinds with findings")
    return 1 if broken else 0


def _case(case: Case, times: int, *, keep: bool) -> bool:
    """One fleet for all the times of a case."""
    if why := case.needs():
        _say(f"{case.name}: left out: {why}")
        return False
    place = Path(tempfile.mkdtemp(prefix="gridbot-trial-"))
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
    environ["XDG_STATE_HOME"] = str(place / "state-home")
    of_hosts = case.environment(place)
    found: list[str] = []
    took: list[float] = []
    try:
        with RealFleet(place / "fleet", environ, cancels=case.cancels, own=case.own, of_hosts=of_hosts) as fleet:
            begun(fleet)
            for _ in range(times):
                found += run_case(case, fleet)
                took += fleet.measured
                fleet.measured.clear()
                if found:
                    break
            orders = sum(len(fleet.witness.orders(account)) for account in fleet.accounts)
            gap_s = fleet.witness.longest_gap_s()
            changes = sum(1 for grant in fleet.witness.grants() if grant.epoch > 1)
    finally:
        if not (found and keep):
            with contextlib.suppress(OSError):
                shutil.rmtree(place)
    _say(
        f"{case.name}: {'ok' if not found else 'FOUND'}; {orders} orders, {changes} changes of holder,"
        f" {gap_s:.1f} s without one at worst{_figures(took)}"
    )
    for line in found[:MOST_LINES]:
        _say(f"    {line}")
    if found and keep:
        _say(f"    all of it is in {place}")
    return bool(found)


def begun(fleet: RealFleet) -> None:
    """Start its hosts; each has an account that trades."""
    for host in fleet.hosts.values():
        host.start()
    fleet.whole()
    fleet.spread()
    fleet.whole()


def _figures(took: Sequence[float]) -> str:
    if not took:
        return ""
    load = os.getloadavg()[0]
    return (
        f"; {len(took)} without trading: median {statistics.median(took):.1f} s, worst {max(took):.1f} s"
        f" (load {load:.0f})"
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        raise SystemExit(main(sys.argv[1:]))
