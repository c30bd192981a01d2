"""SIGUSR1 asks a process where it is: it writes the stacks of its threads to the crash log, and goes on.

The system writes them, so it works in a process that hangs, too. SIGUSR2 is ignored: nothing of ours ends by a signal
that another program means by something else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from pathlib import Path

from gridbot.private_files import make_directory, open_private
from supervisor.utc_time import utc_now

__all__ = ["IGNORED_EARLY", "tell_stacks"]

IGNORED_EARLY = (signal.SIGUSR1, signal.SIGUSR2)
"""What a process ignores until it knows its crash log."""


def tell_stacks(name: str, crash_log: Path) -> None:
    """From now on. Call it in the main thread. `name` is what the process is called in the file, beside its pid."""
    descriptor = 2  # without room for a file, standard error
    with contextlib.suppress(OSError):
        make_directory(crash_log.parent)
        with open_private(crash_log, "a", encoding="utf-8") as file:
            descriptor = os.dup(file.fileno())  # never closed: a signal may come until the process is gone

    def note(number: int, frame: object) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"--- {utc_now()} {name} (pid {os.getpid()}) was here, as SIGUSR1 asked\n\n".encode())

    signal.signal(signal.SIGUSR1, note)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1, file=descriptor, all_threads=True, chain=True)
