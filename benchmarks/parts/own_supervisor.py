"""`gridbot-supervisor start` with a data directory and configuration of its own, and other commands on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["OwnSupervisor", "Status", "child_rows"]

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).resolve().parent / "fleet_probe"
Status = dict[str, Any]


class OwnSupervisor:
    """`supervisor` is its process, `console` the file that has what it prints. Nothing of the user's own is touched.

    `root` is the checkout whose code runs.
    """

    popen: Callable[..., Any] = subprocess.Popen
    """How a supervisor's process is made; tests have another way, which takes less time."""

    def __init__(self, data_dir: Path, config: Path, console: Path, root: Path = ROOT) -> None:
        self.root = root
        self.data_dir = data_dir
        self.config = config
        self.console = console
        self.probe: Path | None = None
        """Where its processes leave what `fleet_probe` counts; None: nothing is counted."""
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.until_s: float | None = None
        """Monotonic seconds: nothing is waited for after that, whatever else is said."""

    def within(self, seconds: float | None) -> float | None:
        """So long, but not beyond `until_s`."""
        if self.until_s is None:
            return seconds
        left_s = max(0.1, self.until_s - time.monotonic())
        return left_s if seconds is None else min(seconds, left_s)

    def launch(self) -> subprocess.Popen[bytes]:
        """`start` in the foreground, in a session of its own; returns at once."""
        with self.console.open("ab") as console:
            self.supervisor = self.popen(
                [*self._command("start"), "-c", str(self.config)],
                cwd=self.data_dir.parent,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        return self.supervisor

    def run(self, *arguments: str, within_s: float | None = None) -> subprocess.CompletedProcess[str]:
        """A command of `gridbot-supervisor`, as a user would give it. Raises TimeoutExpired."""
        return subprocess.run(
            self._command(*arguments),
            cwd=self.data_dir.parent,
            env={**self.environment(), "GRIDBOT_CONFIG_PATH": str(self.config)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=self.within(within_s),
        )

    def environment(self) -> dict[str, str]:
        """That of this process without its own settings of gridbot; the locks of API keys are beside the data.

        Compiled files are kept, as where it is installed: a start that compiles all sources takes 0.8 s of CPU more.
        """
        own = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        state_home = str(self.data_dir.parent / "state-home")
        path = [str(self.root)]
        if self.probe is not None:
            path.insert(0, str(PROBE))
            own["FLEET_PROBE"] = str(self.probe)
        places = {
            "PYTHONPATH": os.pathsep.join(path),
            "GRIDBOT_DATA_DIR": str(self.data_dir),
            "XDG_STATE_HOME": state_home,
        }
        return {**own, **places}

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "supervisor", *arguments]


def child_rows(status: Status) -> dict[str, Status]:
    """The process rows of a status by the children's names, such as worker-alice, writer or paper."""
    parts = (*status.get("accounts", ()), status.get("writer"), status.get("paper"))  # without any nothing runs
    rows = [row["process"] for row in parts if row]
    return {row["name"]: row for row in rows}
