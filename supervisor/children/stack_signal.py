"""SIGUSR1 asks a process where it is: it writes the stacks of its threads to the crash log, and goes on.

It does so between two steps of Python, when no stack is half made. `faulthandler.register` would not wait for that:
once in some 1,700 times it met such a stack, and the process died. Whoever hangs within a library answers when that
returns; SIGABRT has it told at once, and ends the process.

SIGUSR2 is ignored: nothing of ours ends by a signal that another program means by something else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Iterator
from typing import Final

from supervisor.utc_time import utc_now

__all__ = ["FULL_BYTES", "ignore_no_ends", "stacks_told"]

NO_ENDS = (signal.SIGUSR1, signal.SIGUSR2)
"""What a process ignores while it has no crash log."""
FULL_BYTES: Final = 10_000_000
"""A crash log that is larger takes no stacks that are asked for, until the next start of a process sets it aside."""


def ignore_no_ends() -> None:
    """In the main thread."""
    for number in NO_ENDS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stacks_told(name: str, crash_log: int) -> Iterator[None]:
    """Within this, in the main thread. `name` is what the process is called there, `crash_log` an open descriptor."""
    is_telling = False

    def tell(number: int, frame: object) -> None:
        nonlocal is_telling
        if is_telling:
            return
        is_telling = True
        try:
            if os.fstat(crash_log).st_size < FULL_BYTES:
                head = f"\n--- {utc_now()} {name} (pid {os.getpid()}) is here, as SIGUSR1 asks\n"
                os.write(crash_log, head.encode())
                faulthandler.dump_traceback(file=crash_log, all_threads=True)
        except OSError:
            pass  # the disk takes nothing: whoever asked sees nothing, and the process goes on
        finally:
            is_telling = False

    ignore_no_ends()
    signal.signal(signal.SIGUSR1, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
