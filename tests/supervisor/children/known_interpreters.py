"""Which Pythons here have a layout that `supervisor.children.immortal` knows, and what a program says in one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from supervisor.children import immortal

__all__ = ["interpreters", "told_by"]

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


def told_by(interpreter: str, program: str) -> dict[str, Any]:
    """The JSON that a program prints, which also has to end in order; skips the test when there is no interpreter."""
    if not interpreter:
        pytest.skip("no Python 3.12 or 3.13 here: `apt-get install python3.13`, or `pyenv install 3.13`")
    done = subprocess.run([interpreter, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
