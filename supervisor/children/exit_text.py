"""How a child process ended, in words."""

from __future__ import annotations

import signal

from supervisor.exit_codes import ExitCode

__all__ = ["UNKNOWN_CODE", "exit_text"]

UNKNOWN_CODE = 256
"""Of a process whose end somebody else was told; no process can end with it."""


def exit_text(code: int, killed_for: str = "") -> str:
    """A sentence without a subject. `code` is as in `Process.exitcode`: negative is the signal that ended it.

    `killed_for`: why the supervisor itself had it killed, if it had.
    """
    if killed_for and -code in _OURS:
        return _OURS[-code].format(killed_for)
    if code >= 0:
        return _BY_CODE.get(code, f"ended with exit code {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return _BY_SIGNAL.get(-code, f"ended by {name}")


_BY_CODE: dict[int, str] = {
    ExitCode.OK: "ended in order (exit code 0)",
    ExitCode.UNEXPECTED: "ended by an unexpected error (exit code 1; see logs/crash.log)",
    ExitCode.CONFIG: "refused its configuration (exit code 4)",
    ExitCode.REFUSED: "refused to start (exit code 7)",
    ExitCode.NO_ROOM: "ended for want of room (exit code 10)",
    ExitCode.FORCED: "ended by force (exit code 130)",
    UNKNOWN_CODE: "ended; its exit code is not known, somebody else has asked for it",
}
_OURS: dict[int, str] = {
    signal.SIGKILL: "killed by the supervisor: {}",
    signal.SIGABRT: "aborted by the supervisor: {}; its stacks are in logs/crash.log",
}
_BY_SIGNAL: dict[int, str] = {
    signal.SIGKILL: "killed by SIGKILL (kill -9, or the kernel for want of memory: see dmesg)",
    signal.SIGABRT: "aborted (SIGABRT; its stacks are in logs/crash.log)",
    signal.SIGSEGV: "crashed in native code (SIGSEGV; see logs/crash.log)",
    signal.SIGBUS: "crashed in native code (SIGBUS, a full disk is a usual cause; see logs/crash.log)",
    signal.SIGTERM: "ended by SIGTERM before it could stop in order",
}
