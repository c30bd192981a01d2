"""What the exit codes of `gridbot-supervisor` and its processes mean. Published: scripts rely on them.

| code | name        | meaning                                                                           |
|-----:|-------------|-----------------------------------------------------------------------------------|
|    0 | OK          | done; for `status`: everything is healthy                                         |
|    1 | UNEXPECTED  | an error nobody foresaw; the text names the file with the details                 |
|    2 | USAGE       | wrong command line                                                                |
|    3 | NOT_RUNNING | no supervisor works in this data directory                                        |
|    4 | CONFIG      | the configuration was refused                                                     |
|    5 | TIMEOUT     | it did not happen in the time allowed                                             |
|    6 | DEGRADED    | it runs, but some account (or the writer, or the paper exchange) is not healthy   |
|    7 | REFUSED     | start refused: another supervisor holds the data directory, or a check said no    |
|  130 | FORCED      | a second signal ended it by force                                                 |
"""

from __future__ import annotations

import signal
from enum import IntEnum

__all__ = ["CommandError", "ExitCode", "exit_text", "unwritable"]


class ExitCode(IntEnum):
    """See the table above."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIG = 4
    TIMEOUT = 5
    DEGRADED = 6
    REFUSED = 7
    FORCED = 130


class CommandError(Exception):
    """A failure with a text made for the user and the exit code that goes with it."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def unwritable(error: OSError) -> CommandError:
    """The refusal of a data directory that cannot be written."""
    text = f"expected a data directory that can be written, got: {error}; choose another one with --data-dir"
    return CommandError(text, ExitCode.REFUSED)


def exit_text(code: int) -> str:
    """How a process ended, in words. `code` as in `Process.exitcode`: negative is the signal that ended it."""
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
    ExitCode.FORCED: "ended by force (exit code 130)",
}
_BY_SIGNAL: dict[int, str] = {
    signal.SIGKILL: "killed by SIGKILL (kill -9, or the kernel for want of memory: see dmesg)",
    signal.SIGABRT: "aborted (SIGABRT; its stacks are in logs/crash.log)",
    signal.SIGSEGV: "crashed in native code (SIGSEGV; see logs/crash.log)",
    signal.SIGBUS: "crashed in native code (SIGBUS, a full disk is a usual cause; see logs/crash.log)",
    signal.SIGTERM: "ended by SIGTERM before it could stop in order",
}
