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
from gridbot.exchange.environment import Environment

__all__ = ["Machine", "fleet_cautions", "this_machine"]

WORKER_MB: Final = 30
OTHERS_MB: Final = 200
WORKER_CORE: Final = 0.03
"""Of a core, for an account that fills five orders a second; a tenth of that when nothing moves."""
OTHERS_CORE: Final = 0.1
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
WINDOW_S: Final = 5
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes of memory and cores that there are, whoever uses them at the moment."""

    memory: int
    cores: float


def fleet_cautions(config: GridbotConfig, machine: Machine) -> Iterator[str]:
    """A sentence each for memory, CPU and address, when the fleet will want more than they can well give. Pure."""
    count = len(config.accounts)
    who = f"{count} account{'s' if count != 1 else ''} want{'s' if count == 1 else ''}"
    remedy = "take a larger machine, or divide the accounts among several"
    memory = (OTHERS_MB + WORKER_MB * count) * MB
    if memory > SHARE * machine.memory:
        yield (
            f"memory: {who} about {memory / 1e9:.1f} GB ({WORKER_MB} MB each and {OTHERS_MB} MB for the rest), and "
            f"there are {machine.memory / 1e9:.1f} GB here; {remedy}"
        )
    cores = OTHERS_CORE + WORKER_CORE * count
    if cores > SHARE * machine.cores:
        yield (
            f"CPU: {who} about {cores:.1f} cores when each fills five orders a second, and there are "
            f"{machine.cores:g} here; {remedy}"
        )
    yield from _address_cautions(config)


def _address_cautions(config: GridbotConfig) -> Iterator[str]:
    """Of each exchange, whose limits count all accounts of an address together."""
    paper, supervisor = config.paper.limits, config.supervisor
    limited = {True: (paper.ws_connections, paper.ip_requests), False: (ALL_LINES, supervisor.requests_per_5s)}
    for on_paper, (lines, requests) in limited.items():
        count = sum((account.environment is Environment.PAPER) is on_paper for account in config.accounts)
        if not lines or count * LINES_OF_START <= ALL_LINES:
            continue
        share, wanted = supervisor.share_of(requests), START_REQUESTS * count
        start_s = WINDOW_S * wanted / share if share else 0
        start = f", and with {START_REQUESTS} requests each their start takes {start_s:.0f} s" if share else ""
        yield (
            f"address: {count} accounts open {LINES_OF_START} WebSockets each when they start, "
            f"{count * LINES_OF_START} together, and {ALL_LINES} in five minutes are what one address can well open: "
            f"enough for {ALL_LINES // LINES_OF_START} accounts{start}; divide the accounts among several addresses"
        )


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
