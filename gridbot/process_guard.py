"""Ends a process whose parent has died, and keeps what a process knows inside it.

A worker without its supervisor has two seconds to stop in an orderly way; then it must be gone, because the next
supervisor starts another worker for the same account. Processes with an event loop notice the end of their pipe and
stop by themselves. The functions here work even when that loop is stuck:

    ask_to_stop_with_parent   the kernel sends SIGTERM when the parent dies (Linux only)
    exit_with_parent          a thread ends the process shortly after its parent, whatever else is running
    exit_within               a thread ends the process after some seconds, whatever else is running

What is in the memory of a process must not reach a disk or another process:

    leave_no_core             a crash writes no core file
    close_memory              nobody but root can read the memory of this process (Linux only)

Imported first in every child process, so it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import resource
import signal
import threading
import time
from multiprocessing.connection import wait

__all__ = [
    "ORPHAN_GRACE_S",
    "ask_to_stop_with_parent",
    "close_memory",
    "exit_with_parent",
    "exit_within",
    "leave_no_core",
]

ORPHAN_GRACE_S = 1.5
"""Seconds that a process has for an orderly stop after its parent died."""

_POLL_S = 0.25
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4

_watched: set[int] = set()


def ask_to_stop_with_parent() -> None:
    """Have the kernel send SIGTERM to this process when its parent dies. Does nothing where the kernel cannot.

    Call it first in the child, then `exit_with_parent`, which notices a parent that died before this call. The signal
    is sent when the *thread* that started this process ends.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def leave_no_core() -> None:
    """Have a crash write no core file, of this process and of what it starts."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def close_memory() -> None:
    """Keep other processes of this user from reading this one's memory and environment, or attaching to it.

    Its command line, its state and its size can be read as before; its open files and its unshared memory cannot.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def exit_with_parent(parent_pid: int, *, exit_code: int) -> None:
    """End this process `ORPHAN_GRACE_S` after its parent dies; at once if `parent_pid` is no longer its parent.

    A second call for the same parent changes nothing.
    """
    if os.getppid() != parent_pid:
        os._exit(exit_code)
    if parent_pid not in _watched:
        _watched.add(parent_pid)
        watch = threading.Thread(target=_outlive, args=(parent_pid, exit_code), name="parent-watch", daemon=True)
        watch.start()


def exit_within(seconds: float, *, exit_code: int) -> None:
    """End this process after `seconds`: threads that hang in a dead socket must not keep it alive."""
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
