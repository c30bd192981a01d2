"""The demo of a fleet below a directory: its commands, and what its hosts say."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, LiteralString
from unittest.mock import patch

from click.testing import CliRunner

from supervisor.cli.main import cli
from supervisor.control.control_client import ControlClient, ControlError
from supervisor.fleet.fleet_services import is_service
from tests import warm_python
from tests.examples import USUAL, examples
from tests.system.conftest import DEADLINE_S
from tests.warm_python import WarmProcess

IS_LONG = examples(USUAL) > USUAL
HOSTS = ("h1", "h2", "h3")
PLACE = "fleet-demo"
CAP = 30_000 if IS_LONG else 9_000
"""USDT that all accounts together may be worth."""


class Demo:
    """The demo below a directory; commands run there, as a user would type them."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root = root
        self.place = place
        self.dsn = ""
        self.forks: list[WarmProcess | subprocess.Popen[bytes]] = []

    def environment(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
        return {**own, "PYTHONPATH": str(self.root), "XDG_STATE_HOME": str(self.place / "state-home")}

    def begin(self, line: str) -> subprocess.Popen[str]:
        words = shlex.split(line.removeprefix("bin/gridbot-supervisor "))
        return subprocess.Popen(
            [sys.executable, "-m", "supervisor", *words],
            cwd=self.place,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def fork(self, line: str) -> WarmProcess | subprocess.Popen[bytes]:
        """The same from the warm Python; what it says is in the file `console`."""
        words = shlex.split(line.removeprefix("bin/gridbot-supervisor "))
        with (self.place / "console").open("ab") as out:
            command = [sys.executable, "-m", "supervisor", *words]
            forked = warm_python.popen(command, cwd=self.place, env=self.environment(), stdout=out, stderr=out)
        self.forks.append(forked)
        return forked

    def run(self, line: str, *codes: int) -> str:
        begun = self.begin(line)
        said, _ = begun.communicate(timeout=180)
        assert begun.returncode in (codes or (0,)), f"{line}: exit code {begun.returncode}\n{said}\n{self.logs()}"
        return said

    def ask(self, line: str, *codes: int) -> str:
        """The same in this process, which is quicker."""
        words = shlex.split(line.removeprefix("bin/gridbot-supervisor "))
        words = [word.replace("fleet-demo/", f"{self.place}/fleet-demo/") for word in words]
        with patch.dict(os.environ, self.environment(), clear=True):
            done = CliRunner().invoke(cli, words)
        assert done.exit_code in (codes or (0,)), f"{line}: {done.output}{done.exception!r}\n{self.logs()}"
        return done.stdout

    def status(self, host: str = "h1") -> dict[str, Any]:
        """What `status --json` shows, without a command for each look."""
        with ControlClient(self.place / PLACE / host, timeout=DEADLINE_S) as client:
            return dict(client.status())

    def answers(self, host: str) -> bool:
        """Whether that host is in the fleet."""
        with contextlib.suppress(ControlError):
            return bool(self.status(host))
        return False

    def fleet(self, host: str = "h1") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask(f"fleet status --json -c fleet-demo/{host}.yaml", 0, 6))
        return found

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Of the fleet's database."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def at(self) -> dict[str, str]:
        """By account the host that has its lease."""
        rows = self.rows("SELECT account, host FROM gridbot.lease WHERE state = 'held' AND until > clock_timestamp()")
        return {account: host for account, host in rows if not is_service(account)}

    def elsewhere(self, host: str) -> dict[str, str]:
        return {row["account"]: row["host"] for row in self.status(host)["elsewhere"]}

    def trades(self, host: str, accounts: set[str]) -> bool:
        rows = self.status(host)["accounts"]
        return {row["account"] for row in rows if row["health"] == "healthy"} == accounts

    def paused(self, host: str, account: str) -> bool:
        """Whether every strategy of an account is paused there, as it was from h1."""
        row = next((row for row in self.status(host)["accounts"] if row["account"] == account), None)
        states = [] if row is None else row["strategies"]
        return bool(states) and all(
            each["state"] == "paused" and "on h1: from afar" in each["reason"] for each in states
        )

    def caps(self, host: str) -> dict[str, dict[str, Any]]:
        """Each cap over all hosts, as that host shows it."""
        return {row["cap"]: row for row in self.status(host)["caps"]}

    def lent(self, host: str, accounts: int) -> dict[str, float]:
        """By host what it may use of the cap on notional, which is never more than the cap, as that host shows it."""
        row = self.caps(host).get("max_notional")
        if row is None or row["known"] != accounts or float(row["used"]) == 0:
            return {}
        lent = {name: float(amount) for name, amount in row["hosts"].items()}
        assert sum(lent.values()) <= CAP, row
        assert float(row["here"]["reserved"]) == lent.get(host, 0), row
        return lent

    def lends_to_all(self, host: str, accounts: int) -> bool:
        return set(self.lent(host, accounts)) == set(HOSTS)

    def holds(self, host: str, accounts: list[str]) -> bool:
        """Whether the fall of all equity holds these accounts, as that host has it."""
        return bool(self.caps(host)["max_drawdown"]["held"] == accounts)

    def held(self, host: str) -> set[str]:
        """The accounts there of which a cap lets nothing open."""
        rows = self.status(host)["accounts"]
        return {row["account"] for row in rows if {each["state"] for each in row["strategies"]} == {"reducing"}}

    def listens(self) -> list[str]:
        """The hosts whose process of Telegram runs, of those with a bot."""
        found = {host: self.status(host)["telegram"]["process"]["state"] for host in ("h1", "h2")}
        return [host for host, state in found.items() if state != "STOPPED"]

    def logs(self) -> str:
        files = sorted([*self.place.glob("console"), *self.place.glob("fleet-demo/h*/logs/supervisor.jsonl")])
        return "\n".join(f"{file}\n{file.read_text()[-3000:]}" for file in files)
