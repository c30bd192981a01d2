"""A command that asks the exchange beside the workers: real socket, real server, the supervisor's own leases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gridbot.budget.address_budget import Done
from gridbot.budget.request_permits import REST_S, UNSURE_REST_S
from gridbot.exchange.bans import Ban, ban_of
from supervisor.control import guest as guest_module
from supervisor.control.control_server import ControlServer
from supervisor.control.guest import Guest
from supervisor.control.socket_protocol import Json, refused
from supervisor.leases.sharing import BYBIT, GUESTS_MOST, SILENT_S, Sharing
from tests.execution.support import ManualClock

SPARE = 6
LIMIT = 54


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOON_S", "SELDOM_S", "LOOK_S"):
        monkeypatch.setattr(guest_module, name, 0.01)


class Office:
    """As much of a supervisor as guests know, with one worker that is told things."""

    def __init__(self, data_dir: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.told: list[tuple[str, Json]] = []
        self.sharing = Sharing(
            {"ada": BYBIT},
            {BYBIT: LIMIT},
            lambda name, message: self.told.append((name, message)),
            clock=clock.monotonic_s,
            wall_ms=clock.wall_ms,
            spare={BYBIT: SPARE},
        )
        self.refuses = False
        self.server = ControlServer(data_dir, self.answer, left=self.sharing.left)

    async def answer(self, request: Json, who: str) -> Json:
        if self.refuses:
            return refused(f"unknown request {request['op']!r}")
        return {"ok": True, **self.sharing.ask(BYBIT, request)}

    def worker_wants(self, count: int, back: int = 0) -> None:
        lent = next((message["lent"] for _, message in reversed(self.told)), 0)
        wants = (0, 0, 0, count, 0, 0)
        self.sharing.take("ada", {"type": "requests", "seen": lent, "back": back, "wants": wants})

    @property
    def row(self) -> dict[str, Any]:
        return self.sharing.rows()[0]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def given(tasks: list[asyncio.Task[Done]], count: int) -> None:
    await until(lambda: sum(task.done() for task in tasks) == count)


def run(scene: Callable[[ManualClock], Awaitable[None]]) -> None:
    asyncio.run(scene(ManualClock()))  # type: ignore[arg-type]


def turns(guest: Guest, count: int) -> list[asyncio.Task[Done]]:
    return [asyncio.ensure_future(guest.budget.turn()) for _ in range(count)]


def test_on_an_idle_address_a_guest_is_quick_and_gives_way_to_who_trades(tmp_path: Path) -> None:
    async def scene(clock: ManualClock) -> None:
        office = Office(tmp_path, clock)
        office.worker_wants(0)
        await office.server.open()
        async with Guest(tmp_path, "bybit", SPARE, clock=clock) as guest:
            tasks = turns(guest, 29)
            await given(tasks, 29)
            assert office.row["guests"] == 29, "six spare ones, and of the pool as long as half is there"
            office.worker_wants(100)
            await until(lambda: guest.budget.permits.keep == SPARE)
            for task in tasks:
                task.result()(True)
            await clock.advance(REST_S + 0.1)
            await until(lambda: office.row["guests"] == SPARE)
            office.worker_wants(100)
            assert office.row["lent"] == LIMIT
            assert office.told[-1] == ("ada", office.told[-1][1]), "guests hear in their answers alone"
            more = turns(guest, 20)
            await given(more, SPARE)
            for task in more[:SPARE]:
                task.result()(True)
            for task in more[SPARE:]:
                task.cancel()
        await until(lambda: office.row["guests"] == 0)
        leases = office.sharing._leases[BYBIT]
        assert [(round(until_s - clock.now_s, 1), count) for until_s, _, count in leases.resting] == [(REST_S, SPARE)]
        await office.server.close()

    run(scene)


def test_what_was_not_answered_at_its_end_rests_for_longer_and_a_silent_one_is_gone(tmp_path: Path) -> None:
    async def scene(clock: ManualClock) -> None:
        office = Office(tmp_path, clock)
        await office.server.open()
        async with Guest(tmp_path, "bybit", SPARE, clock=clock) as guest:
            await given(turns(guest, 2), 2)
        await until(lambda: office.sharing._leases[BYBIT].resting)
        [(until_s, of_guest, count)] = office.sharing._leases[BYBIT].resting
        assert (until_s - clock.now_s, of_guest, count) == (UNSURE_REST_S, True, 2)
        silent = office.sharing.ask(BYBIT, {"seen": 0, "back": 0, "wants": (0, 0, 0, 0, 1, 0)})
        clock.now_s += SILENT_S + 0.1
        office.sharing.look()
        with pytest.raises(ValueError, match="not known here any more"):
            office.sharing.ask(BYBIT, {"guest": silent["guest"], "seen": 0, "back": 0, "wants": ()})
        for _ in range(GUESTS_MOST):
            office.sharing.ask(BYBIT, {"seen": 0, "back": 0, "wants": (0,) * 6})
        with pytest.raises(ValueError, match="wait for the end of one"):
            office.sharing.ask(BYBIT, {"seen": 0, "back": 0, "wants": (0,) * 6})
        await office.server.close()

    run(scene)


def test_when_supervisors_come_and_go_nothing_is_sent_until_what_was_sent_is_old(tmp_path: Path) -> None:
    async def scene(clock: ManualClock) -> None:
        async with Guest(tmp_path, "bybit", SPARE, clock=clock) as guest:
            tasks = turns(guest, 20)
            await given(tasks, SPARE)
            office = Office(tmp_path, clock)
            office.worker_wants(0)
            await office.server.open()
            await until(lambda: guest.budget.permits.keep == 0)
            for task in tasks[:SPARE]:
                task.result()(True)
            await clock.advance(REST_S - 0.1)
            await asyncio.sleep(0.05)
            assert sum(task.done() for task in tasks) == SPARE, "the supervisor does not know of the first ones"
            await clock.advance(0.2)
            await given(tasks, 20)
            assert office.row["guests"] == 14
            await office.server.close()
            await until(lambda: guest.budget.permits.keep == 0)
            for task in tasks[SPARE:]:
                task.result()(True)
            late = turns(guest, 20)
            await asyncio.sleep(0.05)
            assert sum(task.done() for task in late) == 0
            await clock.advance(REST_S + 0.1)
            await given(late, SPARE)
            for task in late:
                task.cancel()

    run(scene)


def test_of_a_supervisor_that_lends_nothing_a_guest_has_what_is_left_to_others(tmp_path: Path) -> None:
    async def scene(clock: ManualClock) -> None:
        office = Office(tmp_path, clock)
        office.refuses = True
        await office.server.open()
        async with Guest(tmp_path, "bybit", SPARE, clock=clock) as guest:
            tasks = turns(guest, 20)
            await given(tasks, SPARE)
            for task in tasks:
                task.cancel()
        await office.server.close()

    run(scene)


def test_a_ban_is_told_both_ways(tmp_path: Path) -> None:
    async def scene(clock: ManualClock) -> None:
        office, heard = Office(tmp_path, clock), list[Ban]()
        office.worker_wants(0)
        await office.server.open()
        async with Guest(tmp_path, "bybit", SPARE, clock=clock, on_ban=heard.append) as guest:
            told = {"type": "banned", "until_s": clock.now_s + 300, "ret_code": None, "http_status": 403}
            office.sharing.take("ada", told)
            await until(lambda: heard)
            assert [ban.until_s for ban in heard] == [clock.now_s + 300]
            guest.banned(ban_of(clock.now_s + 600, clock.now_s, 10018, None))
            await until(lambda: office.row["banned_s"] == 600)
            [*_, (name, message)] = office.told
            assert (name, message["ban"]["until_s"]) == ("ada", clock.now_s + 600)
            assert len(heard) == 1, "its own is no news"
        await office.server.close()

    run(scene)
