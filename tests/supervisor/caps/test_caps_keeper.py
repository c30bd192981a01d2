"""The supervisor's caps with the workers' side of them: shares, latches, who does not answer, what is kept."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import GridbotConfig
from gridbot.incidents import Name
from gridbot.risk.fleet_share import FleetShare
from gridbot.state.documents import LoneStopFile
from gridbot.state.state_files import StateFiles
from supervisor.caps.answer_times import ANSWER_S, BEGUN_S, DONE_S, Stage
from supervisor.caps.caps_keeper import RETRY_S, CapsKeeper
from tests.execution.support import ManualClock

D = Decimal
NAMES = ("ann", "bob", "cyd")


class Fleet:
    """Three paper accounts, of which ann and bob have the label `vip`; links without a pipe between them."""

    def __init__(self, tmp_path: Path, **fleet: Any) -> None:
        self.clock = ManualClock()
        self.files = StateFiles(tmp_path)
        accounts = [{"name": name, "groups": ["vip"] if name != "cyd" else []} for name in NAMES]
        self.config = GridbotConfig.model_validate({"environment": "paper", "accounts": accounts, "fleet": fleet})
        self.killed: list[str] = []
        self.frozen: set[str] = set()
        self.dead: set[str] = set()
        self.begins: set[str] = set()
        self.begin()

    def begin(self) -> None:
        """A supervisor, and workers that have not spoken yet."""
        self.used = dict.fromkeys(NAMES, D(0))
        self.equity: dict[str, object] = {}
        self.told_news: list[str] = []
        self.keeper = CapsKeeper(
            self.config.cap_scopes(),
            self.deliver,
            lambda name: Stage.BEGINS if name in self.begins else Stage.DOWN if name in self.dead else Stage.TRADES,
            lambda name, action, why: self.killed.append(f"{name}: {why} ({action})"),
            clock=self.clock.monotonic_s,
            wall_ms=self.clock.wall_ms,
        )
        self.keeper.open(LoneStopFile(self.files, "fleet_caps.json"))
        self.workers = {name: self.worker(name) for name in NAMES}

    def worker(self, name: str) -> FleetShare:
        scopes = {s: c.max_notional is not None for s, (c, who) in self.config.cap_scopes().items() if name in who}
        share = FleetShare(scopes)
        word = self.keeper.word_for(name)
        assert word is not None
        share.hear(word, D(0), self.clock.now_s)
        return share

    def deliver(self, name: str, word: dict[str, Any]) -> None:
        """At once; a worker says at once when something new holds it."""
        if name not in self.frozen | self.dead | self.begins and self.workers[name].hear(
            word, self.used[name], self.clock.now_s
        ):
            self.told_news.append(name)

    def says(self, name: str, equity: object = 1000, short: object = 0, result: object = 0) -> None:
        figures = {"wallet": "1000", "equity": [str(equity)] * 2, "result": str(result), "counted_from": "0"}
        more = {"used": str(self.used[name]), "short": str(short)}
        self.equity[name] = equity
        self.keeper.take(name, {"type": "caps", **self.workers[name].said(), **figures, **more})
        while self.told_news:
            other = self.told_news.pop(0)
            self.says(other, self.equity.get(other, 1000))

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.2)):
            self.clock.now_s += 0.2
            self.keeper.look()

    def row(self, scope: str, cap: str) -> dict[str, Any]:
        return next(row for row in self.keeper.rows() if (row["scope"], row["cap"]) == (scope, cap))


def test_a_fleet_shares_its_notional_and_a_group_has_a_smaller_one_of_its_own(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_notional": "1000"}, groups={"vip": {"caps": {"max_notional": "x0.1"}}})
    assert [worker.share(fleet.clock.now_s) for worker in fleet.workers.values()] == [0, 0, 0]
    for name in NAMES:
        fleet.says(name)
    for name in NAMES:
        fleet.says(name, short=500)
    shares = {name: worker.share(fleet.clock.now_s) or D(0) for name, worker in fleet.workers.items()}
    assert shares["ann"] + shares["bob"] <= 200, "x0.1 of two wallets of 1000"
    assert shares["cyd"] > 400
    assert sum(shares.values()) <= 1000
    fleet.used = {"ann": D(100), "bob": D(60), "cyd": D(480)}
    for name in NAMES:
        fleet.says(name)
    assert fleet.row("fleet/paper", "max_notional")["used"] == "640.00"
    assert fleet.row("group vip/paper", "max_notional")["share"] == 0.8
    assert list(fleet.keeper.standing()) == [Name("cap.group vip/paper.max_notional", "supervisor")]
    assert fleet.keeper.reasons() == []


def test_a_latch_holds_all_at_once_a_silent_worker_is_killed_and_the_next_one_is_held(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%", "on_breach": "flatten"})
    for name in NAMES:
        fleet.says(name)
    fleet.frozen = {"bob"}
    fleet.says("ann", 699)
    held = {name: str(worker.held["fleet/paper"].action) for name, worker in fleet.workers.items() if worker.held}
    assert held == {"ann": "flatten", "cyd": "flatten"}
    fleet.pass_time(ANSWER_S - 0.2)
    fleet.says("ann", 699)
    fleet.says("cyd")
    assert fleet.killed == []
    fleet.pass_time(0.4)
    assert fleet.killed == ["bob: it does not answer while a cap holds its account (flatten)"]
    fleet.keeper.gone("bob")
    fleet.frozen = set()
    fleet.workers["bob"] = fleet.worker("bob")
    assert "fleet/paper" in fleet.workers["bob"].held, "before it says anything"
    fleet.says("bob")
    fleet.pass_time(2 * DONE_S)
    assert len(fleet.killed) == 1
    [text] = fleet.keeper.reasons()
    assert text.endswith("held until it is resumed: ann, bob, cyd")
    assert Name("cap_latch", "supervisor", "fleet/paper") in fleet.keeper.standing()


def test_one_that_talks_has_more_time_and_so_has_one_that_begins(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%"})
    for name in NAMES:
        fleet.says(name)
    fleet.frozen, fleet.begins = {"bob"}, {"cyd"}
    fleet.says("ann", 699)
    for _ in range(4):
        fleet.pass_time(0.6)
        fleet.says("bob")  # its queue is long: it has not read the word yet
    assert fleet.killed == []
    fleet.pass_time(0.8)
    assert len(fleet.killed) == 1


def test_what_a_cap_wants_is_done_also_where_no_process_of_the_account_lives(tmp_path: Path) -> None:
    """Orders of a FATAL worker, or of one that waited for its next start, rested on though the fleet was to be flat."""
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%", "on_breach": "cancel"})
    for name in NAMES:
        fleet.says(name)
    fleet.frozen, fleet.dead = {"bob"}, {"cyd"}
    fleet.says("ann", 699)
    fleet.dead.add("bob")
    fleet.keeper.gone("bob")  # it dies before it could say anything
    fleet.pass_time(ANSWER_S + 0.2)
    why = "it does not answer while a cap holds its account (cancel)"
    assert sorted(fleet.killed) == [f"bob: {why}", f"cyd: {why}"]
    fleet.pass_time(2 * BEGUN_S)
    assert len(fleet.killed) == 2, "once"
    fleet.keeper.not_done("cyd")  # the exchange did not answer
    fleet.pass_time(RETRY_S)
    assert len(fleet.killed) == 2
    fleet.pass_time(ANSWER_S + 0.4)
    assert fleet.killed[2:] == [f"cyd: {why}"], "again, and again only when that fails too"
    fleet.keeper.not_done("cyd")
    fleet.dead.remove("cyd")
    fleet.workers["cyd"] = fleet.worker("cyd")
    fleet.says("cyd")
    fleet.pass_time(2 * RETRY_S)
    assert not [text for text in fleet.killed[3:] if text.startswith("cyd")], "its next worker knows and does it"


def test_a_busy_supervisor_whose_looks_are_late_still_finds_who_does_not_answer(tmp_path: Path) -> None:
    """Twenty workers on two cores: looks came a second apart, each counted as a stall, and nobody was ever killed."""
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%"})
    for name in NAMES:
        fleet.says(name)
    fleet.frozen = {"bob"}
    fleet.says("ann", 699)
    for _ in range(2):
        fleet.clock.now_s += 0.9
        fleet.keeper.look()
    assert len(fleet.killed) == 1


def test_a_supervisor_that_stood_still_blames_nobody(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%"})
    for name in NAMES:
        fleet.says(name)
    fleet.frozen = {"bob"}
    fleet.keeper.look()
    fleet.says("ann", 699)
    fleet.clock.now_s += 60
    fleet.keeper.look()
    assert fleet.killed == []


def test_resume_lifts_it_for_one_account_and_outlives_both_processes(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%"})
    for name in NAMES:
        fleet.says(name)
    fleet.says("ann", 699)
    fleet.workers["cyd"].clear()
    fleet.says("cyd", 990)
    assert fleet.row("fleet/paper", "max_drawdown")["held"] == ["ann", "bob"]
    fleet.keeper.word_for("cyd")
    fleet.pass_time(1.2)
    assert fleet.workers["cyd"].held == {}, "an older word does not hold it again"
    fleet.files.close()
    fleet.files = StateFiles(tmp_path)
    fleet.begin()
    assert {name: bool(worker.held) for name, worker in fleet.workers.items()} == {
        "ann": True,
        "bob": True,
        "cyd": False,
    }
    assert fleet.row("fleet/paper", "max_drawdown")["limit"] == "268.90", "of the peak when it was resumed"
    fleet.says("cyd", 700)
    assert set(fleet.row("fleet/paper", "max_drawdown")["held"]) == set(NAMES), "it is watched on"


def test_what_a_dead_supervisor_had_lent_counts_until_the_account_says_more(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_notional": "1000"})
    for name in NAMES:
        fleet.says(name)
    fleet.says("ann", short=800)
    assert fleet.workers["ann"].share(fleet.clock.now_s) == 840
    fleet.pass_time(4)
    fleet.files.close()
    fleet.files = StateFiles(tmp_path)
    fleet.begin()
    fleet.says("bob", short=500)
    assert fleet.workers["bob"].share(fleet.clock.now_s) == 160
    fleet.used["ann"] = D(300)
    fleet.says("ann")
    assert fleet.workers["bob"].share(fleet.clock.now_s) == 525


def test_a_worker_that_begins_and_has_read_no_positions_yet_does_not_count_as_one_that_uses_nothing(
    tmp_path: Path,
) -> None:
    """Its share was lent to others meanwhile, and with its positions the sum was above the cap."""
    fleet = Fleet(tmp_path, caps={"max_notional": "1000"})
    for name in NAMES:
        fleet.says(name)
    fleet.says("ann", short=800)
    fleet.used["ann"] = D(800)
    fleet.says("ann")
    fleet.keeper.gone("ann")
    fleet.workers["ann"] = fleet.worker("ann")
    said = {**fleet.workers["ann"].said(), "wallet": None, "equity": None, "result": "0", "counted_from": "0"}
    fleet.keeper.take("ann", {"type": "caps", **said, "used": None, "short": "0"})
    fleet.says("bob", short=500)
    assert fleet.workers["bob"].share(fleet.clock.now_s) == 160
    fleet.says("ann")
    fleet.says("bob", short=500)
    assert fleet.workers["bob"].share(fleet.clock.now_s) == 200


def test_a_file_that_cannot_be_read_holds_everybody_and_only_reduces(tmp_path: Path) -> None:
    (tmp_path / "fleet_caps.json").write_text('{"version": 1, "sc')
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%", "on_breach": "flatten"})
    assert {str(worker.held["fleet/paper"].action) for worker in fleet.workers.values()} == {"reduce"}
    assert "it is unknown whom caps hold" in fleet.keeper.reasons()[0]
    fleet.files.close()
    assert (tmp_path / "fleet_caps.json.bad").exists()


def test_a_hold_that_the_file_has_lost_comes_back_from_the_worker(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_drawdown": "10%"})
    for name in NAMES:
        fleet.says(name)
    fleet.says("ann", 699)
    kept = fleet.workers["bob"]
    fleet.files.close()
    (tmp_path / "fleet_caps.json").unlink()
    fleet.files = StateFiles(tmp_path)
    fleet.begin()
    fleet.workers["bob"].restore(kept.held)
    fleet.says("bob")
    fleet.says("ann")
    assert fleet.row("fleet/paper", "max_drawdown")["held"] == ["bob"]


def test_without_caps_nothing_is_said_nor_kept(tmp_path: Path) -> None:
    keeper = CapsKeeper({}, lambda *_: pytest.fail("told"), Stage, lambda *_: None, clock=float, wall_ms=int)
    keeper.open(LoneStopFile(StateFiles(tmp_path), "fleet_caps.json"))
    keeper.take("ann", {"type": "caps"})
    keeper.gone("ann")
    keeper.look()
    assert (keeper.word_for("ann"), keeper.rows(), keeper.standing(), keeper.reasons()) == (None, [], {}, [])
    assert not (tmp_path / "fleet_caps.json").exists()


def test_an_account_that_comes_shares_from_then_on_and_one_that_leaves_is_spoken_to_no_more(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, caps={"max_notional": "1000", "session_loss_limit": "100"})
    for name in NAMES:
        fleet.says(name, short=100)
    accounts = [*fleet.config.accounts, fleet.config.account("cyd").model_copy(update={"name": "dora"})]
    fleet.config = fleet.config.model_copy(update={"accounts": tuple(accounts)})
    assert fleet.keeper.word_for("dora") is None
    fleet.keeper.join(fleet.config.cap_scopes())
    fleet.keeper.join(fleet.config.cap_scopes())
    fleet.workers["dora"], fleet.used["dora"] = fleet.worker("dora"), D(0)
    fleet.says("dora", short=100)
    assert D(fleet.keeper.word_for("dora")["shares"]["fleet/paper"][0]) >= 100  # type: ignore[index]
    rows = {row["cap"]: row for row in fleet.keeper.rows()}
    assert rows["max_notional"]["accounts"] == 4
    fleet.keeper.leave("bob")
    spoken: list[str] = []
    fleet.deliver = lambda name, word: spoken.append(name)  # type: ignore[method-assign]
    fleet.keeper._send = fleet.deliver
    fleet.dead.add("bob")
    fleet.says("ann", result=-500)
    fleet.pass_time(5.0)
    assert "bob" not in spoken
    assert {"ann", "cyd", "dora"} <= set(spoken)
    assert not [text for text in fleet.killed if text.startswith("bob")]
