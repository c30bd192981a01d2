"""What a fleet will want of memory, CPU and its address, beside what this machine, or the container around us, has.

The figures are those of paper fleets with 0.1 % grids in a lively market (`bin/bench fleet`), rounded up. Memory that
several processes share is divided among them: after minutes a worker has 26 MB at twenty accounts, and writer, paper
exchange, supervisor and fork server 162 MB together. A worker takes 0.3 to 1 % of a core when nothing fills, and 4 to
5 ms for each fill. What an address may do is the exchange's word (`docs/bybit.md` 1.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gridbot.budget.line_starts import ALL_LINES, LINES_OF_START
from gridbot.config.models import GridbotConfig
from gridbot.doctor.doctor_facts import MachineFacts, Needs
from gridbot.doctor.findings import Verdict
from gridbot.doctor.machine_findings import LITTLE_DISK, address_uses, machine_findings, request_finding
from supervisor.cli.machine_size import Machine

__all__ = ["NEEDS", "fleet_cautions"]

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
NEEDS: Final = Needs(
    worker_mb=WORKER_MB,
    others_mb=OTHERS_MB,
    worker_core=WORKER_CORE,
    others_core=OTHERS_CORE,
    files_each=FILES_EACH,
    files_others=FILES_OTHERS,
    start_requests=START_REQUESTS,
    start_requests_shared=SHARED_REQUESTS,
    start_requests_symbol=SYMBOL_REQUESTS,
    lines=ALL_LINES,
    lines_each=LINES_OF_START,
    share=SHARE,
)


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
    found = machine_findings(facts, NEEDS, len(config.accounts), str(config.storage.data_dir))
    found += [request_finding(use, NEEDS) for use in address_uses(config)]
    for finding in found:
        if finding.verdict is not Verdict.OK:
            yield f"{finding.check}: {finding.text}"
