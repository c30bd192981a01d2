"""One command for many accounts: who gets it, who has to confirm it, what is told and with which exit code.

The control socket is real; what answers there is in this file.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gridbot.commands.command_table import PAUSE, RESUME
from supervisor.cli.confirmation import require_confirmation
from supervisor.cli.error_report import explain
from supervisor.cli.main import Interrupted, cli
from supervisor.control.control_server import ControlServer
from supervisor.control.operator_name import user_at_host
from supervisor.exit_codes import CommandError

Json = dict[str, Any]


def account(name: str, *strategies: Json, groups: tuple[str, ...] = (), state: str = "RUNNING") -> Json:
    process = {"name": f"worker-{name}", "state": state}
    return {"account": name, "groups": list(groups), "process": process, "strategies": list(strategies)}


BTC = {"strat_id": "btc-a", "symbol": "BTCUSDT", "state": "active", "open_orders": 24, "long": {"size": "0.5"}}
STATUS = {
    "accounts": [
        account("alice", BTC, {"strat_id": "eth", "symbol": "ETHUSDT", "state": "paused"}, groups=("night",)),
        account("bob", {"strat_id": "btc-b"}, groups=("night", "vip"), state="BACKOFF"),
        account("carl"),
    ],
    "writer": {"process": {"name": "writer", "state": "RUNNING"}},
    "paper": None,
}


class Fleet:
    """A supervisor for `typed` lines. `says` is what an account answers instead of "done"."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.says: dict[str, Json] = {}
        self.asked: list[Json] = []
        self.together = 1
        """Nobody is answered before so many have been asked."""
        self.all_here = asyncio.Event()
        self.interrupted_by = ""
        """Who does not answer; when the others have, Ctrl-C is typed."""
        self.told = 0

    async def handle(self, request: Json, _: str) -> Json:
        if request["op"] == "status":
            return {"ok": True, "status": STATUS}
        self.asked.append(request)
        if request["op"] == "declined":
            return {"ok": True}
        if len(self.asked) >= self.together:
            self.all_here.set()
        await self.all_here.wait()
        name = request.get("account") or request["child"]
        if name == self.interrupted_by:
            while self.told < 2:
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        self.told += 1
        return self.says.get(name) or {"ok": True, "result": "done", "child": f"worker-{name}"}

    def typed(self, line: str) -> tuple[int, str, str]:
        """The exit code, what was printed, and what the failure said."""
        done = CliRunner().invoke(cli, [*shlex.split(line), "--data-dir", str(self.place)])
        if done.exception is None or isinstance(done.exception, SystemExit):
            return done.exit_code, done.stdout, done.stderr
        if isinstance(done.exception, Interrupted):
            return 130, done.stdout, done.stderr
        assert isinstance(done.exception, Exception)
        return int(explain(done.exception)), done.stdout, str(done.exception)

    def sent(self) -> list[str]:
        """Whom commands were sent for, as they are written on a command line."""
        found = []
        for request in self.asked:
            strategy = (request.get("args") or {}).get("strategy")
            name = request.get("account") or request.get("child") or ""
            found.append(f"{name}/{strategy}" if strategy else name)
        return sorted(found)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = Fleet(tmp_path)
    server = ControlServer(tmp_path, served.handle)
    asyncio.run_coroutine_threadsafe(server.open(), loop).result(10)
    yield served
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("pause alice", "alice"),
        ("pause alice bob/btc-b --cancel", "alice bob/btc-b"),
        ("pause '*/btc-*'", "alice/btc-a bob/btc-b"),
        ("pause --group vip carl", "bob carl"),
        ("pause --all --expect 3", "alice bob carl"),
        ("reconcile 'a*' carl", "alice carl"),
        ("restart writer --group night", "alice bob writer"),
        ("restart writer --group night --expect 2", "alice bob writer"),
        ("restart worker-carl carl", "carl"),
    ],
)
def test_each_command_goes_to_those_that_are_named(fleet: Fleet, line: str, sent: str) -> None:
    fleet.together = len(sent.split())  # one after the other nobody would ever be answered
    code, said, _ = fleet.typed(line)
    assert (code, fleet.sent()) == (0, sent.split()), said
    if line.startswith("pause"):
        assert sorted(said.splitlines()[: fleet.together]) == [f"{target}: done" for target in sent.split()]
        assert said.splitlines()[fleet.together :] == (
            [f"done for {fleet.together} of {fleet.together}"] if fleet.together > 1 else []
        )


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("pause alise", 2, "expected an account (alice, bob, carl), got 'alise'; did you mean alice?"),
        ("pause alice x", 2, "expected an account (alice, bob, carl), got 'x'"),
        (
            "pause",
            2,
            "expected ACCOUNT, ACCOUNT/STRATEGY, a pattern, --group NAME or --all, got none; there are alice, ",
        ),
        ("pause --group day", 2, "expected a group (night, vip), got 'day'"),
        (
            "reconcile alice/eth",
            2,
            "reconcile acts on whole accounts: expected ACCOUNT, got 'alice/eth'; write 'alice'",
        ),
        (
            "restart papre",
            2,
            "expected an account (alice, bob, carl, writer, worker-alice, worker-bob, worker-carl), got ",
        ),
        ("restart 'w*'", 2, "expected a pattern that fits an account (alice, bob, carl), got 'w*'"),
        ("correct alice bob --as-of 1", 2, "correct is for one account at a time, got 2: alice, bob"),
        ("pause alice --expect 2", 7, "expected 2 accounts (--expect), pause is for 1: alice; nothing was sent"),
        (
            "restart writer carl --expect 2",
            7,
            "expected 2 accounts (--expect), restart is for 1: carl; nothing was sent",
        ),
        ("resume --all --expect 2", 7, "expected 2 accounts (--expect), resume is for 3: alice, bob, carl; nothing"),
        (
            "resume alice/* bob",
            7,
            "expected --expect 2, because resume is for 2 accounts (alice, bob) and nobody can be asked here; "
            "add it when that is right; nothing was sent",
        ),
    ],
)
def test_what_is_not_right_sends_nothing(fleet: Fleet, line: str, code: int, text: str) -> None:
    for how in ("", " --json"):
        ended, said, error = fleet.typed(line + how)
        assert ended == code
        assert error.startswith(text)
        assert (
            said == "" if not how else json.loads(said) == {"command": line.split()[0], "error": error, "targets": []}
        )
    kept = [(request["op"], request["why"]) for request in fleet.asked]
    assert kept == ([("declined", error)] * 2 if code == 7 else []), "what is not confirmed is kept in the records"


def test_a_stop_that_closes_positions_is_confirmed_and_any_other_only_when_a_number_is_given(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asked for the number of all hosts of a fleet, of which it stops one."""
    monkeypatch.setitem(STATUS, "elsewhere", [account("dora")])
    wrong = "expected 2 accounts (--expect), stop is for 3: alice, bob, carl; nothing was sent"
    asked = "expected --expect 3, because stop is for 3 accounts (alice, bob, carl) and nobody can be asked here; "
    for line, text in (("stop --orders flatten", asked), ("stop --expect 2", wrong)):
        code, said, error = fleet.typed(line)
        assert (code, said, error[: len(text)]) == (7, "", text)
    assert [request["args"] for request in fleet.asked] == [
        {"mode": "flatten", "targets": "alice bob carl"},
        {"mode": None, "targets": "alice bob carl"},
    ]
    for line in ("stop --orders flatten --expect 3", "stop --orders cancel", "stop --json"):
        code, said, error = fleet.typed(line)
        assert code == 3, "it goes on, and finds that no process has the directory"
        assert (
            said == ""
            if "--json" not in line
            else json.loads(said)
            == {
                "command": "stop",
                "error": error,
                "exit_code": 3,
            }
        )


def test_whoever_is_behind_sudo_is_named(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "peter")
    fleet.typed("pause alice")
    [request] = fleet.asked
    assert request["who"] == f"peter as {user_at_host(os.getuid())}"


def test_dangerous_commands_for_the_strategies_of_one_account_need_no_number(fleet: Fleet) -> None:
    assert fleet.typed("resume 'alice/*'")[0] == 0
    assert fleet.sent() == ["alice/btc-a", "alice/eth"]


def test_files_that_a_shell_has_put_for_a_pattern_are_recognised(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "albums").touch()
    code, _, text = fleet.typed("pause albums")
    assert (
        code,
        text.endswith("; a shell puts the files that are here in the place of a pattern: write it in quotes"),
    ) == (
        2,
        True,
    )


REFUSED = {"ok": False, "error": "it is halted"}
FAULT = {"ok": False, "error": "unexpected ZeroDivisionError: ours", "fault": True}
SILENT = {"ok": False, "error": "it did not take it", "unanswered": True}


@pytest.mark.parametrize(
    ("says", "code", "last"),
    [
        ({}, 0, "done for 3 of 3"),
        ({"bob": REFUSED}, 11, "done for 2 of 3; NOT done: bob"),
        ({"bob": SILENT, "alice": REFUSED}, 11, "done for 1 of 3; NOT done: alice bob"),
        (dict.fromkeys(("alice", "bob", "carl"), REFUSED), 2, "done for 0 of 3; NOT done: alice bob carl"),
        ({"alice": REFUSED, "bob": FAULT, "carl": REFUSED}, 1, "done for 0 of 3; NOT done: alice bob carl"),
        ({"alice": REFUSED, "bob": SILENT, "carl": FAULT}, 5, "done for 0 of 3; NOT done: alice bob carl"),
    ],
)
def test_the_exit_code_says_whether_all_was_done(fleet: Fleet, says: dict[str, Json], code: int, last: str) -> None:
    fleet.says = says
    ended, said, _ = fleet.typed("pause --all")
    *lines, summary = said.splitlines()
    expected = {name: f"{name}: {'NOT DONE: ' + says[name]['error'] if name in says else 'done'}" for name in
                ("alice", "bob", "carl")}  # fmt: skip
    assert (ended, summary, sorted(lines)) == (code, last, sorted(expected.values()))
    document = json.loads(fleet.typed("pause --all --cancel --json")[1])
    assert document["exit_code"] == code
    assert (document["command"], document["args"], document["accounts"]) == ("pause", {"cancel": True}, 3)
    assert (document["done"], document["not_done"]) == (3 - len(says), len(says))
    for row in document["targets"]:
        answer = says.get(row["target"], {})
        assert row.pop("took_s") >= 0
        assert row == {
            "target": row["account"],
            "account": row["account"],
            "strategy": "",
            "ok": not answer,
            "result": None if answer else "done",
            "error": answer.get("error"),
            "unanswered": "unanswered" in answer,
        }
    assert [row["account"] for row in document["targets"]] == ["alice", "bob", "carl"]


def test_ctrl_c_says_who_has_not_answered_and_waits_for_nobody(fleet: Fleet) -> None:
    fleet.interrupted_by = "bob"
    code, said, error = fleet.typed("pause --all")
    text, _, named = error.strip().rpartition(": ")
    assert (code, text) == (130, "nothing is taken back by Ctrl-C: not answered yet, and perhaps carried out")
    assert "bob" in named.split(", ")
    assert not {f"{name}: done" for name in named.split(", ")} & set(said.splitlines())


@pytest.mark.parametrize(("says", "code"), [(REFUSED, 2), (SILENT, 5), (FAULT, 1)])
def test_one_target_alone_fails_with_its_own_words(fleet: Fleet, says: Json, code: int) -> None:
    fleet.says = {"bob": says}
    assert fleet.typed("pause bob/btc-b") == (code, "", says["error"])


def test_a_dry_run_shows_what_would_be_done_to_whom_and_sends_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    code, said, _ = fleet.typed("resume --all --dry-run")
    assert code == 0
    head, help_line, _, titles, *rows = said.splitlines()
    assert head == (
        "resume would be sent for 3 accounts, 3 strategies; it asks for that number, or --expect 3. Nothing was sent."
    )
    assert help_line.startswith("Let paused, reducing, halted or latched accounts")
    assert titles.split() == ["account", "strategy", "symbol", "state", "orders", "long", "short", "would"]
    assert [row.split()[:2] for row in rows] == [["alice", "btc-a"], ["alice", "eth"], ["bob", "btc-b"], ["carl", "0"]]
    assert rows[0].split()[2:7] == ["BTCUSDT", "active", "24", "0.5", "0"]
    assert rows[1].endswith("trades again")
    assert rows[2].endswith("nothing: its worker is BACKOFF")
    document = json.loads(fleet.typed("pause '*/btc-*' --cancel --dry-run --json")[1])
    assert (document["dry_run"], document["accounts"], len(document["targets"])) == (True, 2, 2)
    assert document["targets"][0] == {
        "target": "alice/btc-a",
        "account": "alice",
        "process": "RUNNING",
        "strategy": "btc-a",
        "symbol": "BTCUSDT",
        "state": "active",
        "orders": 24,
        "long": "0.5",
        "short": "0",
        "would": "sends no new order; 24 resting orders are cancelled",
    }
    for line, end in {
        "reconcile": "nothing: its worker is BACKOFF",
        "pause": "resting orders are left (kept for its next worker: this one is BACKOFF)",
        "flatten": "no position is closed (by a rescue process: its worker is BACKOFF)",
    }.items():
        [row] = json.loads(fleet.typed(f"{line} bob --dry-run --json")[1])["targets"]
        assert row["would"].endswith(end)
    dry = fleet.typed("restart writer carl --dry-run")[1].splitlines()
    assert dry[-1].startswith("writer")
    assert dry[0].startswith("restart would be sent for 1 account, 0 strategies, 1 other process.")
    assert fleet.asked == []


def test_the_number_of_accounts_is_asked_for_on_a_terminal() -> None:
    asked = []

    def answer(text: str) -> str:
        asked.append(text)
        return typed[-1]

    typed = ["2"]
    require_confirmation(RESUME, ["a", "b"], None, answer)
    assert asked == ["resume is for 2 accounts: a, b\nType the number of accounts to go on"]
    for word in ("", "3", "yes", "2x", "y" * 100):
        typed.append(word)
        with pytest.raises(CommandError, match=r"expected 2, the number of accounts, got .*; nothing was sent"):
            require_confirmation(RESUME, ["a", "b"], None, answer)
    asked.clear()
    require_confirmation(RESUME, ["a"], None, answer)
    require_confirmation(PAUSE, ["a", "b"], None, answer)
    require_confirmation(RESUME, ["a", "b"], 2, answer)
    assert asked == [], "one account, nothing that costs money, or the right number on the command line"
