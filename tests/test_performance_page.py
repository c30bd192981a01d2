"""The commands of the pages on performance are there, with the options they are given; the pages name each target."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from benchmarks.parts.latency_report import QUIET_TARGET_US, TARGETS
from benchmarks.store import WANTED
from tests.fork_server import run_program

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
BACKTESTS = (ROOT / "docs" / "backtest-speed.md").read_text(encoding="utf-8")
STORE = (ROOT / "docs" / "store-speed.md").read_text(encoding="utf-8")
SCALING = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line, comments=True)
    for page in (PAGE, BACKTESTS, STORE, SCALING)
    for block in re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


HELP = """
import contextlib, io, json, runpy, sys
told = {}
into, *scripts = sys.argv[1:]
for script in scripts:
    sys.argv, said = [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    told[script] = said.getvalue()
with open(into, "w") as file:
    json.dump(told, file)
"""
"""All in one process, which has imported most of the program before: each of them does."""


def test_each_benchmark_has_the_options_that_the_page_gives_it(tmp_path: Path) -> None:
    scripts = {_script(command) for command in COMMANDS}
    assert run_program(HELP, str(tmp_path / "told.json"), *(str(ROOT / script) for script in sorted(scripts))) == 0
    said = json.loads((tmp_path / "told.json").read_text())
    told = {str(Path(script).relative_to(ROOT)): text for script, text in said.items()}
    assert told.keys() == scripts
    assert [script for script, text in told.items() if "usage: " not in text] == []
    given = {(_script(c), word) for c in COMMANDS for word in c if word.startswith("--")}
    assert [(script, option) for script, option in given if not re.search(rf"{option}\b", told[script])] == []


def _script(command: list[str]) -> str:
    return f"benchmarks/{command[1].replace('-', '_')}.py"


def test_only_benchmarks_are_commands_of_the_page() -> None:
    assert len(COMMANDS) > 5
    assert {command[0] for command in COMMANDS} == {"bin/bench"}


def test_the_pages_name_each_target_of_the_benchmarks() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for what, _, _, _, most in TARGETS:
        assert [row for row in rows if row.startswith(f"| {what} | {most:g} |")], what
    store_rows = [line for line in STORE.splitlines() if line.startswith("| ")]
    for what, (bound, most) in WANTED.items():
        assert [row for row in store_rows if row.startswith(f"| {what} | {bound} {most:,g}")], what
    assert [row for row in rows if row.startswith(f"| CPU of a quiet ticker, µs | {QUIET_TARGET_US:g} |")]
