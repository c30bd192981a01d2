"""`logs`: searched, merged by time, read through rotations, and followed without losing or repeating a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError

FLEET = """accounts: [{name: alice}, {name: bob, groups: [night]}]
strategies: [{strat_id: btc, account: alice}, {strat_id: eth, account: alice}, {strat_id: btc, account: bob}]
"""


def line(second: int, message: str, process: str = "worker-alice", strategy: str = "btc", level: str = "INFO") -> str:
    account = process.removeprefix("worker-") if process.startswith("worker-") else ""
    moment = f"2026-01-02T03:04:{second:02d}.000000Z"
    fields = {"time": moment, "level": level, "process": process, "account": account, "strategy": strategy}
    return json.dumps({**fields, "message": message}) + "\n"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "worker-alice.jsonl.1").write_text(line(1, "the first refusal") + line(2, "a fill"))
    (directory / "worker-alice.jsonl").write_text(
        line(4, "a Refusal, retCode 110007") + line(6, "a fill", strategy="eth")
    )
    (directory / "worker-bob.jsonl").write_text(
        line(3, "a fill", "worker-bob") + line(5, "late", "worker-bob", level="ERROR")
    )
    (directory / "supervisor.jsonl").write_text(line(0, "it begins", "supervisor", ""))
    return tmp_path


def run(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["logs", *words, "--data-dir", str(data_dir)], catch_exceptions=True)


def seconds(result: Result) -> list[int]:
    return [int(text[17:19]) for text in result.output.splitlines()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [0]),
        (["alice"], [1, 2, 4, 6]),
        (["alice", "-n", "3"], [2, 4, 6]),
        (["alice", "-n", "0"], []),
        (["alice", "bob"], [1, 2, 3, 4, 5, 6]),
        (["--all", "-n", "4"], [3, 4, 5, 6]),
        (["--all", "-g", "refusal"], [1, 4]),
        (["--all", "-g", "Refusal"], [4]),
        (["--all", "--grep", "110007|late"], [4, 5]),
        (["--all", "--grep", "alice/btc"], [1, 2, 4]),
        (["--all", "--level", "warning"], [5]),
        (["alice", "--strategy", "eth"], [6]),
        (["--all", "--from", "2026-01-02T03:04:04"], [4, 5, 6]),
        (["alice/eth"], [6]),
        (["alice/eth", "bob"], [3, 5, 6]),
        (["alice/eth", "alice/btc"], [1, 2, 4, 6]),
        (["alice/eth", "alice"], [1, 2, 4, 6]),
        (["a*"], [1, 2, 4, 6]),
        (["*/btc", "supervisor"], [0, 1, 2, 3, 4, 5]),
        (["--group", "night"], [3, 5]),
    ],
)
def test_which_lines_are_shown(
    logs: Path, words: list[str], expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "g.yaml").write_text(FLEET)
    monkeypatch.setenv("GRIDBOT_CONFIG_PATH", str(logs / "g.yaml"))
    assert seconds(run(logs, *words)) == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["carol"], "there are: alice, bob, supervisor"),
        (["--all", "alice"], "expected --all or names"),
        (["--all", "--group", "x"], "expected --all or names"),
        (["--level", "loud"], "expected a level"),
        (["../x"], "expected an account"),
    ],
)
def test_what_is_asked_wrong(logs: Path, words: list[str], text: str) -> None:
    error = run(logs, *words).exception
    assert isinstance(error, CommandError)
    assert text in error.text
    assert "expected a regular expression" in run(logs, "-g", "(").output
    assert "no logs are in" in str(run(logs / "nowhere", "--all").exception)


def test_following_goes_on_through_a_rotation(logs: Path, monkeypatch: Any) -> None:
    """A line that was written between the last reading and the rotation was lost."""
    path = logs / "logs" / "worker-alice.jsonl"
    rests: list[float] = []

    def meanwhile(wait_s: float) -> None:
        rests.append(wait_s)
        if len(rests) == 1:
            with path.open("a") as file:
                file.write(line(7, "before the rotation") + line(8, "half")[:20])
        elif len(rests) == 2:
            with path.open("a") as file:
                file.write(line(8, "half")[20:] + line(9, "just before it"))
            os.replace(path, path.with_name("worker-alice.jsonl.1"))
            path.write_text(line(10, "after it"))
            with (logs / "logs" / "worker-bob.jsonl").open("a") as file:
                file.write(line(8, "of bob", "worker-bob"))
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("supervisor.cli.logs.time.sleep", meanwhile)
    result = run(logs, "alice", "bob", "-f", "-n", "1")
    assert seconds(result) == [6, 7, 8, 8, 9, 10]
