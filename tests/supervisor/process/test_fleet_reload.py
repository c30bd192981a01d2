"""A reload over several workers: all prepare, all apply, or those that have applied go back to the last good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.commands.arguments import ReloadArguments
from supervisor.children.config_source import ConfigSource, variables_in
from supervisor.children.policy_types import ProcessState
from supervisor.process.fleet_reload import FleetReload, Hands

BTC = {"strat_id": "btc", "account": "alice", "symbol": "BTCUSDT", "amount": "q0.01"}
ETH = {"strat_id": "eth", "account": "bob", "symbol": "ETHUSDT", "amount": "q0.1"}
Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


class Rig:
    """Two accounts; `answer` is what the worker of an account says to a step."""

    def __init__(self, place: Path, answer: Answer) -> None:
        place.mkdir(exist_ok=True)
        self.file = place / "g.yaml"
        self.write(BTC, ETH)
        self.source = ConfigSource(self.file, str(place / "data"), {})
        (place / "data").mkdir()
        self.asked: list[tuple[str, str, Any]] = []
        self.states = {"alice": ProcessState.RUNNING, "bob": ProcessState.RUNNING}
        self.launches = {"alice": 1, "bob": 1}
        self.done: list[str] = []
        self.alerts: list[str] = []
        self.answer = answer
        hands = Hands(lambda: False, lambda level, text: self.alerts.append(text), lambda *given: None)
        config = self.source.load({}, place / "data")
        parts: Any = self
        self.reload = FleetReload(config, self.source, place / "data", parts, parts, hands)

    def write(self, *strategies: dict[str, Any], **more: Any) -> None:
        accounts = [{"name": "alice"}, {"name": "bob"}]
        document = {"environment": "paper", "accounts": accounts, "strategies": strategies, **more}
        self.file.write_text(json.dumps(document))

    async def step(self, worker: Any, message: dict[str, Any], wait_s: float) -> dict[str, Any]:
        settings = message.get("settings")
        steps = None if settings is None else {each.strat_id: str(each.grid_step) for each in settings.strategies}
        self.asked.append((worker.name, message["step"], steps))
        usual = {"ok": True, "result": [] if message["step"] == "look" else "done"}
        return self.answer(worker.name, message) or usual

    def worker(self, account: str) -> Any:
        state = self.states[account]
        alive = state not in (ProcessState.BACKOFF, ProcessState.FATAL)
        return SimpleNamespace(
            name=account, launches=self.launches[account], state=SimpleNamespace(process=state, alive=alive)
        )

    async def begin(self, plan: Any) -> None:
        self.done.append("begin")

    def commit(self, plan: Any) -> None:
        self.done.append("commit")

    async def let_go(self, plan: Any) -> None:
        self.done.append(f"let go by {self.reload.facts()['hash']}")

    def end(self, account: str) -> bool:
        self.done.append(f"end {account}")
        return True

    def is_staged(self, account: str) -> bool:
        return True

    def ask(self, **args: Any) -> dict[str, Any]:
        return asyncio.run(self.reload.handle(ReloadArguments(**args), "me"))


def test_all_prepare_before_any_applies_and_only_then_it_counts(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda account, message: {})
    before = rig.reload.facts()
    rig.write({**BTC, "grid_step": 1}, {**ETH, "grid_step": 2})
    assert rig.reload.facts()["file_differs"]
    shown = rig.ask(dry_run=True)
    assert (shown["applied"], [step for _, step, _ in rig.asked]) == (False, ["look", "look"])
    assert rig.ask(plan="another")["error"].endswith("the file has changed since it was shown; reload again")
    rig.asked.clear()
    told = rig.ask(plan=shown["plan"])
    assert (told["applied"], told["result"]) == (True, "applied")
    steps = [step for _, step, _ in rig.asked]
    assert steps == ["look", "look", "prepare", "prepare", "apply", "apply"]
    after = rig.reload.facts()
    assert rig.done == ["begin", "commit", f"let go by {after['hash']}"], "what is in force is told before it is waited"
    assert (after["file_differs"], after["hash"] != before["hash"]) == (False, True)
    assert rig.ask()["lines"] == ["nothing differs from the configuration in force"]


def test_one_that_fails_sends_those_that_applied_back_to_the_last_good(tmp_path: Path) -> None:
    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        if account == "bob" and message["step"] == "apply":
            return {"ok": False, "error": "the disk is full"}
        return {}

    rig = Rig(tmp_path, answer)
    before = rig.reload.facts()["hash"]
    rig.write({**BTC, "grid_step": 1}, {**ETH, "grid_step": 2})
    told = rig.ask()
    assert "bob did not apply it: the disk is full" in told["error"]
    assert "rolled back to the last good configuration: alice" in told["error"]
    assert rig.asked[-1][1:] == ("apply", None)
    assert [(name, steps) for name, step, steps in rig.asked if step == "prepare"][2:] == [("alice", {"btc": "0.2"})], (
        "bob has said that nothing has changed with it"
    )
    assert (rig.done, rig.reload.facts()["hash"]) == (["begin"], before)
    assert "rolled back" in rig.alerts[0]


def test_one_that_does_not_go_back_by_itself_is_ended_and_begins_by_the_last_good(tmp_path: Path) -> None:
    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        is_second = sum(asked[:2] == (account, "prepare") for asked in rig.asked) > 1
        failed = message["step"] == "apply" and account == "bob"
        return {"ok": False, "unanswered": True, "error": "silent"} if failed or is_second else {}

    rig = Rig(tmp_path, answer)
    rig.write({**BTC, "grid_step": 1}, {**ETH, "grid_step": 2})
    assert "restarted, because it did not go back by itself: alice (silent), bob (silent)" in rig.ask()["error"]
    assert rig.done == ["begin", "end alice", "end bob"]


def test_what_a_held_strategy_places_is_said_to_wait_for_that(tmp_path: Path) -> None:
    row: dict[str, Any] = {"strategy": "btc", "symbol": "BTCUSDT", "mode": "live", "long": "0", "short": "0"}
    row |= {"keep": 0, "cancel": 0, "place": 12, "held": "paused"}

    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "result": [row]} if (account, message["step"]) == ("alice", "look") else {}

    rig = Rig(tmp_path, answer)
    rig.write({**BTC, "grid_step": 1}, ETH)
    line = rig.ask(dry_run=True)["lines"][0]
    assert line.endswith("; about 12 are placed when it trades again (it is held: paused)"), line


@pytest.mark.parametrize("begins", ["alice, which had applied it", "bob, which did not run"])
def test_one_that_began_by_the_old_configuration_while_another_applied_undoes_it_all(
    tmp_path: Path, begins: str
) -> None:
    """Else it would trade by what is not in force any more, and what was removed there with nobody to know of it."""
    name = begins.split(",")[0]

    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        if message["step"] == "apply":
            rig.launches[name] = 2
        return {}

    rig = Rig(tmp_path, answer)
    if name == "bob":
        rig.states["bob"] = ProcessState.BACKOFF
    before = rig.reload.facts()["hash"]
    rig.write({**BTC, "grid_step": 1}, {**ETH, "grid_step": 2})
    told = rig.ask()
    assert f"{name} did not apply it: its process began meanwhile" in told["error"]
    assert (rig.done, rig.reload.facts()["hash"]) == (["begin"], before)
    back = [account for account, step, _ in rig.asked if step == "prepare"][-1]
    assert back == ("bob" if name == "alice" else "alice"), "who had applied it goes back"


def test_what_cannot_be_asked_or_says_no_changes_nothing(tmp_path: Path) -> None:
    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        return {"ok": False, "error": "no such symbol"} if (account, message["step"]) == ("bob", "prepare") else {}

    rig = Rig(tmp_path, answer)
    rig.write({**BTC, "grid_step": 1}, {**ETH, "grid_step": 2})
    assert "nothing has changed: bob: no such symbol" in rig.ask()["error"]
    assert [name for name, step, _ in rig.asked if step == "forget"] == ["alice", "bob"]
    rig.states["alice"] = ProcessState.STARTING
    assert "the worker of alice is STARTING" in rig.ask()["error"]
    rig.file.write_text("accounts: [")
    told = rig.ask()
    assert (told["ok"], told["kind"], rig.done) == (False, "configuration", [])


def test_a_position_that_would_be_left_refuses_it_unless_that_is_wanted(tmp_path: Path) -> None:
    row = {"strategy": "eth", "symbol": "ETHUSDT", "mode": "live", "long": "0.3", "short": "0", "cancel": 4}

    def answer(account: str, message: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "result": [row]} if (account, message["step"]) == ("bob", "look") else {}

    rig = Rig(tmp_path, answer)
    rig.write(BTC)
    assert "bob/eth ETHUSDT long 0.3; close them with `gridbot-supervisor flatten bob/eth" in rig.ask()["error"]
    told = rig.ask(leave_positions=True)
    assert told["left_open"] == ["bob/eth ETHUSDT long 0.3"]
    assert "its 4 resting orders are cancelled, its position stays (long 0.3)" in told["lines"][0]
    assert told["asks"] == ["bob"]
    assert "nobody to look after them" in rig.alerts[0]
    assert "close them on the exchange" in rig.alerts[0]
    rig = Rig(tmp_path / "flat", answer)
    row.update(long="0", cancel=0)
    rig.write(BTC)
    assert rig.ask()["lines"][0].endswith("is removed: no order of it rests, it has no position")


def test_what_waits_for_a_restart_is_named_until_then(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda account, message: {})
    rig.write(BTC, ETH, order_sync_interval=9)
    told = rig.ask()
    assert "order_sync_interval 61.0 -> 9.0: NOT applied, needs restart of the supervisor" in told["lines"][0]
    assert rig.reload.facts()["waiting"] == ["order_sync_interval"]


def test_what_never_counts_for_what_is_there_waits_for_no_restart(tmp_path: Path) -> None:
    """It was told as "never" and as "until a restart" at once."""
    rig = Rig(tmp_path, lambda account, message: {})
    rig.write(BTC, ETH, accounts=[{"name": "alice", "balance": 9}, {"name": "bob"}])
    assert rig.ask()["result"].endswith("; NOT applied, whatever is restarted: alice: accounts.balance")
    assert rig.reload.facts()["waiting"] == []


def test_only_variables_that_the_file_names_are_given() -> None:
    assert variables_in("key: ${A_KEY} ${B:-x} $C", {"A_KEY": "1", "B": "2", "C": "3"}) == {"A_KEY": "1", "B": "2"}


def test_what_is_in_force_is_told_with_where_it_comes_from_and_without_secrets(tmp_path: Path) -> None:
    rig = Rig(tmp_path, lambda *_: {})
    bob = {"name": "bob", "environment": "testnet", "api_key": "${BOB}", "api_secret": "hush-hush-8"}
    rig.file.write_text(json.dumps({"accounts": [{"name": "alice", "environment": "paper"}, bob], "strategies": [ETH]}))
    rig.reload._source = ConfigSource(rig.file, None, {"BOB": "hush-hush-7"})
    runs = {"bob": {"account": {}, "strategies": [{**ETH, "grid_step": "0.7"}]}}
    told = asyncio.run(rig.reload.settings(lambda: runs))
    assert (told["ok"], told["file"]) == (True, str(rig.file))
    assert [(each["section"], each["name"].partition(" ")[0]) for each in told["sections"]] == [
        ("file", ""), ("account", "alice"), ("account", "bob"), ("strategy", "bob/eth")
    ]  # fmt: skip
    keys = {each["key"]: each["value"] for each in told["sections"][2]["values"]}
    assert (keys["api_key"], keys["api_secret"]) == ("set", "set")
    steps = [each for each in told["sections"][3]["values"] if each["key"] == "grid_step"]
    assert (steps[0]["value"], steps[0]["kind"]) == ("0.7", "running")
    assert "hush-hush" not in json.dumps(told)
    rig.file.write_text("accounts: [{name: [}")
    told = asyncio.run(rig.reload.settings(dict))
    assert (told["ok"], "refused as it is now" in told["error"]) == (False, True)
