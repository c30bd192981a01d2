"""A directory for one run, in memory where the machine has such a place. It goes with the run.

A process that is killed leaves its directory behind; the next run removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MEMORY", "own_directory"]

MEMORY = Path("/dev/shm")
PREFIX = "gridbot-sim-"
PID_DIGITS = 10
"""Every name is as long as any other: it stands in the journal, whose size must not depend on the process."""


@contextlib.contextmanager
def own_directory() -> Iterator[Path]:
    """A new, empty directory, until the block ends."""
    home = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    _remove_left_overs(home)
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid():0{PID_DIGITS}}-", dir=home))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _remove_left_overs(home: Path) -> None:
    """Remove the directories of processes that are gone."""
    for directory in home.glob(f"{PREFIX}{'[0-9]' * PID_DIGITS}-*"):
        if not _runs(int(directory.name.removeprefix(PREFIX)[:PID_DIGITS])):
            shutil.rmtree(directory, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
