"""What goes to a rescue where no worker takes it, what is kept for a next life, and what is read too late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gridbot.core.limits import OnBreach
from gridbot.flatten.flatten_words import BROKEN_OFF
from gridbot.worker.commands import Answer, answer_to, told
from supervisor.children.policy_types import ProcessState
from supervisor.control import operations, worker_commands
from tests.case_table import case_table
from tests.supervisor.control.operations_rig import Rig


@case_table("name", ["cancel", "flatten", "kill"])
@case_table("state", ["down", "reads nothing", "hangs"])
def test_what_needs_the_exchange_alone_goes_to_a_rescue_where_no_worker_takes_it(name: str, state: str) -> None:
    rig = Rig()
    if state == "down":
        rig.fleet[1].state.process = ProcessState.FATAL
    rig.fleet[1].reached = state != "reads nothing"
    answer = rig.rescued_by(name, ok=True, result="flat", recorded=True)
    assert answer == {"ok": True, "delivered": True, "result": "flat"}
    assert rig.rescued == ["worker-alice"]
    assert rig.records == [], "the rescue has recorded it"
    assert rig.rescue.sent[0]["who"] == "op@host"


def test_a_rescue_that_leaves_something_is_no_success_and_one_that_cannot_be_is_refused() -> None:
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.BACKOFF
    answer = rig.rescued_by("flatten", ok=False, unanswered=True, error="NOT flat: ...", recorded=True)
    assert answer == {"ok": False, "unanswered": True, "error": "NOT flat: ..."}
    rig.no_rescue = "somebody else has the key"
    refusal = rig.ask("worker", account="alice", name="flatten")
    assert refusal["error"] == "flatten was not carried out: somebody else has the key"
    assert refusal["denied"], "exit code 7: the command line was no mistake"
    assert [name for name, *_ in rig.records] == ["flatten"]
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.FATAL
    assert rig.rescued_by("flatten", ok=False, denied=True, error="the lock is held")["denied"]


@pytest.mark.parametrize("name", ["pause", "reduce"])
def test_what_only_holds_is_kept_for_the_next_life_of_a_worker_that_does_not_run(name: str) -> None:
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.FATAL
    assert rig.rescued_by(name, ok=True, result="1 paused")["ok"]
    assert rig.rescued == ["worker-alice"]


@pytest.mark.parametrize("name", ["pause", "reduce"])
@pytest.mark.parametrize("reads", [True, False])
def test_a_worker_that_hangs_is_ended_by_what_only_holds(monkeypatch: Any, name: str, reads: bool) -> None:
    """It was told to give the command again after a restart (exit code 5), and the grid went on meanwhile."""
    monkeypatch.setattr(worker_commands, "ANSWER_GRACE_S", 0.0)
    rig = Rig()
    rig.fleet[1].reached = reads
    answer = rig.rescued_by(name, ok=True, result="1 paused, for the next life of the worker", recorded=True)
    assert answer["result"] == "1 paused, for the next life of the worker"
    assert rig.rescued == ["worker-alice"]


@pytest.mark.parametrize(
    ("action", "name"), [(OnBreach.REDUCE, "reduce"), (OnBreach.CANCEL, "cancel"), (OnBreach.FLATTEN, "flatten")]
)
def test_what_a_cap_wants_goes_the_way_of_a_command_once_no_other_rescue_is_there(action: OnBreach, name: str) -> None:
    rig = Rig()
    rig.down = 2  # a rescue of another command is there for two looks

    async def run() -> dict[str, Any]:
        asked = asyncio.ensure_future(rig.operations.capped("alice", action, "summed equity fell"))
        while not rig.rescue.sent:
            await asyncio.sleep(0.01)
        rig.operations.on_answer({"type": "answer", "id": 1, "ok": True, "result": "done", "recorded": True})
        return await asked

    assert asyncio.run(run())["result"] == "done"
    [message] = rig.rescue.sent
    assert (message["name"], message["capped"], message["who"]) == (name, True, "a cap")
    assert message["args"] == {"reason": "summed equity fell"}
    assert (rig.rescued, rig.down) == (["worker-alice"], 0)


@pytest.mark.parametrize("deaths", [1, 2, 3])
def test_a_rescue_that_dies_is_followed_by_another(deaths: int) -> None:
    """One death of it, or of the process that forks, and the command was not carried out (exit code 5)."""
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.FATAL

    async def run() -> dict[str, Any]:
        asked = asyncio.ensure_future(rig.operations.handle({"op": "worker", "account": "alice", "name": "kill"}))
        for number in range(deaths):
            while len(rig.rescue.sent) == number:
                await asyncio.sleep(0.001)
            rig.operations.on_exit(rig.rescue)  # type: ignore[arg-type]
            await asyncio.sleep(0.001)
        if deaths < operations.RESCUES:
            while len(rig.rescue.sent) == deaths:
                await asyncio.sleep(0.001)
            rig.operations.on_answer({"type": "answer", "id": deaths + 1, "ok": True, "result": "flat"})
        return await asked

    answer = asyncio.run(run())
    assert answer["ok"] is (deaths < operations.RESCUES)
    assert len(rig.rescued) == min(deaths + 1, operations.RESCUES)
    assert answer["ok"] or answer["unanswered"], "exit code 5"


BROKEN = told(False, BROKEN_OFF)
NOT_TRADING = answer_to({"name": "kill"}, None, "stopping")


@pytest.mark.parametrize(
    ("state", "first"), [("running", BROKEN), ("stopping", BROKEN), ("running", NOT_TRADING), ("stopping", NOT_TRADING)]
)
def test_a_flatten_that_the_end_of_its_worker_breaks_off_goes_to_a_rescue_unless_all_stops(
    state: str, first: Answer
) -> None:
    """The operator was told with exit code 5 that somebody goes on with it, and not that it had worked.

    The supervisor counts a worker that a stranger sent SIGTERM as running: the command comes before that or after.
    """
    rig = Rig()

    async def run() -> dict[str, Any]:
        asked = asyncio.ensure_future(rig.operations.handle({"op": "worker", "account": "alice", "name": "kill"}))
        while not rig.fleet[1].sent:
            await asyncio.sleep(0.001)
        rig.state = state
        rig.operations.on_taken({"type": "taken", "id": 1})
        rig.operations.on_answer({"type": "answer", "id": 1, **first})
        while state == "running" and not rig.rescue.sent:
            await asyncio.sleep(0.001)
        rig.operations.on_answer({"type": "answer", "id": 2, "ok": True, "result": "flat"})
        return await asked

    answer = asyncio.run(run())
    assert answer["ok"] is (state == "running")
    assert answer.get("error") == (None if state == "running" else first["error"])
    assert "not_taken" not in answer


def test_a_rescue_that_has_answered_and_goes_on_makes_way_for_the_next_command(monkeypatch: Any) -> None:
    """`kill` was refused, and latched nothing, while a flatten that had answered went on for a quarter of an hour."""
    monkeypatch.setattr(operations, "SETTLING_S", -1.0)
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.FATAL
    rig.down = 1000
    assert rig.rescued_by("kill", ok=True, result="flat")["ok"]
    assert rig.down == 0


def test_a_command_that_is_read_when_nobody_waits_any_more_is_not_carried_out() -> None:
    """A frozen supervisor that came back flattened minutes after the operator had been told that it did not answer."""
    rig = Rig()
    late = rig.ask("worker", account="alice", name="flatten", until_s=99.0)
    assert late["unanswered"]
    assert late["error"] == "it was not carried out: this supervisor read it 1.0 s too late"
    assert rig.fleet[1].sent == rig.rescue.sent == []
    [(name, args, answer)] = rig.records
    assert (name, args["account"], answer["ok"]) == ("flatten", "alice", False)
    assert "until_s" not in args


def test_a_rescue_that_is_under_way_is_no_mistake_of_the_operator() -> None:
    rig = Rig()
    rig.fleet[1].state.process = ProcessState.FATAL
    rig.no_rescue, rig.under_way = "a rescue of alice is under way already", True
    assert rig.ask("worker", account="alice", name="flatten")["unanswered"], "exit code 5"
