"""What a fleet on one machine stands on, for `fleet demo`: a PostgreSQL, a paper exchange, and the files of its hosts.

Everything is below one directory. What was started is in `processes.json` there, so that another command can end it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from gridbot.private_files import make_directory, open_private
from supervisor.fleet.embedded_server import EmbeddedServer, programs, start
from supervisor.polling import wait_until

__all__ = ["ACCOUNTS", "DemoGround", "DemoTrouble"]

HISTORY: Final = "history"
FLEET: Final = "demo"
ACCOUNTS: Final = ("ann", "ben", "cleo", "dan", "eve", "finn")
SYMBOLS: Final = (("BTCUSDT", "q0.001"), ("ETHUSDT", "q0.05"))
ANSWERS_S: Final = 60.0
ENDS_S: Final = 20.0


class DemoTrouble(Exception):
    """The ground could not be laid; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class DemoGround:
    """One demo below `place`, with so many hosts, and these accounts for them. `document`: what they share, where it is
    not the demo's own; `settings`: further lines of the configuration of a PostgreSQL of its own."""

    place: Path
    hosts: int = 3
    accounts: Sequence[str] = ACCOUNTS
    document: Mapping[str, Any] | None = None
    settings: Sequence[str] = ()
    dsn: str = ""
    """Of a database that is there already; empty: a PostgreSQL of its own."""
    begin: Callable[..., Any] = subprocess.Popen
    """Starts a process of ours, as `subprocess.Popen` does."""

    @property
    def names(self) -> list[str]:
        """Of its hosts."""
        return [f"h{number}" for number in range(1, self.hosts + 1)]

    def file(self, host: str) -> Path:
        """The host's own configuration."""
        return self.place / f"{host}.yaml"

    @property
    def shared(self) -> Path:
        """What all hosts share, to be pushed."""
        return self.place / "shared.yaml"

    def lay(self, environ: Mapping[str, str]) -> None:
        """Start PostgreSQL and the paper exchange, and write the files. `environ` is for programs of ours.

        Raises DemoTrouble, ServerNotStarted, OSError.
        """
        if self._known():
            raise DemoTrouble(f"expected no demo in {self.place}, got one that was not ended; end it with --stop first")
        if self.place.exists() and any(self.place.iterdir()):
            gone = f"`rm -r {shlex.quote(str(self.place))}` removes what an earlier demo left"
            raise DemoTrouble(
                f"expected an empty directory, got {self.place} with files; {gone}, --data-dir names another"
            )
        if not self.dsn:
            programs()  # before anything is written
        make_directory(self.place / HISTORY)
        server = None if self.dsn else self._start_postgres()
        with open_private(self.place / "dsn", "w") as file:
            file.write((self.dsn if server is None else server.dsn()) + "\n")
        port = _free_port()
        self._write(port)
        own = {} if server is None else {"postgres": server.pid}
        self._note({**own, "paper": self._start_paper(port, environ)})

    def _start_postgres(self) -> EmbeddedServer:
        home = _home_of_postgres(self.place)
        _save(self.place / "postgres.json", {"directory": str(home)})
        server = start(home, settings=self.settings)
        self._note({"postgres": server.pid})
        return server

    def _write(self, port: int) -> None:
        shared = dict(self.document or _shared(self.accounts))
        _save_yaml(self.shared, shared)
        paper = {**shared, "storage": {"data_dir": str(self.place / "paper")}, "web": {"enabled": False}}
        _save_yaml(self.place / "paper.yaml", paper)
        for number, host in enumerate(self.names, start=1):
            fleet: dict[str, Any] = {
                "name": FLEET,
                "host": host,
                "dsn_file": str(self.place / "dsn"),
                "capacity": len(shared["accounts"]),
                "paper_url": f"http://127.0.0.1:{port}",
                "paper_seed_file": str(self.place / "paper" / "paper.seed"),
            }
            if sys.platform == "linux":  # where each address of 127.0.0.0/8 is this machine
                fleet["address"] = f"127.0.0.{10 + number}"
            fleet["history"] = str(self.place / HISTORY)
            web = {"port": 0, "allow_commands": True} if number == 1 else {"enabled": False}  # one is enough to look at
            own = {"fleet": fleet, "storage": {"data_dir": str(self.place / host)}, "web": web}
            _save_yaml(self.file(host), own)

    def _start_paper(self, port: int, environ: Mapping[str, str]) -> int:
        log = self.place / "paper.log"
        file = str(self.place / "paper.yaml")
        command = [sys.executable, "-m", "supervisor", "paper", "-c", file, "--port", str(port)]
        with open_private(log, "ab") as out:
            process = self.begin(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environ
            )
        if not wait_until(
            lambda: process.poll() is not None or _answers(port), timeout_s=ANSWERS_S, every_s=0.05
        ) or not _answers(port):
            raise DemoTrouble(f"the paper exchange did not start; {log} says why")
        return int(process.pid)

    def end(self) -> list[str]:
        """End the paper exchange and PostgreSQL; what was ended."""
        known, ended = self._known(), list[str]()
        if (pid := known.get("paper")) and _is_ours(pid, str(self.place)):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                process.terminate()
                with contextlib.suppress(psutil.TimeoutExpired):
                    process.wait(ENDS_S)
                ended.append("the paper exchange")
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found = json.loads((self.place / "postgres.json").read_text())
            server = EmbeddedServer.attach(Path(found["directory"]))
            if server.pid is not None:
                server.stop()
                ended.append("PostgreSQL")
            if self.place not in server.directory.parents:  # nobody would find it there, once `place` is removed
                shutil.rmtree(server.directory, ignore_errors=True)
        (self.place / "processes.json").unlink(missing_ok=True)
        return ended

    def _known(self) -> dict[str, int]:
        try:
            found = json.loads((self.place / "processes.json").read_text())
        except (OSError, ValueError):
            return {}
        return {str(name): int(pid) for name, pid in found.items() if isinstance(pid, int)}

    def _note(self, processes: dict[str, int | None]) -> None:
        _save(self.place / "processes.json", processes)


def _home_of_postgres(place: Path) -> Path:
    """Below `place`; elsewhere where it runs as another user, since root must not run it, who may not pass through."""
    if os.geteuid() != 0:
        return place / "postgres"
    return Path(tempfile.mkdtemp(prefix="gridbot-demo-postgres-"))


def _shared(names: Sequence[str]) -> dict[str, Any]:
    return {
        "environment": "paper",
        "defaults": {"strategies": {"grid_count": 12, "grid_step": 0.15}},
        "accounts": [
            {
                "name": name,
                "strategies": {symbol[:3].lower(): {"symbol": symbol, "amount": amount} for symbol, amount in SYMBOLS},
            }
            for name in names
        ],
    }


def _save(path: Path, document: dict[str, Any]) -> None:
    with open_private(path, "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")


def _save_yaml(path: Path, document: dict[str, Any]) -> None:
    """As people write it: these files are there to be read and changed."""
    with open_private(path, "w") as file:
        yaml.safe_dump(document, file, sort_keys=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v5/market/time", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _is_ours(pid: int, place: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return any(place in word for word in psutil.Process(pid).cmdline())
    return False
