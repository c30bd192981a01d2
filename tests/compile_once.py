"""In a fresh checkout each worker of xdist would compile all tests for itself: 17 s of a core, as often as there are
workers. So they are compiled before the workers start, by one process per core, each its part.

    new checkout ──► is_new ──► compile_all: `pytest --collect-only` of a part, on each core ──► workers find them

Pytest rewrites the assertions of tests and keeps what it has compiled as `__pycache__/NAME.*-pytest-*.pyc`; only pytest
itself can make these. What is not compiled here, the workers compile: nothing but time is lost.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["compile_all", "is_new"]

FEW = 100
"""So many tests that are not compiled yet are compiled by the workers just as soon."""
COLLECT = ("-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist")
ONLY_COLLECT = ("-p", "no:hypothesispytest")
"""For all but one: its plugin parses all that was imported, to know our constants, and keeps them: 2 s of a core."""


def is_new(tests: Sequence[Path]) -> bool:
    """Whether more than a few of these files have never been compiled by this Python, or have changed since."""
    tag = sys.implementation.cache_tag

    kept: dict[tuple[Path, str], float] = {}
    """When what is kept of a test was made, by the test's directory and name."""
    for directory in {test.parent for test in tests}:
        with contextlib.suppress(FileNotFoundError), os.scandir(directory / "__pycache__") as entries:
            for entry in entries:
                stem, _, made_by = entry.name.partition(".")
                if made_by.startswith(f"{tag}-pytest-") and made_by.endswith(".pyc"):
                    kept[directory, stem] = max(kept.get((directory, stem), 0.0), entry.stat().st_mtime)
    return sum(kept.get((test.parent, test.stem), 0.0) < test.stat().st_mtime for test in tests) > FEW


def compile_all(root: Path, tests: Sequence[Path], processes: int) -> None:
    """Have the tests compiled and wait for it; whatever else they say, they say it again when they are run."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    parts = [tests[first::processes] for first in range(processes)]
    running = [
        subprocess.Popen(
            [sys.executable, *COLLECT, *(ONLY_COLLECT if number else ()), *map(str, part)],
            cwd=root,
            env=own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number, part in enumerate(parts)
        if part
    ]
    for process in running:
        process.wait()
