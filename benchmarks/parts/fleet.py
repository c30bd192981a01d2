"""A real fleet on the paper exchange, in a directory of its own: started, looked at, killed, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from supervisor.control.control_client import ControlClient, ControlError

__all__ = ["Fleet", "FleetError", "configuration", "running"]

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.5
SYMBOLS = {"BTCUSDT": 60000, "ETHUSDT": 2500, "SOLUSDT": 150, "LTCUSDT": 85}
Status = dict[str, Any]


class FleetError(Exception):
    """The fleet did not do what it should; the text has the end of its console."""


def configuration(accounts: int, scenario: str) -> str:
    """`accounts` paper accounts with two strategies each, on a synthetic market of this scenario (docs/paper.md).

    All workers share one address, which the exchange would ban for ten minutes: its limit is off.
    """
    names = [f"a{number:02d}" for number in range(accounts)]
    pairs = (("BTCUSDT", "ETHUSDT"), ("SOLUSDT", "LTCUSDT"))
    strategies = [
        {
            "strat_id": f"{name}-{symbol[:3].lower()}",
            "account": name,
            "symbol": symbol,
            "grid_count": 12,
            "grid_step": 0.1,
            "amount": "x0.011",
        }
        for number, name in enumerate(names)
        for symbol in pairs[number % 2]
    ]
    document = {
        "environment": "paper",
        "accounts": [{"name": name, "balance": 10000} for name in names],
        "strategies": strategies,
        "paper": {
            "state_file": "paper.json",
            "limits": {"ip_requests": 0, "ws_connections": 0},
            "market": {
                "source": "synthetic",
                "scenario": scenario,
                "seed": 20,
                "symbols": {symbol: {"price": price} for symbol, price in SYMBOLS.items()},
            },
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()  # JSON is YAML


class Fleet:
    """One supervisor and its children. Times are seconds."""

    def __init__(self, home: Path, config: str) -> None:
        self.data_dir = home / "data"
        self.config = home / "fleet.yaml"
        self.config.write_text(config, encoding="utf-8")
        self._console = home / "console"
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the supervisor; return at once."""
        with self._console.open("ab") as console:
            self._supervisor = subprocess.Popen(
                [*self._command("start"), "-c", str(self.config)],
                cwd=self.data_dir.parent,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def status(self) -> Status | None:
        """The status model, None when nobody answers."""
        with contextlib.suppress(ControlError), ControlClient(self.data_dir, timeout=60.0) as client:
            return client.status()
        return None

    def until(self, condition: Callable[[Status], bool], what: str, within_s: float) -> Status:
        """The first status that fulfils the condition. Raises FleetError after `within_s`."""
        deadline = time.monotonic() + within_s
        status: Status | None = None
        while time.monotonic() < deadline:
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise FleetError(f"the supervisor ended while waiting for {what}\n{self.tail()}")
            status = self.status()
            if status is not None and condition(status):
                return status
            time.sleep(POLL_S)
        reasons = "no status" if status is None else "; ".join(status["reasons"][:20])
        raise FleetError(f"waited {within_s:g} s in vain for {what}: {reasons}\n{self.tail()}")

    def kill(self, name: str) -> int:
        """kill -9 of a child by the name that `status` shows; its pid."""
        status = self.status()
        if status is None:
            raise FleetError(f"no status to find {name} in\n{self.tail()}")
        rows = [row["process"] for row in (*status["accounts"], status["writer"], status["paper"]) if row]
        pid = next(int(row["pid"]) for row in rows if row["name"] == name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of `gridbot-supervisor` on this fleet."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.data_dir.parent,
            env={**self._environment(), "GRIDBOT_CONFIG_PATH": str(self.config)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self) -> None:
        """In order, else by force."""
        if self._supervisor is None:
            return
        if self._supervisor.poll() is None:
            self._supervisor.terminate()
            try:
                self._supervisor.wait(120)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
        self._supervisor = None

    def tail(self, lines: int = 30) -> str:
        """The end of the console."""
        kept = self._console.read_text(errors="replace").splitlines()[-lines:] if self._console.exists() else []
        return "\n".join(kept)

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "supervisor", *arguments]

    def _environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
        state_home = str(self.data_dir.parent / "state-home")
        places = {"PYTHONPATH": str(ROOT), "GRIDBOT_DATA_DIR": str(self.data_dir), "XDG_STATE_HOME": state_home}
        return {**own, **places}


@contextlib.contextmanager
def running(home: Path, config: str) -> Iterator[Fleet]:
    """A fleet that is stopped at the end, whatever happened."""
    fleet = Fleet(home, config)
    fleet.start()
    try:
        yield fleet
    finally:
        fleet.stop()
