"""A closed, full or abandoned standard output, with real processes: what a shell sees of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.exit_codes import ExitCode

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
@pytest.mark.parametrize(
    "command", ["--help", "--version", "sql --help", "status --json --data-dir {here}", "check --json"]
)
def test_an_output_that_takes_nothing_ends_quietly_with_141(tmp_path: Path, command: str, redirection: str) -> None:
    line = f"{sys.executable} -m supervisor {command.format(here=tmp_path)} {redirection}"
    done = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == ExitCode.OUTPUT_GONE, done.stderr
    assert done.stderr == "" or done.stderr.startswith("gridbot-supervisor: no supervisor runs")


def test_files_of_a_command_never_take_the_place_of_a_closed_stream() -> None:
    """The first file that is opened would get number 1, and what a library prints would land in it."""
    program = (
        "from supervisor.cli.standard_streams import guard; import os, sys; guard();"
        "fd = os.open('/dev/null', os.O_RDONLY); sys.stderr.write(str(fd)); sys.stderr.flush()"
    )
    line = f'{sys.executable} -c "{program}" <&- >&-'
    done = subprocess.run(
        ["sh", "-c", line], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert int(done.stderr) > 2, done


def test_a_standard_error_that_takes_nothing_is_nobodys_business(tmp_path: Path) -> None:
    line = f"{sys.executable} -m supervisor status --data-dir {tmp_path} 2>/dev/full"
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == ExitCode.NOT_RUNNING
