"""What the exit codes of `gridbot-supervisor` and its processes mean. Published: scripts rely on them.

| code | name        | meaning                                                                           |
|-----:|-------------|-----------------------------------------------------------------------------------|
|    0 | OK          | done; for `status`: everything is healthy                                         |
|    1 | UNEXPECTED  | an unexpected error; the text names the file with the details                     |
|    2 | USAGE       | wrong command line                                                                |
|    3 | NOT_RUNNING | no supervisor works in this data directory                                        |
|    4 | CONFIG      | the configuration was refused                                                     |
|    5 | TIMEOUT     | it did not happen in the time allowed                                             |
|    6 | DEGRADED    | it runs, but some account (or the writer, or the paper exchange) is not healthy   |
|    7 | REFUSED     | start refused: another supervisor holds the data directory, or a check failed     |
|    8 | NO_ROOM     | the disk is full, or there is no memory or no open file left: it is tried again   |
|  130 | FORCED      | a second signal ended it by force                                                 |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["WRITABLE_HINT", "CommandError", "ExitCode", "unwritable"]

WRITABLE_HINT: Final = "make room there, or let this user write there"


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
    NO_ROOM = 8
    FORCED = 130


class CommandError(Exception):
    """A failure with a text for the user and the exit code of the command."""

    def __init__(self, text: str, code: ExitCode) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def unwritable(error: OSError) -> CommandError:
    """The refusal of a data directory that cannot be written."""
    text = f"expected a data directory that can be written, got: {error}; choose another one with --data-dir"
    return CommandError(text, ExitCode.REFUSED)
