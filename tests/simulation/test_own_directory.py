"""A run's directory goes with it, and that of a process that was killed with the next run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gridbot.simulation import own_directory

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, pathlib, signal, sys
from gridbot.simulation import own_directory
own_directory.MEMORY = pathlib.Path(sys.argv[1])
with own_directory.own_directory() as directory:
    (directory / "journal").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_directory_of_a_killed_process_goes_with_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_directory, "MEMORY", tmp_path)
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    [left] = tmp_path.iterdir()
    (tmp_path / "another-program").mkdir()
    with own_directory.own_directory() as one, own_directory.own_directory() as other:
        assert not left.exists()
        assert one.is_dir()
        assert other.is_dir()
        assert len({len(path.name) for path in (left, one, other)}) == 1, "the size of a journal is that of any process"
    assert [path.name for path in tmp_path.iterdir()] == ["another-program"]
