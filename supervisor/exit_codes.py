"""What the exit codes of `gridbot-supervisor` and its processes mean. Published: scripts rely on them.

`docs/command-line.md` has the same table, `--help` a line of it, and a test compares the three.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["MEANINGS", "WRITABLE_HINT", "CommandError", "ExitCode", "unwritable"]

WRITABLE_HINT: Final = "make room there, or let this user write there"


class ExitCode(IntEnum):
    """Each is explained in `MEANINGS`."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_RUNNING = 3
    CONFIG = 4
    TIMEOUT = 5
    DEGRADED = 6
    REFUSED = 7
    DIFFERS = 8
    NOTHING = 9
    NO_ROOM = 10
    PARTLY = 11
    FORCED = 130
    OUTPUT_GONE = 141


MEANINGS: Final = {
    ExitCode.OK: ("ok", "done; `status`: all is healthy; `ledger check`: all is explained"),
    ExitCode.UNEXPECTED: ("unexpected", "an unexpected error; the text says what"),
    ExitCode.USAGE: ("usage", "a mistake in the command line or in the SQL statement"),
    ExitCode.NOT_RUNNING: ("not running", "no supervisor works in this data directory, or it has no database yet"),
    ExitCode.CONFIG: (
        "configuration",
        "the configuration was refused; `compare log`: the map, or a line that it does not fit",
    ),
    ExitCode.TIMEOUT: ("timeout", "it did not happen in the time allowed"),
    ExitCode.DEGRADED: (
        "degraded",
        "it runs, but something is not healthy; `ledger check`: an account could not be compared; `doctor`: warnings",
    ),
    ExitCode.REFUSED: (
        "refused",
        "another supervisor has the data directory, this user may not use it, or a check of the machine failed; "
        "a command for several accounts was not confirmed, or it cannot be carried out as things are: somebody else "
        "has the account, its orders are being cancelled, the supervisor is stopping; `data`: a file was refused; "
        "`doctor`: something is refused",
    ),
    ExitCode.DIFFERS: (
        "differs",
        "`compare`, `verdict`: more than the tolerance differs; `ledger check`: records and exchange differ, or a cent "
        "or more is unexplained; `data check`: something is wrong; `config migrate`: the new file needs a hand",
    ),
    ExitCode.NOTHING: (
        "nothing to compare",
        "`compare`, `verdict`: no rows on either side; `ledger check`: no balance is recorded of any account asked "
        "for; `report`: nothing is recorded in the span; `data`: there is none; `secret check`: one is not "
        "there; `journal show`: there is none",
    ),
    ExitCode.NO_ROOM: ("no room", "a process: the disk is full, or no memory or open file is left; it is tried again"),
    ExitCode.PARTLY: (
        "partly done",
        "a command for several accounts or strategies was done for some of them; its lines say for which not",
    ),
    ExitCode.FORCED: ("interrupted", "Ctrl-C, or a second signal ended it by force"),
    ExitCode.OUTPUT_GONE: ("output gone", "standard output is closed or full, or its reader has gone; nothing is said"),
}
"""Of each code two or three words and a sentence."""


class CommandError(Exception):
    """A failure with a text for the user and the exit code of the command."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def unwritable(error: OSError) -> CommandError:
    """The refusal of a data directory that cannot be written."""
    hint = f"{WRITABLE_HINT}, or choose another one with --data-dir"
    text = f"expected a data directory that can be written, got: {error}; {hint}"
    return CommandError(text, ExitCode.REFUSED)
