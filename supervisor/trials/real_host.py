"""A host of a fleet as real processes: started, killed, frozen and asked, with a proxy before database and exchange."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import psutil
import yaml

from gridbot.private_files import open_private
from supervisor.control.control_client import ControlClient, ControlError
from supervisor.polling import wait_until
from supervisor.trials.tcp_proxy import TcpProxy

__all__ = ["Begin", "RealHost", "Started"]

ENDS_S: Final = 60.0
ASK_S: Final = 30.0


class Started(Protocol):
    """A process, as `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...


Begin = Callable[..., Started]
"""Starts a process, as `subprocess.Popen` does."""


class RealHost:
    """One supervisor with all its processes. `file` is its configuration, `data_dir` what it keeps."""

    def __init__(
        self,
        name: str,
        file: Path,
        data_dir: Path,
        database: TcpProxy,
        exchange: TcpProxy,
        environ: Mapping[str, str],
        begin: Begin,
    ) -> None:
        self.name, self.file, self.data_dir = name, file, data_dir
        self.database, self.exchange = database, exchange
        self.environ = dict(environ)
        self._begin = begin
        self._supervisor: Started | None = None
        self._frozen: list[psutil.Process] = []

    @property
    def runs(self) -> bool:
        """Whether its supervisor is there."""
        return self._supervisor is not None and self._supervisor.poll() is None

    @property
    def pid(self) -> int:
        """Of its supervisor, which has been started."""
        assert self._supervisor is not None, "a host that was started"
        return self._supervisor.pid

    def start(self, *words: str) -> None:
        """Begin it, with further words of its command line; nothing is waited for."""
        assert not self.runs, f"{self.name} runs"
        with open_private(self.file.parent / f"{self.name}.console", "ab") as out:
            self._supervisor = self._begin(
                [sys.executable, "-m", "supervisor", "start", "-c", str(self.file), *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=self.environ,
            )

    def kill(self) -> None:
        """kill -9 of all that it is, at one time."""
        self._signal(self._stopped(), signal.SIGKILL)
        self._frozen = []
        if self._supervisor is not None:
            self._supervisor.wait(ENDS_S)

    def freeze(self, *, children: bool = True) -> None:
        """SIGSTOP of all that it is, or of its supervisor alone."""
        if children:
            self._frozen = self._stopped()
        else:
            self._frozen = [psutil.Process(self.pid)]
            self._signal(self._frozen, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(self._frozen, signal.SIGCONT)
        self._frozen = []

    def another(self, name: str) -> RealHost:
        """One more host by the same file, but for its data directory: it has the same name in the fleet."""
        document = yaml.safe_load(self.file.read_text())
        document["storage"]["data_dir"] = str(self.data_dir.parent / name)
        file = self.file.with_name(f"{name}.yaml")
        with open_private(file, "w") as out:
            yaml.safe_dump(document, out)
        return RealHost(
            *(name, file, self.data_dir.parent / name, self.database, self.exchange, self.environ, self._begin)
        )

    def copied(self) -> Callable[[], None]:
        """A copy of its data directory as it is now; what puts it back, once it has ended."""
        copy = self.data_dir.with_name(f"{self.data_dir.name}.copy")
        subprocess.run(["cp", "-a", self.data_dir, copy], check=True)

        def put_back() -> None:
            shutil.rmtree(self.data_dir)
            copy.rename(self.data_dir)

        return put_back

    def stop(self) -> int:
        """End it in order; its exit code."""
        assert self._supervisor is not None, "a host that was started"
        if self.runs:
            self._supervisor.terminate()
        return int(self._supervisor.wait(ENDS_S))

    def waits_for_its_end(self) -> int | None:
        """The exit code of a supervisor that ends by itself, None when it does not."""
        assert self._supervisor is not None, "a host that was started"
        wait_until(lambda: not self.runs, timeout_s=ENDS_S, every_s=0.1)
        return self._supervisor.poll()

    def _stopped(self) -> list[psutil.Process]:
        """All its processes, none of which can make another one any more."""
        if not self.runs:
            return []
        top, found = psutil.Process(self.pid), dict[int, psutil.Process]()
        while new := [each for each in (top, *top.children(recursive=True)) if each.pid not in found]:
            self._signal(new, signal.SIGSTOP)
            found.update({each.pid: each for each in new})
        return list(found.values())

    @staticmethod
    def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(process.pid, number)

    # ------------------------------------------------------------------ asked

    def status(self) -> dict[str, Any] | None:
        """Its status model; None while nobody answers."""
        with contextlib.suppress(ControlError), ControlClient(self.data_dir, timeout=ASK_S) as client:
            return client.status()
        return None

    def trades(self) -> set[str]:
        """The accounts that are healthy here."""
        rows = (self.status() or {}).get("accounts", ())
        return {str(row["account"]) for row in rows if row["health"] == "healthy"}

    def command(self, account: str, name: str, args: Mapping[str, Any] | None = None, takes_s: float = 0.0) -> str:
        """Give a command for an account, wherever it is; the answer, or why there is none."""
        try:
            with ControlClient(self.data_dir, timeout=ASK_S, who="the trial") as client:
                return str(client.worker(account, name, dict(args or {}), takes_s=takes_s)["result"])
        except ControlError as error:
            return f"refused: {error}"
