"""An earlier version of this program, taken from the repository's history: it runs a fleet, and is killed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import signal
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.parts.fleet import Fleet, FleetError
from benchmarks.parts.own_supervisor import ROOT, Status, child_rows
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.loading import load_config
from gridbot.core.events import ExecutionEvent, OrderUpdateEvent
from gridbot.exchange.environment import Environment

__all__ = ["CONFIG", "PAUSED", "Left", "asked", "fills", "has_history", "leave_behind", "unpack"]

CONFIG = """\
environment: paper
accounts:
  - {name: alice, balance: 10000, api_key: paper-alice, api_secret: the-same-of-alice-in-every-version}
  - {name: bob, balance: 5000, api_key: paper-bob, api_secret: the-same-of-bob-in-every-version}
strategies:
  - {strat_id: alice-btc, account: alice, symbol: BTCUSDT, grid_count: 12, grid_step: 0.1, amount: x0.011}
  - {strat_id: alice-eth, account: alice, symbol: ETHUSDT, grid_count: 12, grid_step: 0.1, amount: "120"}
  - {strat_id: bob-sol, account: bob, symbol: SOLUSDT, grid_count: 12, grid_step: 0.15, amount: q0.5}
  - {strat_id: bob-xrp, account: bob, symbol: XRPUSDT, grid_count: 8, grid_step: 0.15, amount: "60"}
  - {strat_id: bob-ltc-shadow, account: bob, symbol: LTCUSDT, grid_count: 12, grid_step: 0.15, amount: x0.02,
     shadow_mode: true}
paper:
  state_file: paper.json
  market:
    source: synthetic
    scenario: lively
    seed: 20
    symbols:
      BTCUSDT: {price: 60000}
      ETHUSDT: {price: 2500}
      SOLUSDT: {price: 150}
      XRPUSDT: {price: 2}
      LTCUSDT: {price: 85}
"""
PAUSED = "bob-xrp"
"""The strategy that an operator has paused before the end."""
START_S = 180.0
END_S = 30.0
LOOK_BACK_MS = 3_600_000
SEGMENT = re.compile(r"^SEGMENT_BYTES\b.*$", re.MULTILINE)
SEGMENT_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Left:
    """What the exchange had a moment before the end, by account, and the fills that `status` showed, by strategy."""

    executions: dict[str, list[ExecutionEvent]]
    resting: dict[str, list[OrderUpdateEvent]]
    fills: dict[str, int]


def has_history(version: str) -> bool:
    """Whether the repository has this commit."""
    return _git("cat-file", "-e", f"{version}^{{commit}}").returncode == 0


def unpack(version: str, target: Path) -> None:
    """The tree of a commit, into a directory that is made.

    Its journals get short segments: what files and database have is then gone from them, as it is after days.
    """
    done = _git("archive", "--format=tar", version)
    if done.returncode:
        raise FleetError(f"git archive {version}: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
    for path in (target / "gridbot" / "records" / "journal.py", target / "gridbot" / "journal.py"):
        if path.exists():
            text, found = SEGMENT.subn(f"SEGMENT_BYTES = {SEGMENT_BYTES}", path.read_text(encoding="utf-8"))
            path.write_text(text, encoding="utf-8")
            if found == 1:
                return
    raise FleetError(f"the journal of {version} has no SEGMENT_BYTES to be made smaller")


def leave_behind(
    home: Path, root: Path, seconds: float, least_fills: int, *, kills: bool, until_s: float | None = None
) -> Left:
    """Run a fleet of the code at `root` in `home`, then end it with kill -9, or by this version's `stop`.

    Raises FleetError, at `until_s` (monotonic) at the latest, and TimeoutExpired.
    """
    fleet = Fleet(home, CONFIG, root)
    fleet.until_s = until_s
    fleet.launch()
    try:
        fleet.until(lambda status: bool(fills(status)) and status["health"] == "healthy", "a healthy fleet", START_S)
        began_s = time.monotonic()

        def enough(status: Status) -> bool:
            is_late, count = time.monotonic() - began_s >= seconds, sum(fills(status).values())
            return is_late and count >= least_fills and status["health"] == "healthy"

        fleet.until(lambda _: time.monotonic() - began_s >= seconds / 2, "half of the time", seconds + START_S)
        fleet.kill("worker-alice")  # its next life begins a segment of the journal, and the first one may go
        fleet.until(enough, f"{least_fills} fills", seconds + START_S)
        done = fleet.run("pause", "bob", "--strategy", PAUSED, within_s=60)
        if done.returncode:
            raise FleetError(f"pause: {done.stdout}{done.stderr}")
        time.sleep(2)
        status = fleet.until(lambda status: bool(status["paper"]["url"]), "the paper exchange's address", START_S)
        executions, resting = asked(fleet.config, status["paper"]["url"])
        if kills:
            _kill_all(fleet, status)
        else:
            _stop(fleet)
        return Left(executions, resting, fills(status))
    finally:
        fleet.stop()


def fills(status: Status) -> dict[str, int]:
    """Fills so far of each strategy that says how many."""
    rows = [row for account in status["accounts"] for row in account["strategies"]]
    return {row["strat_id"]: row["fills"] for row in rows if row.get("fills") is not None}


def asked(config: Path, url: str) -> tuple[dict[str, list[ExecutionEvent]], dict[str, list[OrderUpdateEvent]]]:
    """Executions and resting orders by account, as the exchange has them."""

    async def ask(account: str) -> tuple[list[ExecutionEvent], list[OrderUpdateEvent]]:
        found = load_config(config).account(account)
        keys = Credentials(found.api_key.get_secret_value(), found.api_secret.get_secret_value())
        rest = BybitRest(endpoints_for(Environment.PAPER, url), keys, pool_size=1)
        try:
            since_ms = time.time_ns() // 1_000_000 - LOOK_BACK_MS
            return list(await rest.executions(since_ms)), list(await rest.open_orders())
        finally:
            rest.close()

    names = [account.name for account in load_config(config).accounts]
    answers = {name: asyncio.run(ask(name)) for name in names}
    return {name: answer[0] for name, answer in answers.items()}, {name: each[1] for name, each in answers.items()}


def _stop(fleet: Fleet) -> None:
    """As somebody does who has the new code already, while the old supervisor still runs."""
    newer = Fleet(fleet.data_dir.parent, CONFIG)
    newer.until_s = fleet.until_s
    done = newer.run("stop", within_s=120)
    if done.returncode:
        raise FleetError(f"stop: {done.stdout}{done.stderr}")
    assert fleet.supervisor is not None
    fleet.supervisor.wait(END_S)


def _kill_all(fleet: Fleet, status: Status) -> None:
    """kill -9 of everything; a paper exchange without a journal writes its file at its own end, and is left to it."""
    has_journal = (fleet.data_dir / "paper.json.journal").is_dir()
    rows = child_rows(status)
    processes = {name: psutil.Process(int(row["pid"])) for name, row in rows.items() if row["pid"]}
    assert fleet.supervisor is not None
    fleet.supervisor.send_signal(signal.SIGKILL)
    for name, process in processes.items():
        if name != "paper" or has_journal:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    fleet.supervisor.wait()
    _, alive = psutil.wait_procs(list(processes.values()), timeout=END_S)
    if alive:
        raise FleetError(f"processes {[process.pid for process in alive]} did not end")


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", os.fspath(ROOT), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise FleetError(f"git is needed for the history: {error}") from error
