"""Requests of the control socket, without processes: every declared command has its handler, and what is recorded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from gridbot.commands.command_table import FLEET_COMMANDS, find_command
from supervisor.children.policy_types import ProcessState
from supervisor.control import operations, worker_commands
from tests.case_table import case_table
from tests.supervisor.control.operations_rig import Rig


def test_every_command_for_the_fleet_has_its_handler_and_every_handler_its_command() -> None:
    assert list(Rig().operations.handlers) == [command.name for command in FLEET_COMMANDS]


def test_questions_are_not_recorded() -> None:
    rig = Rig()
    assert rig.ask("ping")["state"] == "running"
    assert rig.ask("status")["status"] == {"supervisor": {"state": "running"}}
    known = "ping, status, news, why, permits, config, settings, stop, reload, restart, ack, mute, unmute, worker"
    assert f"expected {known} or declined; did you mean status?" in rig.refusal("statis")
    assert rig.records == []


def test_a_stop_begins_and_is_recorded_as_it_was_asked_for() -> None:
    rig = Rig()
    assert rig.ask("stop", mode="cancel", force=False) == {"ok": True}
    assert rig.stops == [("cancel", False)]
    assert rig.records == [("stop", {"mode": "cancel", "force": False}, {"ok": True})]


@pytest.mark.parametrize("fields", [{"mode": "sell"}, {"mods": "cancel"}, {"force": "perhaps"}])
def test_a_stop_that_is_not_understood_does_not_begin_and_is_recorded(fields: dict[str, Any]) -> None:
    rig = Rig()
    error = rig.refusal("stop", **fields)
    assert rig.stops == []
    assert rig.records == [("stop", fields, {"ok": False, "error": error})]


def test_a_restart_by_account() -> None:
    rig = Rig()
    assert rig.ask("restart", child="alice") == {"ok": True, "child": "worker-alice"}
    assert [name for name, _ in rig.fleet.events] == ["worker-alice"]
    assert "there are writer, alice; did you mean alice?" in rig.refusal("restart", child="alise")
    assert rig.refusal("restart") == "expected child as an argument of restart, got none"
    rig.state = "stopping"
    assert rig.refusal("restart", child="alice") == "the supervisor is stopping"
    assert [answer["ok"] for _, _, answer in rig.records] == [True, False, False, False]


def test_a_refusal_repeats_the_beginning_of_what_was_asked_for_on_one_line() -> None:
    """A hundred thousand characters came back, and went into the records."""
    rig = Rig()
    long = "\x1b[2J\n" + "x" * 100_000
    for refusal in (rig.refusal("restart", child=long), rig.refusal(long), rig.refusal("worker", account=long),
                    rig.refusal("worker", account="alice", name=long),
                    rig.refusal("worker", account=long, name="pause")):  # fmt: skip
        assert len(refusal) < 1000
        assert refusal.isprintable()
    assert max(len(json.dumps(kept)) for kept in rig.records) < 2000


@case_table(
    ("fields", "error"),
    [
        (
            {"account": "alice", "name": "stop"},
            "expected pause, reduce, cancel, flatten, kill, resume, reconcile, correct or adopt, got 'stop'",
        ),
        (
            {"account": "alice"},
            "expected pause, reduce, cancel, flatten, kill, resume, reconcile, correct or adopt, got None",
        ),
        ({"account": "alice", "name": "pause", "args": {"x": 1}}, "expected strategy, reason or cancel as an argument"),
        *(
            ({"account": "alice", "name": "pause", "args": odd}, "expected the arguments of pause as an object")
            for odd in ([1], [], "", 0, False)
        ),
        ({"account": "writer", "name": "pause"}, "no account 'writer' here, only alice"),
    ],
)
def test_what_a_worker_cannot_do_is_refused_and_recorded_before_it_is_sent(fields: dict[str, Any], error: str) -> None:
    rig = Rig()
    assert (rig.refusal("worker", **fields)).startswith(error)
    assert [child.sent for child in rig.fleet] == [[], []]
    assert [(args, answer["ok"]) for _, args, answer in rig.records] == [(fields, False)]


def test_a_worker_that_does_not_run_takes_no_command() -> None:
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.BACKOFF
    answer = rig.ask("worker", account="alice", name="reconcile")
    assert answer["error"] == (
        "reconcile was not carried out: the worker of alice is BACKOFF; it takes commands when RUNNING"
    )
    assert answer["unanswered"], "exit code 5: the command line was no mistake"
    assert rig.fleet[1].sent == []


def test_a_command_that_needs_no_trading_worker_is_sent_to_one_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "WORKER_COMMANDS", [replace(find_command("reconcile"), needs_trading=False)])
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.STARTING
    assert rig.asked_and_answered("reconcile", ok=True, result="under way")["ok"]


def test_a_command_that_is_delivered_is_recorded_by_the_worker() -> None:
    rig = Rig()
    answer = rig.asked_and_answered("pause", {"strategy": "s"}, ok=True, result="1 paused")
    assert answer == {"ok": True, "delivered": True, "result": "1 paused"}
    [message] = rig.fleet[1].sent
    assert message.pop("expires_s") == 105.0
    assert message == {"type": "command", "id": 1, "name": "pause", "args": {"strategy": "s"}, "who": "op@host"}
    assert rig.records == []


def test_a_question_to_a_worker_is_passed_on_and_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    question = {"op": "why", "account": "alice", "strategy": "s"}
    assert rig.answered(question, ok=True, result={"strategies": []}) == {"ok": True, "why": {"strategies": []}}
    assert rig.fleet[1].sent == [{"type": "question", "id": 1, "strategy": "s"}]
    wrong = Rig().answered({**question, "strategy": "t"}, ok=False, error="expected a strategy of alice (s), got 't'")
    assert wrong == {"ok": False, "error": "expected a strategy of alice (s), got 't'"}
    assert rig.records == []


def test_what_an_account_runs_with_can_be_asked_and_is_not_recorded() -> None:
    rig = Rig()
    assert rig.ask("config", account="alice") == {"ok": True, "config": {"account": {"name": "alice"}}}
    assert "no account 'bob' here, only alice" in rig.refusal("config", account="bob")
    assert rig.records == []


def test_a_question_that_nobody_can_answer_says_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "QUESTION_WAIT_S", 0.01)
    rig = Rig()
    late = rig.ask("why", account="alice")
    assert late["unanswered"]
    assert "did not answer within 0.01 s (its last report came 3 s ago)" in late["error"]
    assert "`gridbot-supervisor restart alice --data-dir '/the data'` ends one that hangs" in late["error"]
    rig.operations.on_answer({"type": "answer", "id": 1, "ok": True, "result": {}})
    assert rig.alerts == []
    rig.fleet[1].reached = False
    assert "reads nothing at the moment" in rig.refusal("why", account="alice")
    rig.fleet[1].pid = None
    assert "nobody can answer" in rig.refusal("why", account="alice")
    assert "no account 'bob' here, only alice" in rig.refusal("why", account="bob")
    assert rig.records == []


@pytest.mark.parametrize("recorded", [True, False])
def test_what_a_worker_refuses_is_recorded_once(recorded: bool) -> None:
    """By the worker, and here too; but for one that starts, which has no journal yet, and recorded nothing."""
    rig = Rig()
    answer = rig.asked_and_answered("pause", {"strategy": "s"}, ok=False, error="no such strategy", recorded=recorded)
    assert answer == {"ok": False, "error": "no such strategy"}
    assert [name for name, _, _ in rig.records] == ([] if recorded else ["pause"])


@case_table(
    ("said", "who"),
    [(None, "op@host"), ("", "op@host"), (7, "op@host"), ("telegram:7", "telegram:7"), ("\x1b[2J", "\\x1b[2J")],
)
def test_who_gave_a_command_is_recorded(said: object, who: str) -> None:
    rig = Rig()
    for op, fields in (("restart", {"child": "alice"}), ("stop", {}), ("worker", {"account": "x", "name": "pause"})):
        rig.ask(op, **fields, **({} if said is None else {"who": said}))
    assert rig.by == [who] * 3
    assert [args for _, args, _ in rig.records] == [{"child": "alice"}, {}, {"account": "x", "name": "pause"}]


def test_a_command_that_its_operator_did_not_confirm_is_recorded_and_nothing_more() -> None:
    rig = Rig()
    args = {"targets": "alice bob"}
    assert rig.ask("declined", name="resume", args=args, why="expected 3 accounts, these are 2") == {"ok": True}
    assert rig.refusal("declined", name="resumee").startswith("expected pause, reduce")
    assert rig.records == [("resume", args, {"ok": False, "error": "expected 3 accounts, these are 2"})]
    assert [child.sent for child in rig.fleet] == [[], []]


def test_a_command_that_nobody_answers_was_not_carried_out_and_that_is_said_and_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was "ok", with the result None, and the command line ended with exit code 0."""
    monkeypatch.setattr(worker_commands, "ANSWER_GRACE_S", 0.0)
    rig = Rig()
    answer = rig.ask("worker", account="alice", name="reconcile", wait_s=0.01)
    assert answer["ok"] is False
    assert answer["unanswered"] is True
    assert answer["error"].startswith(
        "reconcile was not carried out: the worker of alice did not take it within 0.01 s"
    )
    assert "its last report came 3 s ago" in answer["error"]
    assert [(name, recorded["ok"]) for name, _, recorded in rig.records] == [("reconcile", False)]
    rig.operations.on_answer({"type": "answer", "id": 1, "ok": False, "error": "it was read too late"})
    assert rig.alerts == []


def test_what_was_carried_out_although_we_said_it_was_not_is_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_commands, "ANSWER_GRACE_S", 0.0)
    rig = Rig()
    rig.ask("worker", account="alice", name="reconcile", wait_s=0.0)
    for _ in range(2):
        rig.operations.on_answer({"type": "answer", "id": 1, "ok": True, "result": "1 paused"})
    [(level, text)] = rig.alerts
    assert (level, text.partition(":")[0]) == ("WARNING", "reconcile for alice was carried out after all")


def test_only_the_newest_given_up_commands_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_commands, "ANSWER_GRACE_S", 0.0)
    monkeypatch.setattr(worker_commands, "MOST_GIVEN_UP", 1)
    rig = Rig()
    for _ in range(2):
        rig.ask("worker", account="alice", name="reconcile", wait_s=0.0)
    for number in (1, 2):
        rig.operations.on_answer({"type": "answer", "id": number, "ok": True})
    assert len(rig.alerts) == 1


def test_a_worker_that_ends_before_it_answers_keeps_nobody_waiting() -> None:
    rig = Rig()

    async def run() -> dict[str, Any]:
        request = {"op": "worker", "account": "alice", "name": "reconcile", "wait_s": 3600.0}
        asked = asyncio.ensure_future(rig.operations.handle(request))
        while not rig.fleet[1].sent:
            await asyncio.sleep(0)
        rig.operations.on_exit(rig.fleet[0])
        rig.operations.on_exit(rig.fleet[1])
        rig.operations.on_exit(rig.fleet[1])
        return await asked

    answer = asyncio.run(run())
    assert (answer["ok"], answer["unanswered"]) == (False, True)
    assert answer["error"].startswith("the worker of alice ended before it answered (killed by the supervisor)")


def test_a_command_that_cannot_be_delivered_is_recorded_here() -> None:
    rig = Rig()
    rig.fleet[1].reached = False
    rig.refusal("worker", account="alice", name="reconcile")
    assert [name for name, _, _ in rig.records] == ["reconcile"]


def test_a_guest_is_lent_permits_and_what_it_says_is_checked() -> None:
    rig = Rig()
    assert rig.ask("permits", exchange="paper", seen=3) == {"ok": True, "guest": "of paper", "lent": 3}
    assert "expected bybit or paper in exchange, got 'moon'" in rig.refusal("permits", exchange="moon", seen=3)
    assert rig.refusal("permits", exchange="bybit") == "no permits: 'seen'"
    assert "no permits: invalid literal" in rig.refusal("permits", exchange="bybit", seen="many")
    assert rig.records == [], "it is no command"
