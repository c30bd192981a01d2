"""What one host does for all: who it is, that it is one at a time, and who tells people of alerts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.fleet.fleet_incidents import standing
from supervisor.fleet.fleet_section import host_rows, incidents_elsewhere, untold_s, with_commands_for
from supervisor.fleet.fleet_services import NOTIFY, bot_service, is_service, service_home
from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View
from supervisor.fleet.host_placement import Placement
from supervisor.fleet.lease_types import Extended, Gained, Lapsed, Leave, Lost
from supervisor.process.fleet_door import FleetDoor
from supervisor.process.held_services import HeldServices

BOT = bot_service("123")


def host(name: str, *, left_s: float = 8.0, offers: str = NOTIFY, draining: bool = False, **more: Any) -> HostRow:
    values: dict[str, Any] = {"state": "up", "status_age_s": 1.0} | more
    names = frozenset(offers.split())
    return HostRow(name, f"run-{name}", values["state"], 9, "", "1", names, {}, draining, 1, "", left_s,
                   values["status_age_s"])  # fmt: skip


def lease(name: str, holder: str, *, left_s: float = 6.0, state: str = "held") -> LeaseSeen:
    return LeaseSeen(name, 3, holder, f"run-{holder}", state, "", left_s, 60.0)


@pytest.mark.parametrize(
    ("hosts", "leases", "home"),
    [
        ([host("h2"), host("h1")], [], "h1"),  # nobody has it: the first by name
        ([host("h1"), host("h2")], [lease(NOTIFY, "h2")], "h2"),  # who has it keeps it
        ([host("h1", offers=""), host("h2")], [], "h2"),  # h1 has no section for it
        ([host("h1", left_s=-1), host("h2")], [lease(NOTIFY, "h1")], "h2"),  # dead
        ([host("h1", draining=True), host("h2")], [lease(NOTIFY, "h1")], "h2"),  # drains
        ([host("h1", draining=True)], [lease(NOTIFY, "h1")], "h1"),  # nobody else could
        ([host("h1", draining=True)], [], "h1"),
        ([host("h1"), host("h2")], [lease(NOTIFY, "h2", left_s=-1)], "h1"),  # its time is over
        ([host("h1", offers="")], [], ""),
    ],
)
def test_which_host_does_it(hosts, leases, home):
    assert service_home(View(tuple(hosts), tuple(leases)), NOTIFY) == home


@given(
    hosts=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=5),
    holder=st.sampled_from(["", "h0", "h1", "h9"]),
)
def test_at_most_one_and_only_one_that_lives_and_could(hosts, holder):
    rows = tuple(
        host(f"h{n}", left_s=5 if alive else -5, offers=NOTIFY if offers else "", draining=draining)
        for n, (alive, offers, draining) in enumerate(hosts)
    )
    view = View(rows, (lease(NOTIFY, holder),) if holder else ())
    home = service_home(view, NOTIFY)
    able = {row.name for row in rows if row.alive and NOTIFY in row.offers}
    assert (home in able) if able else home == ""
    after = replace(view, leases=(lease(NOTIFY, home),))
    assert not home or service_home(after, NOTIFY) == home or next(r for r in rows if r.name == home).draining


def test_leases_of_services_are_no_accounts():
    view = View((host("h1", offers=f"alice {BOT}"),), (lease(NOTIFY, "h1"), lease("alice", "h1")))
    [row] = host_rows(view, None)
    assert (row["accounts"], row["offers"]) == (1, 1)
    assert [is_service(name) for name in (NOTIFY, BOT, "alice")] == [True, True, False]


class Desk:
    """What holds services on a host; `now_ns` is its boot clock."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.ended: list[str] = []
        self.quiet_for: list[str] = []
        self.held = HeldServices({NOTIFY: "notify", BOT: "telegram"}, self._end, clock_ns=lambda: self.now_ns)

    async def _end(self, process: str, within_s: float) -> None:
        self.ended.append(process)

    def quiet(self, account: str, *, answered: bool) -> None:
        self.quiet_for.append(account)

    def says(self, news: Any) -> None:
        self.held.on_lease(news, self)


def test_a_process_runs_under_its_lease_and_has_ended_before_another_host_may_begin():
    asyncio.run(_runs_under_its_lease(Desk()))


async def _runs_under_its_lease(desk):
    assert not desk.held.may_run("telegram")
    assert desk.held.may_run("notify"), "it hears on every host"
    desk.says(Gained(BOT, 4, 0, 9, ""))
    assert desk.held.may_run("telegram")
    desk.now_ns = 9  # a machine that was frozen: nobody had to tell it
    assert not desk.held.may_run("telegram")
    desk.says(Lapsed(BOT, 4))
    desk.says(Extended(BOT, 4, 9, 18))
    assert desk.held.may_run("telegram")
    for ending in (Leave(BOT, 4), Lost(BOT, 4)):
        desk.says(Gained(BOT, 4, 9, 18, ""))
        desk.says(ending)
        assert not desk.held.may_run("telegram")
        await _until(lambda: desk.quiet_for == [BOT])
        assert desk.ended == ["telegram"], "first the process, then the lease"
        desk.quiet_for.clear()
        desk.ended.clear()
    desk.says(Gained(NOTIFY, 1, 9, 18, ""))
    desk.says(Leave(NOTIFY, 1))
    await _until(lambda: desk.quiet_for == [NOTIFY])
    assert desk.ended == []


def test_a_supervisor_that_stood_still_takes_no_command_of_its_chat():
    """The bot asks whether it is its turn before it gives one; the machine may be frozen between the two."""
    asyncio.run(_takes_none_of_its_chat(Desk()))


async def _takes_none_of_its_chat(desk):
    door = FleetDoor(cast(Any, SimpleNamespace(store=SimpleNamespace(link=None))), cast(Any, None), lambda: 0.0, ())
    config = SimpleNamespace(accounts=[SimpleNamespace(name="alice")])
    door.host = cast(
        Any, SimpleNamespace(services=desk.held, settings=SimpleNamespace(config=config), has=lambda name: True)
    )
    pause = {"op": "worker", "account": "alice", "name": "pause"}
    desk.says(Gained(BOT, 4, 0, 9, ""))
    assert door.afar(pause, "telegram:5") is None, "it is carried out here"
    desk.now_ns = 9
    for request in (pause, {"op": "restart", "child": "worker-alice"}, {"op": "stop"}, {"op": "reload"}):
        refusal = door.afar(request, "telegram:5")
        assert refusal is not None, request
        answer = await refusal
        assert (answer["ok"], "another host of the fleet listens" in answer["error"]) == (False, True)
    for request, who in (
        ({"op": "status"}, "telegram:5"),
        ({"op": "declined", "name": "pause"}, "telegram:5"),
        (pause, "telegram:5 on h2"),
        (pause, "root"),
    ):
        assert door.afar(request, who) is None, (request, who)


async def _until(is_so):
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0)


def sight(view: View, *, away_s: float = 0.0, age_s: float = 1.0, untold: dict[str, float] | None = None) -> Any:
    return SimpleNamespace(
        view=view, away_s=away_s, age_s=age_s, begun=SimpleNamespace(times=SimpleNamespace(ttl_s=10)),
        untold_s=lambda host: (untold or {}).get(host, 0.0),
    )  # fmt: skip


def test_who_tells_people_of_alerts():
    desk = Desk()
    other = View((host("h1"), host("h2")), (lease(NOTIFY, "h2", left_s=6.0),))
    assert desk.held.tells(sight(other)) == {"mode": "other", "lived_s": 5.0}, "renewed 4 s before a look 1 s ago"
    failing = untold_s({"notify": {"routes": [{"failing_s": None}, {"failing_s": 600.0}, {"failing_s": 2.0}]}})
    assert desk.held.tells(sight(other, untold={"h2": failing})) == {"mode": "other", "lived_s": 605.0}
    assert (untold_s({"notify": None}), untold_s({})) == (0.0, 0.0)
    assert desk.held.tells(sight(View((host("h1"),)))) == {"mode": "other", "lived_s": None}
    assert desk.held.tells(sight(other, away_s=9, age_s=9))["mode"] == "other", "for a moment, and nobody is told twice"
    assert desk.held.tells(sight(other, away_s=11)) == {"mode": "alone", "former": False}
    desk.says(Gained(NOTIFY, 4, 0, 9, ""))
    assert desk.held.tells(sight(other)) == {"mode": "tells"}
    assert desk.held.wanted(View((host("h1"),)), "h1") == {NOTIFY}
    assert desk.held.wanted(View((host("h1"),)), "h2") == frozenset()
    desk.held.wanted(View((host("h1"),)), "h1")
    desk.now_ns = 10
    assert desk.held.tells(sight(other, away_s=11)) == {"mode": "alone", "former": True}


def test_a_dead_host_is_an_alert_until_it_is_back_and_one_that_just_came_makes_no_account_homeless():
    def about(
        *hosts: HostRow, leases: tuple[LeaseSeen, ...] = (), homeless: tuple[str, ...] = ("bob",)
    ) -> dict[str, str]:
        placed = Placement(homeless=dict.fromkeys(homeless, "no host has its keys"))
        found = standing(View(hosts, leases), placed, ["alice", "bob"], None, [])
        return {name.key: each.level for name, each in found.items()}

    dead, alive = host("h2", left_s=-5), host("h1")
    held = (lease("alice", "h2", left_s=-5),)
    assert about(alive, dead, leases=held, homeless=()) == {"fleet_host": "error"}
    assert about(alive, dead, homeless=()) == {"fleet_host": "warning"}, "its accounts run elsewhere"
    assert about(alive, host("h2", left_s=-5, state="down"), homeless=()) == {}, "it has ended in order"
    assert about(alive, host("h2", left_s=-90_000), homeless=()) == {}, "forgotten"
    assert about(alive) == {"fleet_homeless": "error"}
    assert about(alive, host("h3", status_age_s=None)) == {}, "it has not said yet whose keys it has"


def test_alerts_of_other_hosts_are_shown_once_and_by_who_has_the_account():
    def row(name: str, account: str = "", **more: Any) -> dict[str, Any]:
        return {"id": name, "account": account, "text": name, **more}

    own = {"incidents": [row("dead-h9")]}
    told = {
        "h2": {"incidents": [row("dead-h9"), row("writer-h2"), row("halt", "alice"), row("old", "bob")]},
        "h3": {"incidents": [row("halt-of-bob", "bob")]},
    }
    found = incidents_elsewhere(own, told, {"alice": "h2", "bob": "h3"})
    shown = [(each["id"], each["host"], each["account"]) for each in found]
    assert shown == [("writer-h2", "h2", ""), ("halt", "h2", "alice"), ("halt-of-bob", "h3", "bob")]


def test_commands_to_paste_are_for_the_host_that_has_asked(tmp_path):
    told = {"ok": True, "why": {"strategies": [{"holds": [{"lifted_by": "x resume a --data-dir '/of h2/data'"}]}]}}
    found = with_commands_for(told, tmp_path)
    assert found["why"]["strategies"][0]["holds"][0]["lifted_by"] == f"x resume a --data-dir {tmp_path}"
