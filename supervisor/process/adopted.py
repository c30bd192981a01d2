"""Reaps processes that are nobody's: as the first process of a container we adopt what loses its parent.

Whoever is pid 1, such as `docker run gridbot bin/gridbot-supervisor start`, becomes the parent of each process whose
own parent has ended. A dead process that its parent does not ask about stays in the table of processes for ever, and
that table has an end. Our own children are left alone: their exit codes are for `supervisor.children`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Container

__all__ = ["end_at_sigterm", "reap_adopted"]


def reap_adopted(own: Container[int]) -> list[int]:
    """Reap every dead child whose pid is not in `own`; their pids.

    Those behind a dead one of our own have to wait until its owner has reaped that, within milliseconds.
    """
    reaped: list[int] = []
    with contextlib.suppress(ChildProcessError):  # there is no child at all
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid in own:
                break
            os.waitpid(found.si_pid, os.WNOHANG)
            reaped.append(found.si_pid)
    return reaped


def end_at_sigterm(exit_code: int) -> None:
    """Have SIGTERM end this process also while it is pid 1 and has no handler yet: the kernel would ignore it."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(exit_code))
