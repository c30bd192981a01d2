"""Whether the files of this program are still those of its start, before something is imported from them later.

All that children run is imported when the fork server begins, but for what the writer needs (`launch_plan.PRELOADED`).
A writer that is born after a `git pull` would have modules of two versions, and might bring the database to a form that
the rest does not know.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["are_changed", "at_start", "state_of"]

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("gridbot", "supervisor")


@cache
def at_start() -> str:
    """Of the first call in this process or in the one that it is a fork of."""
    return state_of(ROOT)


def are_changed() -> bool:
    """Whether a module was written, added or removed since `at_start`. Takes some 10 ms."""
    return at_start() != state_of(ROOT)


def state_of(root: Path) -> str:
    """A digest of path, size and time of change (ns) of each module."""
    rows = sorted(row for package in PACKAGES for row in _modules(str(root / package)))
    return hashlib.blake2b(repr(rows).encode(), digest_size=16).hexdigest()


def _modules(directory: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _modules(entry.path)
            elif entry.name.endswith(".py"):
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns
