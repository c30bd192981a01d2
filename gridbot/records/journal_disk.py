"""What a journal's appending side asks of the disk, so that a test can refuse it or cut a write short."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["JournalDisk"]


@dataclass(frozen=True, slots=True)
class JournalDisk:
    """The system's own functions, called without a Python frame around them: a journal writes at each loop turn.

    All raise OSError; `write` may take fewer bytes than it was given.
    """

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, bytes], int] = os.write
    close: Callable[[int], None] = os.close
