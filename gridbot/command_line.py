"""The one way to write a command line that an operator can paste: it reaches this bot, from wherever it is typed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

__all__ = ["PROGRAM_VARIABLE", "pasteable", "settle_program"]

PROGRAM: Final = "gridbot-supervisor"
PROGRAM_VARIABLE: Final = "GRIDBOT_PROGRAM"
"""Set by `bin/gridbot-supervisor` to what the user typed, which need not be on the PATH."""


def pasteable(command: str, *, config: str | Path | None = None, data_dir: str | Path | None = None) -> str:
    """The line for `command`, such as "resume alice", with the options that name the bot; None leaves one out.

    `tests/house/test_hints.py` keeps texts from naming a command in any other way.
    """
    words = [("-c", config), ("--data-dir", data_dir)]
    options = [f" {name} {shlex.quote(str(value))}" for name, value in words if value is not None]
    return f"{shlex.quote(os.environ.get(PROGRAM_VARIABLE, PROGRAM))} {command}{''.join(options)}"


def settle_program() -> None:
    """What this process and its children say is read later, and elsewhere: a relative program becomes absolute."""
    program = os.environ.get(PROGRAM_VARIABLE, "")
    if os.sep in program:
        os.environ[PROGRAM_VARIABLE] = os.path.abspath(program)
