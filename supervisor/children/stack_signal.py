"""SIGUSR1 asks a process where it is: it writes the stacks of its threads to the crash log, and goes on.

The system writes them, so it works in a process that hangs, too. SIGUSR2 is ignored: nothing of ours ends by a signal
that another program means by something else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Iterator

from supervisor.utc_time import utc_now

__all__ = ["NO_ENDS", "stacks_told"]

NO_ENDS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a process ignores while it has no crash log."""


@contextlib.contextmanager
def stacks_told(name: str, crash_log: int) -> Iterator[None]:
    """Within this, in the main thread. `name` is what the process is called there, `crash_log` an open descriptor."""

    def note(number: int, frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(crash_log, f"--- {utc_now()} {name} (pid {os.getpid()}) was here, as SIGUSR1 asked\n\n".encode())

    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, note)
    faulthandler.register(signal.SIGUSR1, file=crash_log, all_threads=True, chain=True)
    try:
        yield
    finally:
        faulthandler.unregister(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
