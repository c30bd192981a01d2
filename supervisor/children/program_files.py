"""Whether the files of this program are still those of its start, before something is imported from them later.

All that children run is imported when the fork server begins, but for what the writer needs (`launch_plan.PRELOADED`).
A writer that is born after a `git pull` would have modules of two versions, and might bring the database to a form that
the rest does not know. A fork server that begins after it has the new modules, and its supervisor the old ones: so what
counts is the supervisor's start, of which fork servers and their children are told.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["are_changed", "at_start", "begun_from", "state_of"]

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("gridbot", "supervisor")
_at_start: list[str] = []


def at_start() -> str:
    """What the supervisor has said (`begun_from`); where nobody has, and in itself, what the first call has found."""
    if not _at_start:
        _at_start.append(state_of(ROOT))
    return _at_start[0]


def begun_from(state: str) -> None:
    """In a fork server: what its supervisor began with."""
    _at_start[:] = [state]


def are_changed() -> bool:
    """Whether a module was written, added or removed since `at_start`, or is just being so. Takes some 10 ms."""
    try:
        return at_start() != state_of(ROOT)
    except OSError:
        return True


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
