"""The fleet of the kill matrix: real processes, faults put into them, and the exchange's own word by plain pybit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pybit.exceptions import FailedRequestError
from requests.exceptions import RequestException

from benchmarks.parts.fleet import Fleet, FleetError
from benchmarks.parts.own_supervisor import ROOT, Status, child_rows
from benchmarks.parts.plain_books import Books, PlainBooks

__all__ = ["Given", "MatrixFleet", "matrix_configuration", "until"]

FAULT_PROBE = Path(__file__).resolve().parent / "fault_probe"
BEAT_S = 4.0
"""Silence after which a child of this fleet is ended; its owner's configuration has 10 s."""


def matrix_configuration(accounts: Sequence[str], seed: int = 3) -> str:
    """Paper accounts with one strategy each, whose levels are near enough to fill all the time."""
    strategies = [
        {
            "strat_id": f"{account}-btc",
            "account": account,
            "symbol": "BTCUSDT",
            "grid_count": 12,
            "grid_step": 0.05,
            "amount": "x0.01",
            "caps": {"max_orders_per_minute": None},
        }
        for account in accounts
    ]
    return json.dumps(
        {
            "environment": "paper",
            "accounts": [{"name": account} for account in accounts],
            "strategies": strategies,
            "supervisor": {
                "heartbeat_timeout": BEAT_S,
                "stop_timeout": 8,
                "restart": {"backoff_initial": 0.2, "backoff_max": 1, "max_restarts": 100_000},
            },
            "paper": {
                "state_file": "paper.json",
                "limits": {"queries_per_second": 0, "ip_requests": 0, "ws_connections": 0},
                "market": {"seed": seed, "symbols": {"BTCUSDT": {"price": 60000}}},
            },
        }
    )


def until(condition: Callable[[], Any], what: str, within_s: float, every_s: float = 0.05) -> Any:
    """The first truthy answer. Raises FleetError after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(RequestException, FailedRequestError):  # an exchange that is not there, or just back
            if answer := condition():
                return answer
        if time.monotonic() > deadline:
            raise FleetError(f"waited {within_s:g} s in vain for {what}")
        time.sleep(every_s)


def _is_well(account: Status) -> bool:
    """Healthy, or held as an operator wanted it."""
    latched = any(row["state"] == "latched" for row in account["strategies"])
    return account["health"] == "healthy" or (account["health"] == "circuit_open" and latched)


class Given:
    """A command of `gridbot-supervisor` that runs, in a process of its own, as an operator gives it."""

    def __init__(self, fleet: MatrixFleet, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self.began_s = time.monotonic()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open until it has ended
        self._process = fleet.popen(
            [sys.executable, "-m", "supervisor", *words],
            cwd=fleet.data_dir.parent,
            env={**fleet.environment(), "GRIDBOT_CONFIG_PATH": str(fleet.config)},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )
        self.code: int | None = None
        self.said = ""

    def is_on_its_way(self) -> bool:
        """Whether it has a connection by now, or is over."""
        if self._process.poll() is not None:
            return True
        links = []
        with contextlib.suppress(OSError):
            for place in Path(f"/proc/{self._process.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    links.append(os.readlink(place))
        return any(link.startswith("socket:") for link in links)

    def result(self, within_s: float = 200.0) -> int:
        """Its exit code; `said` then has what it printed."""
        late = ""
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            late = f" (and did not end within {within_s:g} s)"
        if not self._said.closed:
            with self._said:
                self._said.seek(0)
                self.said = self._said.read().decode().strip() + late
        self.code = self._process.returncode
        return self.code

    def __str__(self) -> str:
        return f"`{' '.join(self.words)}` exit {self.code}: {self.said!r}"


class MatrixFleet(Fleet):
    """A fleet whose processes look into `faults` at the points of `fault_probe`."""

    def __init__(self, home: Path, config: str, root: Path = ROOT) -> None:
        super().__init__(home, config, root)
        self.faults = home / "faults"
        self.faults.mkdir()
        os.mkfifo(self.faults / "fifo")
        self._plain = PlainBooks(self.config, self.data_dir)
        self._url = ""

    def environment(self) -> dict[str, str]:
        env = super().environment()
        path = os.pathsep.join((str(FAULT_PROBE), env["PYTHONPATH"]))
        return {**env, "PYTHONPATH": path, "FAULT_PROBE": str(self.faults)}

    def status(self) -> Status | None:
        status = super().status()
        if status is not None and status["paper"]:
            self._url = status["paper"]["url"] or self._url
        return status

    # ------------------------------------------------------------------ processes

    def pid_of(self, name: str) -> int | None:
        """A living process by its name: of the supervisor, of the process that forks, or of a child in `status`."""
        if self.supervisor is None or self.supervisor.poll() is not None:
            return None
        own = self.supervisor.pid
        if name == "supervisor":
            return own
        return next((pid for pid, comm in self.children(own).items() if comm == f"gb:{name}"[:15]), None)

    @staticmethod
    def children(own: int) -> dict[int, str]:
        """The living children of a process: pid and name."""
        found = {}
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/{own}/task/{own}/children").read_text().split():
                with contextlib.suppress(OSError):
                    text = Path(f"/proc/{pid}/stat").read_text()
                    comm, state = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2]
                    if state != "Z":
                        found[int(pid)] = comm
        return found

    def everyone(self) -> set[int]:
        """The supervisor and its children, as they are now."""
        if self.supervisor is None or self.supervisor.poll() is not None:
            return set()
        return {self.supervisor.pid, *self.children(self.supervisor.pid)}

    def strike(self, name: str, fault: str) -> None:
        """The fault, now; what comes at a point of the program is armed and comes there."""
        if fault.startswith("SIG"):
            pid = until(lambda: self.pid_of(name), f"a process of {name}", 60, 0.005)
            os.kill(pid, signal.Signals[fault])
            return
        if fault == "start":
            (self.faults / f"broken-{name}-start").touch()
            pid = self.pid_of(name)
            if pid is not None and not name.startswith("rescue-"):
                os.kill(pid, signal.SIGKILL)
        else:
            (self.faults / f"{'raise' if fault == 'loop' else 'hang'}-{name}-loop").touch()

    def struck(self, name: str, fault: str) -> bool:
        """Whether what was armed has come."""
        word = {"loop": "raise", "hang": "hang"}.get(fault)
        return word is None or not (self.faults / f"{word}-{name}-loop").exists()

    def let_go(self) -> None:
        """End what is armed, broken or hung in the FIFO, and let a stopped supervisor go on."""
        for file in self.faults.iterdir():
            if file.name != "fifo":
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # nobody reads
            os.close(os.open(self.faults / "fifo", os.O_WRONLY | os.O_NONBLOCK))
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGCONT)

    def change_ladder(self, account: str) -> None:
        """Another number of levels for the strategy of an account, in the file."""
        document = json.loads(self.config.read_text(encoding="utf-8"))
        for strategy in document["strategies"]:
            if strategy["account"] == account:
                strategy["grid_count"] = 26 - strategy["grid_count"]
        self.config.write_text(json.dumps(document), encoding="utf-8")

    def give(self, *words: str) -> Given:
        return Given(self, words)

    def settled(self, within_s: float = 150.0) -> Status:
        """Wait until all runs and reports, no rescue is under way, and start what was given up; the status."""

        def check() -> Status | None:
            self.let_go()
            if self.supervisor is None or self.supervisor.poll() is not None:
                self.launch()
            status = self.status()
            if status is None:
                return None
            rows = child_rows(status)
            for name, row in rows.items():
                if row["state"] == "FATAL":
                    self.give("restart", name.removeprefix("worker-")).result()
            at_work = all(row["state"] == "RUNNING" for row in rows.values())
            alone = not any(
                comm.startswith("gb:rescue") for comm in self.children(status["supervisor"]["pid"]).values()
            )
            healthy = all(_is_well(account) for account in status["accounts"])
            return status if at_work and alone and healthy and status["supervisor"]["state"] == "running" else None

        try:
            found: Status = until(check, "everything to run again", within_s, 0.2)
        except FleetError as error:
            status = self.status()
            reasons = "no status" if status is None else "; ".join(status["reasons"][:10])[:600]
            raise FleetError(f"{error}: {reasons}") from None
        return found

    # ------------------------------------------------------------------ the exchange

    def books(self, account: str) -> Books:
        return self._plain.books(account, self._url)

    def newest_fill(self, account: str) -> str:
        return self._plain.newest_fill(account, self._url)
