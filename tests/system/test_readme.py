"""The commands of docs/quick-start.md and of the README, run as they stand there.

The first, those with words in quotes and the last by the shell and the script of `bin/`; those between, of plain words,
by the same words in a fork of a Python that has imported the program.
"""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests import warm_python
from tests.system.conftest import wait_for

pytestmark = pytest.mark.system

PROGRAM = "bin/gridbot-supervisor"
LATE, LATE_REPORTS = (5,), (5, 6)
"""A busy machine makes an answer late, or a report: then `status`, `why` and `ledger check` say so. Asked again."""


def commands_of(page: Path) -> list[str]:
    """The lines of a page's `sh` blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def fills_on_both_sides(session: Any) -> bool:
    rows = session.sql("SELECT DISTINCT symbol, side FROM fills WHERE symbol IN ('BTCUSDT', 'SOLUSDT')")
    return len(rows) == 4


def test_the_commands_of_the_quick_start_and_the_readme_work(gridbot: Any, root: Path) -> None:
    session = gridbot.prepare()
    commands = commands_of(root / "docs" / "quick-start.md")
    assert commands[0] == "bin/gridbot-supervisor start --detach"
    assert commands[-1] == "bin/gridbot-supervisor stop"
    of_the_readme = commands_of(root / "README.md")
    assert of_the_readme[0] == commands[0]
    assert len(of_the_readme) > 5
    assert [command for command in of_the_readme if command not in commands] == [], "these would be run by no test"
    shown: dict[str, str] = {}

    plain = [command for command in commands[1:-1] if re.fullmatch(rf"{re.escape(PROGRAM)} [\w /.-]*", command)]

    def by_the_shell(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=root,
            env=session.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,  # `start` itself waits for 90 s after it has looked at the installation
        )

    def typed(command: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "supervisor", *command.split()[1:]]
        return warm_python.run(words, cwd=root, env=session.environment(), timeout=900)

    def run(command: str) -> subprocess.CompletedProcess[str] | None:
        """What it said; nothing where it was late."""
        done = typed(command) if command in plain else by_the_shell(command)
        late = LATE_REPORTS if command.endswith((" status", " why", " --exchange")) else LATE
        if command == commands[0] and done.returncode in late:  # it goes on to start; a second one would be refused
            session.wait(lambda status: status["health"] == "healthy", "every account healthy")
            done.returncode = 0
        return None if done.returncode in late else done

    for command in commands:
        if "FROM fills" in command:
            session.wait(lambda _: fills_on_both_sides(session), "fills on both sides")
        if command.endswith(" stop"):
            session.peek()
        done = wait_for(partial(run, command), command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}{session.tail()}"
        shown.setdefault(command.split()[1], done.stdout)
    assert len(commands) - len(plain) == 3, "start, sql and stop are typed into a shell"
    assert {"alice", "bob", "alice-btc", "bob-ltc-shadow", "writer", "paper"} <= set(shown["status"].split())
    assert {"Buy", "Sell", "BTCUSDT", "SOLUSDT"} <= set(shown["sql"].split())
    assert shown["ledger"].count(": explained") == 2
    assert "HTTP requests in 5 s to the paper exchange: " in shown["status"]
    assert "this worker reads WebSockets with " in (session.data_dir / "logs" / "worker-alice.jsonl").read_text()
    assert "nothing is left running" in shown["stop"]
    assert "alice-btc" in shown["check"]
    assert "alice/alice-btc" in shown["why"]
    assert "BTCUSDT" in shown["positions"]
    session.assert_nothing_left()


def test_the_readme_names_only_files_that_exist(root: Path) -> None:
    text = (root / "README.md").read_text()
    named = re.findall(r"`((?:bin|conf|docs|gridbot|supervisor|tests|benchmarks|\.ci)/[\w./-]*)`", text)
    assert named
    own = {"conf/mine.yaml"}
    assert [name for name in named if name not in own and not (root / name).exists()] == []
