"""What the kernel says of a process that does not report: whether it works, or waits for what the machine has not.

From `/proc/PID`: the time its threads have run and have waited for a core (`task/*/schedstat`), and whether one of them
waits for the disk now (state D). A process that is stopped (SIGSTOP) or waits for something that never comes has none
of the three, however busy the machine is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from supervisor.children.policy_types import Seen

__all__ = ["vital_signs"]

_PROCESSES: Final = Path("/proc")
_SECONDS: Final = 1e-9
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


def vital_signs(pid: int) -> Seen | None:
    """None when it is gone, or the system does not tell."""
    place = _PROCESSES / str(pid)
    try:
        ran_s = sum(map(int, _fields(place / "stat")[11:13])) * _TICK
        waited_s, on_disk = 0.0, False
        for task in (place / "task").iterdir():
            state, waited = _of_thread(task)
            waited_s += waited
            on_disk |= state == "D"
    except (OSError, ValueError, IndexError):
        return None
    return Seen(ran_s, waited_s, on_disk=on_disk)


def _of_thread(task: Path) -> tuple[str, float]:
    """State, and seconds of waiting for a core; nothing of one that has just ended."""
    try:
        return _fields(task / "stat")[0], int((task / "schedstat").read_text().split()[1]) * _SECONDS
    except (FileNotFoundError, ProcessLookupError):
        return "", 0.0


def _fields(stat: Path) -> list[str]:
    """From the third, the state, on: the second, a name in parentheses, may hold anything."""
    return stat.read_text(errors="replace").rpartition(")")[2].split()
