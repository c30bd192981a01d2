"""What a fleet will want of memory, CPU and its address, beside what this machine, or the container around us, has.

The figures are those of paper fleets with 0.1 % grids in a lively market (`bin/bench fleet`), rounded up. Memory that
several processes share is divided among them: after minutes a worker has 26 MB at twenty accounts, and writer, paper
exchange, supervisor and fork server 162 MB together. A worker takes 0.3 to 1 % of a core when nothing fills, and 4 to
5 ms for each fill. What an address may do is the exchange's word (`docs/bybit.md` 1.5).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.budget.line_starts import ALL_LINES, LINES_OF_START
from gridbot.config.models import GridbotConfig
from gridbot.doctor.doctor_facts import MachineFacts, Needs
from gridbot.doctor.findings import Verdict
from gridbot.doctor.machine_findings import LITTLE_DISK, address_uses, machine_findings, request_finding

__all__ = ["NEEDS", "Machine", "fleet_cautions", "this_machine"]

WORKER_MB: Final = 30
OTHERS_MB: Final = 200
WORKER_CORE: Final = 0.03
"""Of a core, for an account that fills five orders a second; a tenth of that when nothing moves."""
OTHERS_CORE: Final = 0.1
WARM_CORE: Final = 0.17
"""What `keep_warm` takes while no price comes: a third of a millisecond in each two (docs/performance.md 2)."""
SHARE: Final = 0.8
"""Of the machine; the rest is for the system, for starts, and for whoever looks at the records."""
START_REQUESTS: Final = 9
"""HTTP requests of one account's start (docs/performance.md)."""
SHARED_REQUESTS: Final = 3
SYMBOL_REQUESTS: Final = 2
"""What the first account of an exchange reads for all others, and again for each symbol."""
FILES_EACH: Final = 10
FILES_OTHERS: Final = 60
"""Open files of the process that has most of them: the paper exchange has 7 an account, the supervisor 4 and 20."""
NEEDS: Final = Needs(
    worker_mb=WORKER_MB,
    others_mb=OTHERS_MB,
    worker_core=WORKER_CORE,
    others_core=OTHERS_CORE,
    warm_core=WARM_CORE,
    files_each=FILES_EACH,
    files_others=FILES_OTHERS,
    start_requests=START_REQUESTS,
    start_requests_shared=SHARED_REQUESTS,
    start_requests_symbol=SYMBOL_REQUESTS,
    lines=ALL_LINES,
    lines_each=LINES_OF_START,
    share=SHARE,
)


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes of memory and cores that there are, whoever uses them at the moment."""

    memory: int
    cores: float


def fleet_cautions(config: GridbotConfig, machine: Machine) -> Iterator[str]:
    """A sentence each for memory, CPU and address, when the fleet will want more than they can well give. Pure."""
    facts = MachineFacts(
        memory=machine.memory,
        memory_free=machine.memory,
        cores=machine.cores,
        disk_free=LITTLE_DISK,
        safe_write_ms=None,
        files=None,
        is_running=True,  # what is free now is no matter of the file
    )
    found = machine_findings(facts, NEEDS, config.accounts, str(config.storage.data_dir))
    found += [request_finding(use, NEEDS) for use in address_uses(config)]
    for finding in found:
        if finding.verdict is not Verdict.OK:
            yield f"{finding.check}: {finding.text}"


def this_machine(groups: Path = Path("/sys/fs/cgroup")) -> Machine:
    """The machine, or less where a container, or who started us, allows less. `groups`: control groups of Linux."""
    import psutil

    memory = psutil.virtual_memory().total
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
