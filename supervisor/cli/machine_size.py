"""How large this machine is, or the container around us.

Nothing of ours is imported here: `sql` looks for the memory that a statement may take, and is to answer at once.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "this_machine"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes of memory and cores that there are, whoever uses them at the moment."""

    memory: int
    cores: float


def this_machine(groups: Path = Path("/sys/fs/cgroup")) -> Machine:
    """The machine, or less where a container, or who started us, allows less. `groups`: control groups of Linux."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        if (limit := _numbers(groups / file)) and limit[0] > 0:
            memory = min(memory, limit[0])
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _numbers(groups / "cpu.max") or [
        *_numbers(groups / "cpu/cpu.cfs_quota_us"),
        *_numbers(groups / "cpu/cpu.cfs_period_us"),
    ]
    if len(quota) == 2 and min(quota) > 0:
        cores = min(cores, quota[0] / quota[1])
    return Machine(memory, cores)


def _numbers(file: Path) -> list[int]:
    """What a file of a control group says; [] for "max", and where there is no such file."""
    with contextlib.suppress(OSError, ValueError):
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    return []
