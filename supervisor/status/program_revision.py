"""Which code this process runs, told apart more finely than by the version: its commit, or what was installed.

It is read when this module is imported, which the supervisor does at its start: a `git pull` beside it changes the
files and not what runs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from gridbot.version import __version__

__all__ = ["REVISION", "revision_of"]

SHOWN: Final = 8
"""Characters of a commit."""


def revision_of(root: Path) -> str:
    """The commit of a checkout at `root`, shortened; where a wheel is installed, a digest of the list of its files.

    Empty where nothing says it. What was changed and not committed is not seen.
    """
    try:
        return _commit(root)[:SHOWN] or _installed(root)
    except (OSError, ValueError):
        return ""


def _commit(root: Path) -> str:
    git = root / ".git"
    if git.is_file():  # a worktree says where its own part of the repository is
        git = root / git.read_text(encoding="utf-8").partition("gitdir: ")[2].strip()
    if not git.is_dir():
        return ""
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    name, shared = head.removeprefix("ref: "), git / "commondir"
    common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
    if (common / name).is_file():
        return (common / name).read_text(encoding="utf-8").strip()
    packed = common / "packed-refs"
    for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
        commit, _, packed_name = line.partition(" ")
        if packed_name == name:
            return commit
    return ""


def _installed(root: Path) -> str:
    record = root / f"gridbot-{__version__}.dist-info" / "RECORD"
    return f"wheel-{hashlib.sha256(record.read_bytes()).hexdigest()[:SHOWN]}" if record.is_file() else ""


REVISION: Final = revision_of(Path(__file__).resolve().parents[2])
"""Of this process."""
