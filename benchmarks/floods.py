"""What a stranger on this machine costs a running demo: memory, answers, and whether it trades on.

bin/bench floods                             each attack for twenty seconds
bin/bench floods --seconds 60 --attack "listening sockets"

Starts conf/demo.yaml with a data directory and a port of its own, lets it run for twenty seconds, then attacks it, one
attack after the other, each from another process. Of each: the resident memory of supervisor, paper exchange and the
larger worker before it, at most during it, and ten seconds after it; how long `status` took, in the middle and at
worst; the oldest price that a worker reported; how long it takes from the exchange writing a frame to its having the
order that the frame made a strategy place, in ms, in the middle and of the slowest tenth, without the wait that the
limit of ten orders a second costs; fills; how long it takes to restart a worker in the middle of it, until the whole
fleet is healthy; and what was said against anybody's health meanwhile. Exit code 1 when a process ended that should not
have, or the fleet did not become healthy again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.flood_attacks import ATTACKS
from benchmarks.parts.own_supervisor import OwnSupervisor, child_rows
from gridbot.store.reading import connect
from supervisor.control.control_client import ControlClient, ControlError

ROOT = Path(__file__).resolve().parents[1]
START_S = 60.0
WARM_S = 20.0
LOOK_S = 0.25
AFTER_S = 10.0
RESTART_S = 60.0
PATIENCE_S = 20.0
RESTARTED = "bob"


@dataclass
class Seen:
    """What was seen during one attack. Memory in MB by process, times in seconds."""

    attack: str
    before: dict[str, float]
    most: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    status_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    tick_age_s: float = 0.0
    to_request_ms: list[float] = field(default_factory=list)
    fills: int = 0
    back_s: float | None = None
    reasons: dict[str, None] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return not self.ended and self.back_s is not None


class Fleet:
    """A running demo, as its commands and the operating system show it."""

    def __init__(self, own: OwnSupervisor) -> None:
        self.own = own
        self.client = ControlClient(own.data_dir, timeout=PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """On a new connection each time, as the command does it. Raises ControlError."""
        with ControlClient(self.own.data_dir, timeout=PATIENCE_S) as client:
            return client.status()

    def until_healthy(self, within_s: float) -> dict[str, Any] | None:
        """The first status of which every process runs and every account is healthy; None when there is none."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            try:
                status = self.status()
                if status["accounts"] and status["health"] == "healthy":
                    return status
            except ControlError:
                pass
            time.sleep(LOOK_S)
        return None

    def memory(self, pids: dict[str, int]) -> dict[str, float]:
        """MB by supervisor, paper and worker (the larger of them)."""
        found: dict[str, float] = {}
        for name, pid in pids.items():
            try:
                mb = psutil.Process(pid).memory_info().rss / 1e6
            except psutil.Error:
                continue
            name = "worker" if name.startswith("worker") else name
            found[name] = round(max(mb, found.get(name, 0.0)), 1)
        return found


def pids_of(status: dict[str, Any]) -> dict[str, int]:
    rows = {name: int(row["pid"]) for name, row in child_rows(status).items() if row["pid"]}
    return {"supervisor": int(status["supervisor"]["pid"]), **rows}


def fills_of(status: dict[str, Any]) -> int:
    return sum(row.get("fills") or 0 for account in status["accounts"] for row in account["strategies"])


def attacked(fleet: Fleet, attack: str, seconds: float) -> Seen:
    """One attack, from before it to ten seconds after it. In its middle a worker is restarted."""
    status = fleet.until_healthy(START_S)
    if status is None:
        raise TimeoutError(f"expected a healthy fleet before {attack}; {fleet.own.console.read_text()[-2000:]}")
    pids, address = pids_of(status), urlsplit(status["paper"]["url"])
    seen = Seen(attack, fleet.memory(pids), fills=-fills_of(status))
    attacked_at = datetime.now(UTC)
    command = [sys.executable, "-m", "benchmarks.parts.flood_attacks", attack, str(address.hostname)]
    command += [str(address.port), str(fleet.own.data_dir), str(seconds)]
    attacker = subprocess.Popen(command, cwd=ROOT, env=fleet.own.environment(), stderr=subprocess.DEVNULL)
    try:
        until_s = time.monotonic() + seconds
        watch(fleet, seen, pids, seconds / 2)
        began_s = time.monotonic()
        answer = fleet.own.run("restart", RESTARTED, within_s=RESTART_S)
        if answer.returncode:
            seen.reasons[f"restart: {answer.stderr.strip()[-200:]}"] = None
        healthy = fleet.until_healthy(RESTART_S)
        seen.back_s = round(time.monotonic() - began_s, 1) if healthy else None
        pids = pids_of(healthy) if healthy else pids
        watch(fleet, seen, pids, until_s - time.monotonic())
    finally:
        attacker.kill()
        attacker.wait()
    ended_at = datetime.now(UTC)
    time.sleep(AFTER_S)
    seen.to_request_ms = to_request_ms(fleet.own.data_dir, attacked_at, ended_at)
    seen.after = fleet.memory(pids)
    last = fleet.until_healthy(START_S)
    if last is not None:
        seen.fills += fills_of(last)
        expected = {f"worker-{RESTARTED}"}
        now = child_rows(last)
        seen.ended += [name for name, row in child_rows(status).items()
                       if name not in expected and now[name]["pid"] != row["pid"]]  # fmt: skip
    else:
        seen.ended.append("not healthy again within a minute")
    return seen


def to_request_ms(data_dir: Path, begin: datetime, end: datetime) -> list[float]:
    """Of each order placed in this time: ms from its frame to the decision, and from its leaving to the exchange.

    Between the two it waits for the limit of orders a second. The exchange's times are whole ms; all clocks are one.
    """
    question = """
        SELECT epoch_us(i.local_ts) / 1e3 - epoch_ms(i.exchange_ts) + epoch_ms(there.exchange_ts)
            - epoch_us(sent.local_ts) / 1e3
        FROM intents AS i
        JOIN orders AS sent ON (sent.account, sent.order_link_id) = (i.account, i.order_link_id)
        JOIN orders AS there ON (there.account, there.order_link_id) = (i.account, i.order_link_id)
        WHERE i.action = 'place' AND i.verdict = 'sent' AND i.local_ts BETWEEN ? AND ?
            AND sent.state = 'pending' AND sent.attempt = 1 AND there.state = 'open' AND there.attempt = 1
    """
    with connect(data_dir, timeout_s=PATIENCE_S) as con:
        rows = con.execute(question, [begin.replace(tzinfo=None), end.replace(tzinfo=None)]).fetchall()
    return sorted(float(row[0]) for row in rows if row[0] is not None)


def watch(fleet: Fleet, seen: Seen, pids: dict[str, int], for_s: float) -> None:
    """Look four times a second; takes its time from the status, too."""
    until_s = time.monotonic() + for_s
    while time.monotonic() < until_s:
        for name, mb in fleet.memory(pids).items():
            seen.most[name] = max(mb, seen.most.get(name, 0.0))
        asked_s = time.monotonic()
        try:
            status = fleet.status()
        except ControlError as error:
            seen.unanswered += 1
            seen.reasons[str(error)[:200]] = None
        else:
            seen.status_s.append(time.monotonic() - asked_s)
            ages = [row.get("last_tick_age_s") or 0.0 for row in status["accounts"]]
            seen.tick_age_s = max(seen.tick_age_s, *ages)
            seen.reasons.update(dict.fromkeys(status["reasons"]))
        time.sleep(LOOK_S)


def main(given: Sequence[str] | None = None) -> int:
    """0 when every attack left every process alive, and a worker came back in the middle of it."""
    parser = argparse.ArgumentParser(
        prog="bin/bench floods", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack; default 20")
    parser.add_argument("--attack", choices=list(ATTACKS), action="append", help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(given)
    chosen, found = options.attack or list(ATTACKS), []
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "demo.yaml"
        demo = (ROOT / "conf" / "demo.yaml").read_text(encoding="utf-8")
        config.write_text(demo.replace("\npaper:\n", "\npaper:\n  port: 0\n"), encoding="utf-8")
        own = OwnSupervisor(Path(folder) / "data", config, Path(folder) / "console")
        process = own.launch()
        try:
            fleet = Fleet(own)
            if fleet.until_healthy(START_S) is None:
                raise TimeoutError(f"expected the demo to run; {own.console.read_text(encoding='utf-8')}")
            time.sleep(WARM_S)
            if not options.json:
                print(f"load {os.getloadavg()[0]:.1f}; MB before, most, after; status in ms: median, worst", flush=True)
                print(HEAD, flush=True)
            for attack in chosen:
                seen = attacked(fleet, attack, options.seconds)
                plain = vars(seen) | {"reasons": list(seen.reasons)}
                print(json.dumps(plain) if options.json else line(seen), flush=True)
                found.append(seen)
        finally:
            own.run("stop", within_s=RESTART_S)
            if process.poll() is None:
                process.kill()
            process.wait()
    return 0 if all(seen.is_fine for seen in found) else 1


HEAD = (
    f"{'attack':<20} {'supervisor':>15} {'paper':>15} {'worker':>15} {'status':>11} {'lost':>4} {'tick s':>6} "
    f"{'order ms':>11} {'fills':>5} {'back s':>6}"
)


def line(seen: Seen) -> str:
    """One row of the table, and what was said beneath it."""

    def memory(name: str) -> str:
        return "/".join(f"{part.get(name, 0):.0f}" for part in (seen.before, seen.most, seen.after))

    times = [1000 * each for each in seen.status_s] or [0.0]
    text = f"{seen.attack:<20} {memory('supervisor'):>15} {memory('paper'):>15} {memory('worker'):>15} "
    text += f"{statistics.median(times):>5.0f}/{max(times):<5.0f} {seen.unanswered:>4} {seen.tick_age_s:>6.1f} "
    ms = seen.to_request_ms or [0.0]
    text += f"{statistics.median(ms):>5.1f}/{ms[len(ms) * 9 // 10]:<5.1f} "
    text += f"{seen.fills:>5} {'never' if seen.back_s is None else f'{seen.back_s:.1f}':>6}"
    said = [f"    {reason}" for reason in seen.reasons] + [f"    ENDED: {name}" for name in seen.ended]
    return "\n".join([text, *said[:6]])


if __name__ == "__main__":
    sys.exit(main())
