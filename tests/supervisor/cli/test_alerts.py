"""`alerts`: what is open now, what was told, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from supervisor.cli import alerts
from supervisor.cli.main import cli
from supervisor.status.alert_marks import Marks, acknowledge, marked, mute
from tests.store.night import make_night
from tests.supervisor.status.test_alert_marks import NOW, row


class Client:
    """A supervisor with three open alerts: one acknowledged, one muted."""

    asked: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, *_: Any, timeout: float = 5.0) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def status(self) -> dict[str, Any]:
        rows = [row(since="2023-11-14T22:00:00Z", count=1), row(account="bob", since="2023-11-14T22:01:00Z", count=2)]
        rows.append(
            row("halt.BTCUSDT", "bob", since="2023-11-14T22:02:00Z", count=1, text=f"halted\x1b[2J{400 * '.'}lift it")
        )
        marks, _ = acknowledge(Marks(), rows, rows[0]["id"], "ann@host", NOW)
        marks, _ = mute(marks, rows, "halt", "", 3600, "ann@host", NOW)
        process = {"state": "RUNNING", "reason": ""}
        accounts = [
            {
                "account": name,
                "groups": [],
                "process": process,
                "health": "healthy",
                "freshness": "active",
                "reasons": [],
            }
            | {"strategies": [{"strat_id": "btc"}]}
            for name in ("alice", "bob")
        ]
        return {"accounts": accounts, "incidents": [marked(each, marks, NOW) for each in rows]}

    def request(self, name: str, **args: Any) -> dict[str, Any]:
        self.asked.append((name, args))
        return {"ok": True, "result": "muted until 2023-11-14T23:13:20Z, 1 open now"}


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "PatientClient", Client)
    monkeypatch.setattr(Client, "asked", [])
    monkeypatch.setenv("COLUMNS", "900")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["alerts", *words])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["bob", "alice"]),
        (["--muted"], ["bob", "bob", "alice"]),
        (["bob"], ["bob"]),
        (["list", "alice/btc"], ["alice"]),
        (["-n", "1", "--muted"], ["alice"]),
    ],
)
def test_open_alerts_without_muted_ones_and_acknowledged_ones_last(words: list[str], expected: list[str]) -> None:
    assert [each["account"] for each in json.loads(run(*words, "--json").output)["rows"]] == expected


def test_a_table_of_them_and_no_words_of_others_that_move_the_cursor() -> None:
    head, first, *_ = run("--muted").output.splitlines()
    assert head.split() == [
        "ID",
        "LEVEL",
        "ACCOUNT",
        "ABOUT",
        "KEY",
        "SINCE",
        "COUNT",
        "ACKNOWLEDGED",
        "MUTED_UNTIL",
        "TEXT",
    ]
    assert first.split()[1:5] == ["ERROR", "bob", "btc", "stale_price.BTCUSDT"]
    assert "\x1b" not in run("--muted").output
    assert "lift it" in run("--muted").output, "it ends with what there is to do"
    assert run("alice", "-n", "0").output == "no alert is open\n"


def test_what_is_said_of_them_is_sent_with_what_was_given_only() -> None:
    assert run("ack", "k3x9aq").output == "muted until 2023-11-14T23:13:20Z, 1 open now\n"
    run("mute", "halt", "--account", "bob", "--for", "2h")
    run("unmute", "halt")
    assert Client.asked == [
        ("ack", {"alert": "k3x9aq"}),
        ("mute", {"what": "halt", "period": "2h", "of_account": "bob"}),
        ("unmute", {"what": "halt"}),
    ]
    assert "Missing argument" in run("ack").output


def test_what_was_told_is_in_the_records_whether_it_runs_or_not(tmp_path: Path) -> None:
    make_night(tmp_path)
    found = json.loads(run("--from", "2023-11-14", "--json", "--data-dir", str(tmp_path)).output)["rows"]
    assert [(each["phase"], each["text"]) for each in found] == [("begun", "no order gets through"), ("ended", "over")]
    assert run("list", "bob", "--history", "--data-dir", str(tmp_path)).output == "no alert was told in that span\n"
