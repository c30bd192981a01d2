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

Whoever starts processes through others (`supervisor.children.fork_server`) becomes their parent:

    adopt_orphans             what loses its parent below this process becomes a child of this one (Linux only)

Imported first in every child process, so it imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import threading
import time

__all__ = [
    "ORPHAN_GRACE_S",
    "adopt_orphans",
    "ask_to_stop_with_parent",
    "close_memory",
    "exit_with_parent",
    "exit_within",
    "leave_no_core",
    "memory_is_closed",
]

ORPHAN_GRACE_S = 1.5
"""Seconds that a process has for an orderly stop after its parent died."""

_POLL_S = 0.25
_PR_SET_PDEATHSIG = 1
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36

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


def memory_is_closed() -> bool:
    """Whether `close_memory` was called here, or in the process that this one was forked from."""
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def adopt_orphans() -> None:
    """Become the parent of each process below this one whose own parent ends. Raises OSError where that cannot be."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"expected to become the parent of orphans, got: {os.strerror(error)}")


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
    """Wait for the end of the parent without a look at the clock, or where that cannot be by looking at its pid."""
    try:
        parent = os.pidfd_open(parent_pid)
    except (OSError, AttributeError):  # no descriptor left, or it has ended already, or another system
        parent = -1
    while os.getppid() == parent_pid:  # looked at after the descriptor was opened: it is of the parent
        if parent < 0:
            time.sleep(_POLL_S)
        else:
            select.select([parent], [], [])
            break
    _leave(ORPHAN_GRACE_S, exit_code)


def _leave(seconds: float, exit_code: int) -> None:
    time.sleep(seconds)
    os._exit(exit_code)
