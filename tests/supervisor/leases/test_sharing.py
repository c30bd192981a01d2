"""The supervisor's part and the workers' links together: leases, a ban for all, facts, what a next supervisor reads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gridbot.budget.line_starts import PATIENCE_S, SPARE_STARTS
from gridbot.exchange.bans import Ban, ban_of
from gridbot.incidents import Name
from gridbot.state.documents import StateFile
from gridbot.state.state_files import StateFiles
from gridbot.worker.fleet_link import EARLIER_S, KNOWN_S, FleetLink
from supervisor.leases.line_grants import WINDOW_S
from supervisor.leases.request_leases import DEAD_REST_S, FLOOR
from supervisor.leases.sharing import BAN_MOST_S, BYBIT, PAPER, Sharing
from tests.execution.support import ManualClock

ON = {"ada": BYBIT, "bob": BYBIT, "cyd": PAPER}


class Fleet:
    """Links that are joined to a `Sharing` without a pipe between them."""

    def __init__(self, **limits: int) -> None:
        self.clock = ManualClock()
        self.bans: dict[str, list[Ban]] = {name: [] for name in ON}
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.sharing = self.supervisor(limits.get("bybit", 100), limits.get("paper", 50))
        self.links = {name: self.link(name) for name in ON}

    def supervisor(self, bybit: int = 100, paper: int = 50) -> Sharing:
        return Sharing(
            ON, {BYBIT: bybit, PAPER: paper}, self.deliver, clock=self.clock.monotonic_s, wall_ms=self.clock.wall_ms
        )

    def link(self, name: str) -> FleetLink:
        link = FleetLink(self.clock, "x", lambda message: self.sharing.take(name, message))
        link.hear_bans(self.bans[name].append)
        return link

    def deliver(self, name: str, message: dict[str, Any]) -> None:
        self.sent.append((name, message))
        if name in self.links:
            self.links[name].on_message(message)

    def open(self) -> None:
        for link in self.links.values():
            link.budget.open()

    def row(self, exchange: str) -> dict[str, Any]:
        return next(row for row in self.sharing.rows() if row["exchange"] == exchange)


def test_each_exchange_has_its_own_permits() -> None:
    fleet = Fleet()
    fleet.open()
    fleet.sharing.look()
    held = {name: link.budget.permits.held for name, link in fleet.links.items()}
    assert all(count >= FLOOR for count in held.values())
    assert fleet.row(BYBIT)["lent"] == held["ada"] + held["bob"] == 100 - fleet.row(BYBIT)["free"]
    assert fleet.row(PAPER)["lent"] == held["cyd"]


def test_an_exchange_that_counts_nothing_limits_nobody() -> None:
    fleet = Fleet(paper=0)
    fleet.open()
    assert fleet.links["cyd"].budget.may_leave(4)  # type: ignore[arg-type]
    assert [row["exchange"] for row in fleet.sharing.rows()] == [BYBIT]
    fleet.links["cyd"].banned(ban_of(fleet.clock.now_s + 60, fleet.clock.now_s, None, 403))
    assert fleet.sharing.reasons() != []


def test_one_that_is_banned_silences_all_on_that_exchange_and_is_one_incident() -> None:
    fleet = Fleet()
    fleet.open()
    ban = ban_of(fleet.clock.now_s + 600, fleet.clock.now_s, None, 403)
    fleet.links["ada"].banned(ban)
    assert fleet.bans["ada"] == fleet.bans["cyd"] == [], "it knows; the other exchange has nothing to do with it"
    [told] = fleet.bans["bob"]
    assert (told.until_s, told.error.http_status) == (ban.until_s, 403)
    assert fleet.links["bob"].ban_left_s() == 600
    assert list(fleet.sharing.standing()) == [Name("ip_ban", "supervisor", BYBIT)]
    [reason] = fleet.sharing.reasons()
    assert reason.startswith("for 600 s more: Bybit: the exchange bans this address (HTTP 403)")
    assert fleet.row(BYBIT)["banned_s"] == 600
    fleet.links["bob"].banned(ban)
    assert len(fleet.bans["ada"]) == 0, "the same ban again is no news"


async def test_whoever_starts_during_a_ban_is_told() -> None:
    fleet = Fleet()
    fleet.links["ada"].budget.open()
    fleet.links["ada"].banned(ban_of(fleet.clock.now_s + 600, fleet.clock.now_s, 10018, None))
    await fleet.clock.advance(100)
    fleet.links["bob"].budget.open()
    assert fleet.links["bob"].ban_left_s() == 500
    await fleet.clock.advance(501)
    assert fleet.sharing.standing() == {}
    assert fleet.sharing.reasons() == []


async def test_the_permits_of_a_process_that_ended_rest() -> None:
    fleet = Fleet()
    fleet.open()
    free = fleet.row(BYBIT)["free"]
    fleet.sharing.gone("ada")
    fleet.links["ada"].budget.close()
    assert fleet.row(BYBIT)["free"] == free
    await fleet.clock.advance(DEAD_REST_S)
    fleet.sharing.look()
    assert fleet.row(BYBIT)["free"] == 100 - fleet.links["bob"].budget.permits.held
    fleet.sharing.gone("nobody")


def test_a_fact_goes_to_who_waits_for_it() -> None:
    fleet = Fleet()
    fleet.links.clear()
    since_s = fleet.clock.now_s
    fleet.sharing.take("ada", {"type": "fact_wanted", "key": "k", "since_s": since_s})
    fleet.sharing.take("bob", {"type": "fact_wanted", "key": "k", "since_s": since_s})
    fleet.sharing.take("ada", {"type": "fact_read", "key": "k", "value": 7})
    kinds = [(name, message["type"], message.get("value")) for name, message in fleet.sent]
    assert kinds == [("ada", "read_fact", None), ("bob", "fact_coming", None), ("bob", "fact", 7)]


async def test_who_takes_over_from_one_that_died_believes_what_the_others_do() -> None:
    clock = ManualClock()
    first, next_one = FleetLink(clock), FleetLink(clock, takes_over=True)
    await clock.advance(1)
    assert (first.facts_age_s, next_one.facts_age_s) == (EARLIER_S + 1, KNOWN_S + 1)


# ---------------------------------------------------------------------- what is kept


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


def kept(fleet: Fleet, files: StateFiles) -> None:
    """Have the fleet's supervisor keep what a next one has to know."""
    fleet.sharing.open(StateFile(files, "address.json"))


def file_directory(files: StateFiles) -> Path:
    return files.path("address.json").parent


async def test_the_next_supervisor_lends_nothing_that_may_be_in_use_and_knows_the_ban(files: StateFiles) -> None:
    fleet = Fleet()
    kept(fleet, files)
    fleet.open()
    fleet.links["ada"].banned(ban_of(fleet.clock.now_s + 300, fleet.clock.now_s, None, 403))
    fleet.sharing.look()
    used = 100 - fleet.row(BYBIT)["free"]
    assert used > 0
    assert files.close()
    after = fleet.supervisor()
    after.open(StateFile(StateFiles(file_directory(files)), "address.json"))
    [bybit, _] = after.rows()
    assert (bybit["free"], bybit["banned_s"]) == (100 - used, 300.0)
    await fleet.clock.advance(30)
    after.look()
    assert after.rows()[0]["free"] == 100


def test_what_is_kept_at_the_end_is_on_the_disk_when_that_returns(files: StateFiles) -> None:
    fleet = Fleet()
    kept(fleet, files)
    fleet.open()
    fleet.sharing.close()
    assert StateFile(StateFiles(file_directory(files)), "address.json").load() is not None
    assert [path.name for path in file_directory(files).iterdir()] == ["address.json"]


@pytest.mark.parametrize(
    "document",
    [
        {"version": 2, BYBIT: {"used": 90, "until_ms": 10**15}},
        {"version": 1, BYBIT: 7},
        {"version": 1, BYBIT: {"used": "x", "until_ms": None, "ban": []}},
        {"version": 1, BYBIT: {"used": -5, "until_ms": 10**15, "ban": {"until_ms": "soon"}}},
    ],
)
def test_a_file_that_says_nothing_useful_changes_nothing(files: StateFiles, document: dict[str, Any]) -> None:
    fleet = Fleet()
    file = StateFile(files, "address.json")
    file.save_now(document)
    fleet.sharing.open(file)
    assert fleet.row(BYBIT)["free"] == 100


def test_a_clock_that_was_ahead_silences_nobody_for_longer_than_a_ban_lasts(files: StateFiles) -> None:
    fleet = Fleet()
    file = StateFile(files, "address.json")
    far_ms = fleet.clock.wall_ms() + 10**9
    file.save_now({"version": 1, BYBIT: {"used": 90, "until_ms": far_ms, "ban": {"until_ms": far_ms}}})
    fleet.sharing.open(file)
    assert fleet.row(BYBIT)["banned_s"] == BAN_MOST_S
    assert fleet.row(BYBIT)["free"] == 10


async def test_a_start_beyond_its_part_is_granted_as_long_as_there_are_some_also_over_a_restart(
    files: StateFiles,
) -> None:
    fleet = Fleet()
    kept(fleet, files)
    answers = [await fleet.links["ada"].line_starts.wait_s() for _ in range(SPARE_STARTS)]
    assert answers == [0.0] * SPARE_STARTS
    assert await fleet.links["bob"].line_starts.wait_s() == WINDOW_S
    assert await fleet.links["cyd"].line_starts.wait_s() == 0.0, "another exchange"
    await fleet.clock.advance(1)
    fleet.sharing.close()
    fleet.sharing = fleet.supervisor()
    fleet.sharing.open(StateFile(files, "address.json"))
    assert await fleet.links["bob"].line_starts.wait_s() == pytest.approx(WINDOW_S - 1, abs=0.01)
    await fleet.clock.advance(WINDOW_S)
    assert await fleet.links["bob"].line_starts.wait_s() == 0.0


async def test_without_a_supervisor_that_answers_nothing_is_granted() -> None:
    clock = ManualClock()
    assert await FleetLink(clock).line_starts.wait_s() is None
    asked = asyncio.ensure_future(FleetLink(clock, "x", lambda message: None).line_starts.wait_s())
    await asyncio.sleep(0)
    await clock.advance(PATIENCE_S)
    assert await asked is None
