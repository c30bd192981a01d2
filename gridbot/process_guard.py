"""Ends a process whose parent has died.

A worker without its supervisor has two seconds to stop in order; then it must be gone, because the next supervisor
starts another worker for the same account. The parts that run an event loop notice the end of their pipe and stop by
themselves. What is here works also when that loop is stuck:

    ask_to_stop_with_parent   the kernel sends SIGTERM when the parent dies (Linux only)
    exit_with_parent          a thread ends the process a moment after its parent, whatever the rest does
    exit_within               a thread ends the process after some seconds, whatever the rest does

Imported first in every child process, so it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import wait

__all__ = ["ORPHAN_GRACE_S", "ask_to_stop_with_parent", "exit_with_parent", "exit_within"]

ORPHAN_GRACE_S = 1.5
"""Seconds that a process has to stop in order after its parent died."""

_POLL_S = 0.25
_PR_SET_PDEATHSIG = 1

_watched: set[int] = set()


def ask_to_stop_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies. Does nothing where the kernel cannot.

    Call it first thing in the child, and `exit_with_parent` next: that one notices a parent that was faster. The
    signal comes when the *thread* that made this process ends.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def exit_with_parent(parent_pid: int, *, exit_code: int) -> None:
    """End this process `ORPHAN_GRACE_S` after the death of its parent; at once if that is not the parent any more.

    A second call for the same parent changes nothing.
    """
    if os.getppid() != parent_pid:
        os._exit(exit_code)
    if parent_pid not in _watched:
        _watched.add(parent_pid)
        watch = threading.Thread(target=_outlive, args=(parent_pid, exit_code), name="parent-watch", daemon=True)
        watch.start()


def exit_within(seconds: float, *, exit_code: int) -> None:
    """End this process after `seconds` if it still lives: threads that hang in a dead socket must not keep it."""
    threading.Thread(target=_leave, args=(seconds, exit_code), name="leave", daemon=True).start()


def _outlive(parent_pid: int, exit_code: int) -> None:
    parent = multiprocessing.parent_process()
    while os.getppid() == parent_pid:
        if parent is None or parent.pid != parent_pid:
            time.sleep(_POLL_S)
        elif wait([parent.sentinel], _POLL_S):
            break
    _leave(ORPHAN_GRACE_S, exit_code)


def _leave(seconds: float, exit_code: int) -> None:
    time.sleep(seconds)
    os._exit(exit_code)
