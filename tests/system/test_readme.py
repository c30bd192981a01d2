"""The README's commands, run as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system


def blocks(root: Path) -> list[str]:
    """The `sh` blocks of the README, in order."""
    return re.findall(r"^```sh\n(.*?)^```", (root / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)


def fills_on_both_sides(session: Any) -> bool:
    rows = session.sql("SELECT DISTINCT symbol, side FROM fills WHERE symbol IN ('BTCUSDT', 'SOLUSDT')")
    return len(rows) == 4


def test_the_commands_of_the_readme_work_in_their_order(gridbot: Any, root: Path) -> None:
    session = gridbot.prepare()
    commands = [line for block in blocks(root) for line in block.splitlines()]
    assert commands[0] == "bin/gridbot-supervisor start --detach"
    assert "bin/gridbot-supervisor stop" in commands
    shown: dict[str, str] = {}
    for command in commands:
        if "FROM fills" in command:
            session.wait(lambda _: fills_on_both_sides(session), "fills on both sides")
        if command.endswith(" status"):  # a busy machine makes a report late, and `status` says so
            session.wait(lambda status: status["health"] == "healthy", "health")
        if command.endswith(" stop"):
            session.peek()
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=root,
            env=session.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}{session.tail()}"
        shown.setdefault(command.split()[1], done.stdout)
    assert {"alice", "bob", "alice-btc", "bob-ltc-shadow", "writer", "paper"} <= set(shown["status"].split())
    assert {"Buy", "Sell", "BTCUSDT", "SOLUSDT"} <= set(shown["sql"].split())
    assert shown["ledger"].count(": explained") == 2
    assert "HTTP requests in 5 s to the paper exchange: " in shown["status"]
    assert "this worker reads WebSockets with " in (session.data_dir / "logs" / "worker-alice.jsonl").read_text()
    assert "nothing is left running" in shown["stop"]
    assert "alice-btc" in shown["check"]
    session.assert_nothing_left()


def test_the_readme_names_only_files_that_exist(root: Path) -> None:
    text = (root / "README.md").read_text()
    named = re.findall(r"`((?:bin|conf|docs|gridbot|supervisor|tests|benchmarks|\.ci)/[\w./-]*)`", text)
    assert named
    own = {"conf/mine.yaml"}
    assert [name for name in named if name not in own and not (root / name).exists()] == []
