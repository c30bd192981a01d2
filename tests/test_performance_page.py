"""The commands of docs/performance.md are there, with the options it gives them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.parts.latency_report import QUIET_TARGET_US, TARGETS
from benchmarks.store import WANTED

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("script", sorted({command[1] for command in COMMANDS}))
def test_a_benchmark_has_the_options_that_the_page_gives_it(script: str) -> None:
    command = [sys.executable, f"benchmarks/{script}.py", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    given = {word for command in COMMANDS if command[1] == script for word in command if word.startswith("--")}
    assert {option for option in given if not re.search(rf"{option}\b", done.stdout)} == set()


def test_only_benchmarks_are_commands_of_the_page() -> None:
    assert len(COMMANDS) > 5
    assert {command[0] for command in COMMANDS} == {"bin/bench"}


def test_the_page_names_each_target_of_the_benchmark() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for what, _, _, _, most in TARGETS:
        assert [row for row in rows if row.startswith(f"| {what} | {most:g} |")], what
    for what, (bound, most) in WANTED.items():
        assert [row for row in rows if row.startswith(f"| {what} | {bound} {most:,g}")], what
    assert [row for row in rows if row.startswith(f"| CPU of a quiet ticker, µs | {QUIET_TARGET_US:g} |")]
