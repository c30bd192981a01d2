"""What `doctor` looks at on this machine: disk, memory, cores, open files."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from gridbot.doctor.doctor_facts import MachineFacts
from gridbot.state.data_formats import newer_data
from supervisor.cli.machine_checks import nearest, not_writable
from supervisor.cli.machine_size import this_machine

__all__ = ["machine_facts"]

WRITTEN: Final = bytes(4096)
WRITES: Final = 5


def machine_facts(data_dir: Path, *, is_running: bool) -> MachineFacts:
    """Reads, and writes five times 4 kB into a file without a name."""
    import psutil

    machine = this_machine()
    problem = not_writable(data_dir) or ""
    home = nearest(data_dir)
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MachineFacts(
        memory=machine.memory,
        memory_free=min(psutil.virtual_memory().available, machine.memory),
        cores=machine.cores,
        disk_free=shutil.disk_usage(home).free,
        safe_write_ms=None if problem else _safe_write_ms(home),
        files=None if soft == resource.RLIM_INFINITY else soft,
        is_running=is_running,
        disk_problem=problem,
        newer_data=newer_data(data_dir) or "",
    )


def _safe_write_ms(home: Path) -> float | None:
    """The median of a few small writes with fsync; None where the disk takes none."""
    took = []
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=home) as file:
        for _ in range(WRITES):
            began_s = time.monotonic()
            file.write(WRITTEN)
            file.flush()
            os.fsync(file.fileno())
            took.append((time.monotonic() - began_s) * 1000)
    return sorted(took)[len(took) // 2] if took else None
