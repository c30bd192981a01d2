"""The commands of docs/performance.md and docs/scaling.md are there, with the options they are given."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.parts.latency_report import QUIET_TARGET_US, TARGETS
from benchmarks.store import WANTED

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for page in (PAGE, SCALING)
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


HELP = """
import contextlib, io, json, runpy, sys
told = {}
for script in sys.argv[1:]:
    sys.argv, said = [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    told[script] = said.getvalue()
print(json.dumps(told))
"""
"""All in one process: each imports most of the program."""


def test_each_benchmark_has_the_options_that_the_page_gives_it() -> None:
    scripts = {_script(command) for command in COMMANDS}
    command = [sys.executable, "-c", HELP, *sorted(scripts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[0])
    assert told.keys() == scripts
    assert [script for script, text in told.items() if "usage: " not in text] == []
    given = {(_script(c), word) for c in COMMANDS for word in c if word.startswith("--")}
    assert [(script, option) for script, option in given if not re.search(rf"{option}\b", told[script])] == []


def _script(command: list[str]) -> str:
    return f"benchmarks/{command[1].replace('-', '_')}.py"


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
