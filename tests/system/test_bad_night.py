"""docs/bad-night.md with real processes: its commands in their order, and what it shows of what they said.

A line of the page is compared without its figures: each number, time, id of an alert, path and `who` is masked, and
so are the blanks between columns. `...` stands for anything. A pid is that of the process that the comment behind it
names.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parts.own_supervisor import child_rows
from tests import warm_python
from tests.system.conftest import DEADLINE_S

pytestmark = pytest.mark.system

WIDE = "500"
"""Columns of a terminal on which no line has to be broken."""
PROGRAM = "bin/gridbot-supervisor"
MASKS = (
    (r"alert [0-9a-z]{6}\b", "alert #"),
    (r"\S+@\S+:", "who:"),
    (r"data-night[\w./-]*|/[\w.-]+/[\w./-]*", "PATH"),
    (r"[-+]?(\d[\d.,:]*[smh]?)+", "#"),
    (r"# @ #", "#"),
    (r"\s+", " "),
)


def steps(root: Path) -> list[tuple[str, list[str]]]:
    """Each command of the page with the lines that it shows below it."""
    night = (root / "docs" / "bad-night.md").read_text()
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", night, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(line: str) -> str:
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    return line.strip()


def is_said(shown: str, said: list[str]) -> bool:
    """Whether one of the lines is what the page shows, with anything where that has `...`."""
    parts = [re.escape(masked(part)) for part in shown.split("...")]
    return any(re.fullmatch(" ?.*? ?".join(parts), line) for line in said)


class Night:
    def __init__(self, session: Any, root: Path) -> None:
        self.session = session
        self.root = root

    def type(self, command: str) -> subprocess.CompletedProcess[str]:
        if (about := re.fullmatch(r"(.*\D)\d{4}( +# )(\S+)", command)) is not None:
            pid = child_rows(self.session.status())[about[3]]["pid"]
            command = f"{about[1]}{pid}{about[2]}{about[3]}"
        env = {**self.session.environment(), "GRIDBOT_CONFIG_PATH": str(self.session.config), "COLUMNS": WIDE}
        if re.fullmatch(rf"{re.escape(PROGRAM)} [\w -]*", command):  # no work for a shell
            words = [sys.executable, "-m", "supervisor", *command.split()[1:]]
            return warm_python.run(words, cwd=self.root, env=env, timeout=2 * DEADLINE_S)
        return subprocess.run(
            ["/bin/sh", "-c", command.replace(PROGRAM, f"{sys.executable} -m supervisor")],
            cwd=self.root,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE_S,
        )

    def missing(self, done: subprocess.CompletedProcess[str], lines: list[str]) -> list[str]:
        said = [masked(line) for line in done.stdout.splitlines()]
        return [line for line in lines if not is_said(line, said)]

    def see(self, command: str, lines: list[str]) -> None:
        """`status` is what one looks at until it shows something; all else says its lines at once."""
        deadline_s = time.monotonic() + DEADLINE_S
        done = self.type(command)
        while (gone := self.missing(done, lines)) and " status" in command and time.monotonic() < deadline_s:
            done = self.type(command)
        said = f"{command}\n{done.stdout}{done.stderr}"
        assert not gone, f"the page shows, and it was not said: {gone}\n{said}\n{self.session.tail()}"
        assert done.returncode in ((0, 6) if " status" in command else (0,)), said


def fills(session: Any, *strategies: str) -> int:
    """Of these strategies (of all), as far as their workers tell; 0 while one of them has none."""
    rows = [row for account in session.status()["accounts"] for row in account["strategies"]]
    counts = [row["fills"] or 0 for row in rows if not strategies or row["strat_id"] in strategies]
    return sum(counts) if all(counts) else 0


def test_the_bad_night_of_the_readme(gridbot: Any, root: Path) -> None:
    """Also that trading goes on where the disk is full, and that each record of that time is there afterwards."""
    session = gridbot.prepare((root / "conf" / "bad-night.yaml").read_text())
    night = Night(session, root)
    given = steps(root)
    assert given[0] == ("export GRIDBOT_CONFIG_PATH=conf/bad-night.yaml GRIDBOT_DATA_DIR=data-night", [])
    for command, lines in given[1:]:
        if command.startswith(("kill", "prlimit --fsize=20000")):
            session.wait(lambda _: fills(session), "each trouble to meet a fleet that trades")
        if " flatten " in command:
            before = fills(session, "alice-eth")
            session.wait(lambda _, least=before: fills(session, "alice-eth") > least + 3, "trading on a full disk")
        if command.endswith(" stop"):
            assert session.process("worker-alice")["restarts"] == session.process("paper")["restarts"] == 1
            assert session.process("worker-bob")["restarts"] == session.process("writer")["restarts"] == 0
        night.see(command, lines)
    session.assert_nothing_left()
    assert session.sql("SELECT count(*) AS n FROM ingest_gaps") == [{"n": 0}]
    texts = [row["text"] for row in session.sql("SELECT text FROM alerts WHERE account = 'alice'")]
    assert any("the journal cannot be written" in text for text in texts), "kept, too, once there was room"
    troubles = [command.split()[0] for command, _ in given]
    assert (troubles.count("kill"), troubles.count("prlimit")) == (2, 4)


def test_a_line_that_is_not_said_is_found_missing() -> None:
    said = [masked("alice    RUNNING  healthy  active  websocket     13s         1  78 MB     0.3 s  10,002.64")]
    assert is_said("alice    RUNNING  healthy  active  websocket      6s         1  77 MB     0.8 s   9,002.29", said)
    assert not is_said(
        "alice    RUNNING  degraded  active  websocket     6s         1  77 MB     0.8 s  9,002.29", said
    )
    assert is_said("alice  RUNNING ...", said)
    assert not is_said("bob  RUNNING ...", said)
