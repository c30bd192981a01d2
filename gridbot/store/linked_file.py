"""A database file that is a link to a file on another disk, as an operator makes it where one disk is too small."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["dead_link", "real_file"]


def real_file(path: Path) -> Path:
    """The file itself where `path` is a link: what replaces it belongs beside it, and not over the link."""
    return path.resolve() if path.is_symlink() else path


def dead_link(path: Path) -> str:
    """What is to be done where `path` is a link to what is not there; empty where it is not.

    A new file in its place would have what the journals still have, and hide the older records for good.
    """
    if path.exists() or not path.is_symlink():
        return ""
    return (
        f"{path} is a link to {os.readlink(path)}, which is not there; mount the disk that has it, or remove the link "
        "to have a new database of what the journals hold"
    )
