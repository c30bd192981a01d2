"""Three supervisors on this machine with the accounts of one fleet: what a host costs, and what a dead one costs.

Each host has its data directory and its address (127.0.0.11 and on), so that the paper exchange's limit for an address
counts for each. Questions go through the program's own commands, as an operator gives them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
from psycopg.rows import dict_row

from benchmarks.parts.fleet_database import Sample, load_between, sample
from benchmarks.parts.fleet_figures import pss_mb, spread
from benchmarks.parts.own_supervisor import ROOT, child_rows
from supervisor.fleet.demo_ground import DemoGround
from supervisor.fleet.embedded_server import EmbeddedServer

__all__ = ["three_hosts"]

Json = dict[str, Any]
FAILED_AFTER_S: Final = 600.0
POLL_S: Final = 0.5
SETTLE_S: Final = 15.0
FIRST_ORDER_S: Final = 60.0
"""So long after a takeover an account's first order is waited for: some have nothing to do."""


class _Fleet:
    """A demo with commands."""

    def __init__(self, ground: DemoGround) -> None:
        self.ground = ground
        own = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
        self.environ = {**own, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(ground.place.parent / "state-home")}

    def give(self, *words: str, host: str = "", may_fail: bool = False) -> str:
        """What a command prints. Raises RuntimeError when it failed."""
        where = ("-c", str(self.ground.file(host))) if host else ()
        done = subprocess.run(
            [sys.executable, "-m", "supervisor", *words, *where],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and not may_fail:
            raise RuntimeError(f"`{' '.join(words)}` ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def begin(self) -> None:
        """All hosts, side by side."""
        first, *_ = self.ground.names
        self.give("fleet", "init", host=first)
        self.give("fleet", "config", "push", str(self.ground.shared), host=first)
        begun = [
            subprocess.Popen(
                [sys.executable, "-m", "supervisor", "start", "--detach", "-c", str(self.ground.file(host))],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for host in self.ground.names
        ]
        for each in begun:
            each.wait()

    def accounts(self, host: str) -> list[Json]:
        """Each account with the host that has it, as that host sees the fleet."""
        said = self.give("fleet", "status", "--json", host=host, may_fail=True)
        return list(json.loads(said)["accounts"]) if said.startswith("{") else []

    def status(self, host: str) -> Json:
        return dict(json.loads(self.give("status", "--json", host=host, may_fail=True)))

    def ask(self, host: str, question: str) -> list[Json]:
        """SQL over the records of all hosts."""
        return list(json.loads(self.give("sql", "--fleet", "--format", "json", question, host=host)))

    def homes(self, host: str) -> dict[str, str]:
        return {row["account"]: row["host"] for row in self.accounts(host) if row["state"] == "held"}

    def pids(self, host: str) -> dict[str, int]:
        """The supervisor and its children, by name."""
        status = self.status(host)
        children = {name: row["pid"] for name, row in child_rows(status).items() if row.get("pid")}
        return {"supervisor": int(status["supervisor"]["pid"]), **children}

    def kill(self, host: str) -> float:
        """kill -9 of the supervisor and all below it, as when the machine dies; the time (s since 1970)."""
        top = psutil.Process(self.pids(host)["supervisor"])
        for each in (*top.children(recursive=True), top):
            with contextlib.suppress(psutil.Error):
                each.send_signal(signal.SIGKILL)
        return time.time()


def three_hosts(place: Path, accounts: int, seconds: float) -> Json:
    """Start, trade, kill one host. Raises RuntimeError, TimeoutError; DemoTrouble, ServerNotStarted from the ground."""
    names = [f"a{number:02d}" for number in range(accounts)]
    with _running(DemoGround(place / "fleet", accounts=names)) as fleet:
        first, victim, _ = hosts = fleet.ground.names
        result: Json = {"accounts": accounts, "hosts": len(hosts), "seconds": seconds}
        began = time.time()
        fleet.begin()
        _until(lambda: len(fleet.homes(first)) == accounts, "every account to have a host")
        result["all_held_s"] = round(time.time() - began, 1)
        fleet.give("fleet", "spread", host=first)
        share = -(-accounts // len(hosts))
        moving = time.time()
        _until(lambda: _most(fleet.homes(first), hosts, accounts) <= share, "even hosts")
        result["spread_s"] = round(time.time() - moving, 1)
        _until(lambda: all(_healthy(fleet.status(host)) for host in hosts), "every account to trade")
        time.sleep(SETTLE_S)
        result |= _trading(fleet, hosts, seconds)
        result["takeover"] = _takeover(fleet, first, victim)
    return result


def _trading(fleet: _Fleet, hosts: Sequence[str], seconds: float) -> Json:
    server = _server(fleet)
    pids = {host: fleet.pids(host) for host in hosts}
    used = {host: _cpu(pids[host]) for host in hosts}
    counted, before = _records(fleet, hosts[0]), sample(server)
    lags: list[float] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lags += [row["lag_s"] for row in _lags(server) if row["lag_s"] is not None]
        time.sleep(1.0)
    after, told = sample(server), _records(fleet, hosts[0])
    took = after.at_s - before.at_s
    return {
        "records_per_s": round((told - counted) / took, 1),
        "lag_s": spread(lags),
        "database": _database(before, after),
        "hosts_percent": {host: _percent(used[host], _cpu(pids[host]), took) for host in hosts},
        "pss_mb": {host: pss_mb(pids[host]) for host in hosts},
    }


def _takeover(fleet: _Fleet, asked: str, victim: str) -> Json:
    """From kill -9 of a host: until its accounts have another, have compared with the exchange, have sent an order."""
    rows = [row for row in fleet.accounts(asked) if row["host"] == victim]
    killed = fleet.kill(victim)
    epochs = {row["account"]: row["epoch"] for row in rows}
    compared: dict[str, float] = {}
    wanted = " OR ".join(f"(account = '{name}' AND epoch > {epoch})" for name, epoch in sorted(epochs.items()))

    def first(kind: str, condition: str) -> dict[str, float]:
        question = (
            f"SELECT account, min(epoch(r.local_ts)) AS at FROM {kind} r JOIN (SELECT run_id, max(epoch) AS epoch"
            f" FROM run_events GROUP BY run_id) USING (run_id) WHERE ({wanted}) AND {condition} GROUP BY account"
        )
        return {row["account"]: float(row["at"]) - killed for row in fleet.ask(asked, question)}

    def all_compared() -> bool:
        compared.update(first("reconciles", "ok"))
        return compared.keys() == epochs.keys()

    _until(all_compared, "the dead host's accounts to be compared with the exchange")
    time.sleep(max(0.0, killed + FIRST_ORDER_S - time.time()))
    orders = first("orders", "NOT shadow")
    return {
        "accounts": len(epochs),
        "compared_s": spread(list(compared.values())),
        "first_order_s": {**spread(list(orders.values())), "accounts": len(orders)},
    }


@contextlib.contextmanager
def _running(ground: DemoGround) -> Iterator[_Fleet]:
    fleet = _Fleet(ground)
    try:
        ground.lay(fleet.environ)
        yield fleet
    finally:
        fleet.give("fleet", "demo", "--stop", "--data-dir", str(ground.place), may_fail=True)


def _server(fleet: _Fleet) -> EmbeddedServer:
    found = json.loads((fleet.ground.place / "postgres.json").read_text(encoding="utf-8"))
    return EmbeddedServer.attach(Path(found["directory"]))


def _lags(server: EmbeddedServer) -> list[Json]:
    with psycopg.connect(server.dsn(), row_factory=dict_row) as connection:
        return connection.execute(
            "SELECT extract(epoch FROM clock_timestamp() - complete_to)::float8 AS lag_s FROM gridbot.shipping"
        ).fetchall()


def _records(fleet: _Fleet, host: str) -> int:
    """How many rows of all kinds that are shipped there are."""
    kinds = ("executions", "orders", "intents", "position_events", "wallets")
    sums = " + ".join(f"(SELECT count(*) FROM {kind})" for kind in kinds)
    return int(fleet.ask(host, f"SELECT {sums} AS n")[0]["n"])


def _database(before: Sample, after: Sample) -> Json:
    load = load_between(before, after)
    return {
        "transactions_per_s": round(load.transactions, 1),
        "cpu_percent": round(load.cpu * 100, 1),
        "log_kb_per_s": round(load.log_bytes / 1000, 1),
    }


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    used = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            used[name] = times.user + times.system
    return used


def _percent(before: dict[str, float], after: dict[str, float], seconds: float) -> Json:
    """Of one core: the mean of the workers, and each other process."""
    used = {name: (after[name] - before[name]) / seconds * 100 for name in before.keys() & after.keys()}
    workers = [each for name, each in used.items() if name.startswith("worker-")]
    others = {name: round(each, 2) for name, each in sorted(used.items()) if not name.startswith("worker-")}
    return {"worker": round(sum(workers) / len(workers), 2) if workers else None, **others}


def _healthy(status: Json) -> bool:
    return bool(status.get("accounts")) and all(row["health"] == "healthy" for row in status["accounts"])


def _most(homes: dict[str, str], hosts: Sequence[str], accounts: int) -> int:
    """The accounts of the fullest host; all, while one is on its way."""
    return max(list(homes.values()).count(host) for host in hosts) if len(homes) == accounts else accounts


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + FAILED_AFTER_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {FAILED_AFTER_S:g} s in vain for {what}")
        time.sleep(POLL_S)
