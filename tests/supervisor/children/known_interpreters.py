"""Which Pythons here have a layout that `supervisor.children.immortal` knows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from supervisor.children import immortal

__all__ = ["ROOT", "interpreters"]

ROOT = Path(__file__).resolve().parents[3]


def interpreters() -> list[str]:
    """Every Python here whose layout is known: this one, those in PATH, those of pyenv."""
    if sys.version_info[:2] in immortal.KNOWN:
        return [sys.executable]
    found = []
    for major, minor in immortal.KNOWN:
        pyenv = sorted(Path.home().glob(f".pyenv/versions/{major}.{minor}.*/bin/python"))
        place = pyenv[-1] if pyenv else shutil.which(f"python{major}.{minor}")
        found += [str(place)] if place else []
    return found
