"""A real fleet on the paper exchange, in a directory of its own: started, looked at, killed, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from benchmarks.parts.own_supervisor import ROOT, OwnSupervisor, Status, child_rows
from supervisor.control.control_client import ControlClient, ControlError

__all__ = ["Fleet", "FleetError", "account_names", "configuration", "running"]

POLL_S = 0.5
LIVELY_ORDERS = 3_000
"""What a strategy may place in a minute. The default of 600 is for real markets: waves that come and go all the time
have some place more, and what is measured is no cap."""
SYMBOLS = {"BTCUSDT": 60000, "ETHUSDT": 2500, "SOLUSDT": 150, "LTCUSDT": 85}


class FleetError(Exception):
    """The fleet did not do what it should; the text has the end of its console."""


def account_names(accounts: int) -> list[str]:
    return [f"a{number:02d}" for number in range(accounts)]


def configuration(
    accounts: int, scenario: str, *, limited: bool = False, rate: float = 10.0, strategies: int = 2
) -> str:
    """`accounts` paper accounts with so many strategies each (at most four), on a synthetic market.

    `scenario` is its behaviour (docs/paper.md).

    All workers share one address: `limited` says whether the exchange counts its requests and bans it for ten minutes.
    `rate` is how often a second each symbol has a ticker, at most.
    """
    names = account_names(accounts)
    order = tuple(SYMBOLS)
    rows = [
        {
            "strat_id": f"{name}-{symbol[:3].lower()}",
            "account": name,
            "symbol": symbol,
            "grid_count": 12,
            "grid_step": 0.1,
            "amount": "x0.011",
            "caps": {"max_orders_per_minute": LIVELY_ORDERS},
        }
        for number, name in enumerate(names)
        for symbol in (order[(number % 2 * 2 + each) % len(order)] for each in range(strategies))
    ]
    document = {
        "environment": "paper",
        "accounts": [{"name": name, "balance": 10000} for name in names],
        "strategies": rows,
        "storage": {"health_interval": 1},
        "paper": {
            "state_file": "paper.json",
            "limits": {"ws_connections": 0, **({} if limited else {"ip_requests": 0})},
            "ticker_interval_ms": 1000 / rate,
            "market": {
                "source": "synthetic",
                "scenario": scenario,
                "seed": 20,
                "symbols": {symbol: {"price": price} for symbol, price in SYMBOLS.items()},
            },
        },
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()  # JSON is YAML


class Fleet(OwnSupervisor):
    """One supervisor and its children, of the code at `root`. Times are seconds."""

    def __init__(self, home: Path, config: str, root: Path = ROOT) -> None:
        super().__init__(home / "data", home / "fleet.yaml", home / "console", root)
        self.config.write_text(config, encoding="utf-8")

    def status(self) -> Status | None:
        """The status model, None when nobody answers."""
        with contextlib.suppress(ControlError), ControlClient(self.data_dir, timeout=60.0) as client:
            return client.status()
        return None

    def until(self, condition: Callable[[Status], bool], what: str, within_s: float) -> Status:
        """The first status that fulfils the condition. Raises FleetError after `within_s`."""
        within_s = self.within(within_s) or within_s
        deadline = time.monotonic() + within_s
        status: Status | None = None
        while time.monotonic() < deadline:
            if self.supervisor is None or self.supervisor.poll() is not None:
                raise FleetError(f"the supervisor ended while waiting for {what}\n{self.tail()}")
            status = self.status()
            if status is not None and condition(status):
                return status
            time.sleep(POLL_S)
        reasons = "no status" if status is None else "; ".join(status["reasons"][:20])
        raise FleetError(f"waited {within_s:g} s in vain for {what}: {reasons}\n{self.tail()}")

    def kill(self, *names: str) -> dict[str, tuple[int, float]]:
        """kill -9 of children by the names that `status` shows, one right after the other: of each its pid, and when it
        was killed (seconds since 1970)."""
        status = self.status()
        if status is None:
            raise FleetError(f"no status to find {', '.join(names)} in\n{self.tail()}")
        rows, killed = child_rows(status), {}
        for name in names:
            pid = int(rows[name]["pid"])
            killed[name] = (pid, time.time())
            os.kill(pid, signal.SIGKILL)
        return killed

    def stop(self) -> None:
        """In order, else by force."""
        if self.supervisor is None:
            return
        if self.supervisor.poll() is None:
            self.supervisor.terminate()
            try:
                self.supervisor.wait(120)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()
        self.supervisor = None

    def tail(self, lines: int = 30) -> str:
        """The end of the console."""
        kept = self.console.read_text(errors="replace").splitlines()[-lines:] if self.console.exists() else []
        return "\n".join(kept)


@contextlib.contextmanager
def running(
    home: Path, config: str, root: Path = ROOT, probe: Path | None = None, until_s: float | None = None
) -> Iterator[Fleet]:
    """A fleet of the code at `root` that is stopped at the end, whatever happened. `probe`: see `fleet_probe`.

    Nothing is waited for after `until_s` (monotonic).
    """
    fleet = Fleet(home, config, root)
    fleet.probe, fleet.until_s = probe, until_s
    fleet.launch()
    try:
        yield fleet
    finally:
        fleet.stop()
