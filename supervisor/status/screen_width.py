"""How wide what is printed may be: the one place that knows."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

__all__ = ["PIPED_WIDTH", "UNBOUNDED", "screen_width"]

PIPED_WIDTH: Final = 120
"""Columns of a table in a pipe or file when nobody says how many there are."""
UNBOUNDED: Final = 1_000_000
"""For output whose lines stay whole in a pipe, so that `grep` and `head` take rows."""


def screen_width(piped: int = PIPED_WIDTH) -> int:
    """Columns: what COLUMNS says, else the terminal's; `piped` where standard output is none."""
    if not os.environ.get("COLUMNS") and not sys.stdout.isatty():
        return piped
    return shutil.get_terminal_size((piped, 0)).columns
