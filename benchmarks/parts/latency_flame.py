"""Where the rest of the time goes: a flame picture by py-spy where that is there, else cProfile's table as text."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["Flame"]

RATE = 500


class Flame:
    """Watches one process into a file."""

    def __init__(self, file: Path) -> None:
        self.file = file.resolve()
        beside = Path(sys.executable).with_name("py-spy")
        self._py_spy = str(beside) if beside.exists() else shutil.which("py-spy")

    @property
    def profile(self) -> Path | None:
        """Where the process itself is to leave a profile; None when py-spy watches it from outside."""
        return None if self._py_spy else self.file

    def watch(self, pid: int) -> subprocess.Popen[bytes] | None:
        if self._py_spy is None:
            return None
        return subprocess.Popen(
            [self._py_spy, "record", "--pid", str(pid), "--rate", str(RATE), "--output", str(self.file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def end(self, watching: subprocess.Popen[bytes] | None) -> None:
        """py-spy writes its picture when it is interrupted."""
        if watching is not None:
            watching.send_signal(signal.SIGINT)
            try:
                watching.wait(30)
            except subprocess.TimeoutExpired:
                watching.kill()
                watching.wait()

    def words(self) -> str:
        """What became of it."""
        if self.file.exists():
            return f"{'flame picture by py-spy' if self._py_spy else 'profile by cProfile'}: {self.file}"
        return "py-spy left no picture; may it look at other processes here?"
