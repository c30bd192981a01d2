"""The process's parts together: the control socket, the real Apprise, a real HTTP server, the file on the disk."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.models import LoggingConfig
from gridbot.logging_setup import log_path, setup_logging, stop_logging
from supervisor.control.control_server import ControlServer
from supervisor.notify.alert_routes import Route
from supervisor.notify.alive_ping import AlivePing
from supervisor.notify.apprise_door import UNREADABLE, AppriseDoor
from supervisor.notify.delivery_line import Limits
from supervisor.notify.message_text import LONGEST_BODY, Message
from supervisor.notify.notify_desk import Desk
from supervisor.notify.notify_spec import NotifySpec
from supervisor.process.alert_feed import AlertFeed
from supervisor.status.alert_marks import Marks, marked
from supervisor.status.model import incident_row
from tests.coroutine_tests import TIMEOUT_S
from tests.supervisor.metrics.metric_models import recorded
from tests.supervisor.notify.notice_kit import plan
from tests.supervisor.notify.post_office import PostOffice, post_office

TOKEN = "T0P-SECRET-TOKEN"
QUICK = Limits(gather_us=50_000, per_minute=600, retry_us=50_000, retry_most_us=200_000)


@pytest.fixture
def our_log(tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What the process would write to its log, at DEBUG, without a secret that it knows of: reads it once."""
    setup_logging("notify", LoggingConfig(level="DEBUG"), tmp_path, console=False)

    def read() -> str:
        stop_logging()
        return log_path("notify", tmp_path).read_text()

    yield read
    stop_logging()


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as made:
        yield made


class Supervisor:
    """As much of one as is asked: its control socket with news and status."""

    def __init__(self, data_dir: Path) -> None:
        self.feed = AlertFeed("r1", Marks, lambda: "running", lambda: time.time_ns() // 1000)
        self.feed._asked = {}  # it did not just start
        self.open: list[dict[str, Any]] = []
        self.server = ControlServer(data_dir, self._handle)

    def tells(self, account: str, phase: str = "begun", level: str = "error", strategy: str = "s") -> None:
        row = {"key": "halt", "where": strategy, "level": level, "began_us": 1, "count": 1, "text": "halted"}
        shown = incident_row(account, row)
        self.feed.add(shown, phase)
        self.open = [each for each in self.open if (each["account"], each["strategy"]) != (account, strategy)]
        if phase != "ended":
            self.open.append(shown)

    async def _handle(self, request: dict[str, Any], peer: str = "") -> dict[str, Any]:
        if request["op"] == "news":
            return {"ok": True, **self.feed.news(request["run"], request["after"])}
        incidents = [marked(row, Marks(), time.time_ns() // 1000) for row in self.open]
        return {"ok": True, "status": {**recorded(), "incidents": incidents}}


async def until(condition: Callable[[], object], desk: Desk) -> None:
    """Turn after turn until it is so."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await desk.turn()
            await asyncio.sleep(0.02)


def desk_of(data_dir: Path, office: PostOffice, **changes: Any) -> Desk:
    made = plan(Route("phone", ("phone",), services=("json",)), limits=QUICK)
    spec = NotifySpec(data_dir, made, {"phone": office.url(TOKEN)}, **changes)
    return Desk(spec, AppriseDoor(spec.addresses), lambda: time.time_ns() // 1000)


async def test_a_storm_reaches_people_once_each_though_the_service_was_away_and_the_process_died(
    tmp_path: Path, office: PostOffice, our_log: Callable[[], str]
) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.server.open()
    try:
        office.status = 503
        desk = desk_of(tmp_path, office)
        await desk.open()
        for number in range(500):
            supervisor.tells(f"a{number % 50}", strategy=f"s{number}")
        await until(lambda: desk.state.lines.get("phone") and desk.state.lines["phone"].tries >= 2, desk)
        [row] = desk.report()["routes"]
        assert (row["service"], row["waiting"], row["problem"]) == ("json", 500, "the service answered HTTP 503")
        await desk.close(asyncio.Event())

        office.status = 200
        desk = desk_of(tmp_path, office)  # the next process
        await desk.open()
        await until(lambda: desk.state.lines["phone"].sent == 500, desk)
        supervisor.tells("a0", "ended", strategy="s0")
        await until(lambda: desk.state.lines["phone"].sent == 501, desk)
        await desk.close(asyncio.Event())
    finally:
        await supervisor.server.close()
    text = "\n".join(office.texts[:-1])
    assert Counter(re.findall(r"a[0-9]+/s[0-9]+", text)) == Counter(f"a{n % 50}/s{n}" for n in range(500))
    told = [int(number) for number in re.findall(r"a[0-9]+/s([0-9]+)", text)]
    assert told == sorted(told)
    assert len(office.letters) < 30
    assert "over, a0/s0: halt" in office.texts[-1]
    kept = (tmp_path / "notify" / "notify.json").read_text()
    assert (tmp_path / "notify" / "notify.json").stat().st_mode & 0o077 == 0
    log = our_log()
    assert TOKEN not in kept + log + str(desk.report())
    assert "route phone: the service answered HTTP 503" in log
    assert "route phone: messages arrive again" in log


async def test_a_service_that_does_not_answer_is_late_and_what_it_had_is_kept(
    tmp_path: Path, office: PostOffice
) -> None:
    supervisor = Supervisor(tmp_path)
    await supervisor.server.open()
    try:
        office.open.clear()
        desk = desk_of(tmp_path, office, deadline_s=0.2)
        await desk.open()
        supervisor.tells("alice")
        await until(lambda: (line := desk.state.lines.get("phone")) and line.problem, desk)
        assert desk.state.lines["phone"].problem == "the service did not answer in 0.2 s"
        office.open.set()
        await until(lambda: desk.state.lines["phone"].messages, desk)
        assert desk.state.lines["phone"].waiting == ()
        await desk.close(asyncio.Event())
    finally:
        await supervisor.server.close()


async def test_without_a_supervisor_nothing_is_told_and_nothing_breaks(tmp_path: Path, office: PostOffice) -> None:
    desk = desk_of(tmp_path, office)
    await desk.open()
    await desk.turn()
    assert desk.heard_s(0.0) == float("inf")
    await desk.close(asyncio.Event())
    assert (office.letters, desk.report()["open"]) == ([], 0)


async def test_a_file_that_cannot_be_read_is_set_aside_and_what_is_open_is_told(
    tmp_path: Path, office: PostOffice
) -> None:
    (tmp_path / "notify").mkdir()
    (tmp_path / "notify" / "notify.json").write_text('{"format": 1, "known": 7}')
    supervisor = Supervisor(tmp_path)
    await supervisor.server.open()
    try:
        supervisor.tells("alice")
        supervisor.feed._kept.clear()  # lost: the list of open alerts has it
        desk = desk_of(tmp_path, office)
        await desk.open()
        await until(lambda: len(office.letters) == 2, desk)
        await desk.close(asyncio.Event())
    finally:
        await supervisor.server.close()
    assert (tmp_path / "notify" / "notify.damaged").exists()
    assert [text.partition("\n")[0] for text in office.texts] == [
        "gridbot: news were missed",
        "gridbot: ERROR alice/s: halt",
    ]


@pytest.mark.parametrize(
    ("address", "status", "why"),
    [
        ("json", 200, ""),
        ("json", 401, "the service answered HTTP 401"),
        ("gone", 200, "the service could not be reached, or refused it"),
        ("nonsense", 200, UNREADABLE),
    ],
)
def test_why_a_message_did_not_arrive_is_said_without_its_address(
    office: PostOffice, our_log: Callable[[], str], address: str, status: int, why: str
) -> None:
    office.status = status
    addresses = {
        "json": office.url(f"{TOKEN}/?+X-Token={TOKEN}"),
        "gone": f"json://user:{TOKEN}@127.0.0.1:9/{TOKEN}",
        "nonsense": f"nonsense://{TOKEN}",
    }
    door = AppriseDoor({"x": addresses[address]})
    assert door.send("x", Message("title", "<b>_one_ & two*", "failure")) == why
    assert door.unreadable == (["x"] if address == "nonsense" else [])
    assert [letter["message"] for letter in office.letters] == ([] if why else ["<b>_one_ & two*"])
    assert TOKEN not in our_log()


def test_what_is_too_long_for_a_service_is_several_messages_unless_its_address_says_otherwise() -> None:
    short = "pover://ujxyzujxyzujxyzujxyzujxyzujxyz@a12345678901234567890123456789/"
    for address, mode in {short: "split", f"{short}?overflow=truncate": "truncate"}.items():
        service = next(iter(AppriseDoor({"x": address})._services["x"] or ()))
        assert (service.overflow_mode, service.body_maxlen < LONGEST_BODY) == (mode, True)


def test_whatever_a_service_raises_is_a_message_that_did_not_arrive(office: PostOffice) -> None:
    door = AppriseDoor({"x": office.url(TOKEN)})

    def ends(**_: Any) -> bool:
        raise SystemExit(TOKEN)

    assert door._services["x"] is not None
    door._services["x"].notify = ends  # type: ignore[assignment,method-assign]
    assert door.send("x", Message("title", "text", "info")) == "it failed with SystemExit"


async def test_the_ping_is_sent_while_the_fleet_is_looked_after_and_its_address_is_not_shown(
    office: PostOffice, our_log: Callable[[], str]
) -> None:
    alive = [False]
    ping = AlivePing(f"http://127.0.0.1:{office.port}/ping/{TOKEN}", 3600.0, lambda: alive[0], again_s=0.02)
    running = asyncio.ensure_future(ping.run())
    try:
        await asyncio.sleep(0)
        assert office.asked == []
        alive[0], office.status = True, 500
        async with asyncio.timeout(TIMEOUT_S):
            while not ping.report()["problem"]:  # type: ignore[index]
                await asyncio.sleep(0.02)
            assert ping.report() == {"sent": 0, "problem": "it answered HTTP 500"}
            office.status = 200
            while ping.report()["problem"]:  # type: ignore[index]
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
    assert TOKEN not in our_log()
    assert AlivePing("", 1.0, lambda: True).report() is None
