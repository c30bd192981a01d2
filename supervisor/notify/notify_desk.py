"""The desk that tells people of alerts: it hears the supervisor, decides by `teller`, writes down, sends in threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gridbot import background
from gridbot.process_guard import ORPHAN_GRACE_S
from supervisor.control.control_client import ControlClient, ControlError
from supervisor.notify.apprise_door import Door
from supervisor.notify.incident_book import read_row
from supervisor.notify.message_text import Message
from supervisor.notify.notify_file import NotifyFile
from supervisor.notify.notify_spec import NotifySpec
from supervisor.notify.teller import WE_TELL, Event, Heard, Listed, Orphaned, Others, Passed, Teller, Went, due, step
from supervisor.status.whole_fleet import silent_hosts, whole_fleet

__all__ = ["Desk"]

log = logging.getLogger("supervisor.notify")

LIST_S: Final = 10.0
"""Between two looks at the whole status."""
FLEET_LIST_S: Final = 3.0
"""The same in a fleet: what other hosts have to tell stands in the status alone."""
ASK_S: Final = 5.0
LAST_S: Final = 3.0
"""How long the messages of an orderly end may take."""
ORPHANED_S: Final = 0.6 * ORPHAN_GRACE_S
GONE_S: Final = 0.2 * ORPHAN_GRACE_S
"""How much later than a signal to end the news may come that the supervisor is gone."""
MOST_THREADS: Final = 3
"""Threads that a service may keep waiting beyond the deadline; then there is another one each `STUCK_S` alone."""
STUCK_S: Final = 1800.0
MOST_STUCK: Final = 40
"""With so many that never end nothing more is sent there."""
Json = dict[str, Any]


class Desk:
    """Owns the state; `door` sends, `wall_us` is the time in microseconds UTC."""

    def __init__(self, spec: NotifySpec, door: Door, wall_us: Callable[[], int]) -> None:
        self.state = Teller()
        self._spec = spec
        self._plan = spec.plan
        self._door = door
        self._wall_us = wall_us
        self._file = NotifyFile(spec.data_dir)
        self._unsaved = ""
        self._heard_s: float | None = None
        self._listed_s: float | None = None
        self._saving = asyncio.Lock()
        self._sending: dict[asyncio.Task[None], str] = {}
        self._threads: dict[str, int] = {}
        self._began_s: dict[str, float] = {}

    async def open(self) -> None:
        """Take back what was to be told."""
        try:
            self.state = await asyncio.to_thread(self._file.load, self._plan.line_names)
        except OSError as error:
            log.warning("what was still to be told cannot be read: %s", error)

    def heard_s(self, now_s: float) -> float:
        """Seconds (monotonic) since the supervisor has last answered."""
        return float("inf") if self._heard_s is None else now_s - self._heard_s

    async def turn(self) -> None:
        """Hear, decide, write down, and begin to send what is due."""
        await self._hear()
        self._step(Passed())
        self._begin()
        await self._save()

    async def close(self, gone: asyncio.Event) -> None:
        """The last news, and a last try for what nobody has been told yet; then write down what is left.

        `gone`: the supervisor is, which is news too, and there is little time (`process_guard`). What its death sends
        comes in any order: a signal to end may be here before that.
        """
        self._plan = replace(self._plan, limits=replace(self._plan.limits, gather_us=0))
        if not gone.is_set() and not await self._has_heard():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), GONE_S)
        if gone.is_set():
            self._step(Orphaned())
            await self._save()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ORPHANED_S if gone.is_set() else LAST_S):
                self._begin()
                while self._sending:
                    await asyncio.wait(list(self._sending))
        await self._save()

    async def _has_heard(self) -> bool:
        """The last news of a supervisor that stops in order: whether it answered in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_S / 2):
                return await self._hear()
        return False

    def report(self) -> Json:
        """For `status`: each address by its route's name and its service, and nothing more of it."""
        now_us = self._wall_us()
        rows = []
        for route in self._plan.routes:
            for name, service in zip(route.lines, route.services, strict=True):
                line = self.state.lines.get(name)
                row: Json = {"route": name, "service": service, "waiting": 0, "messages": 0, "sent": 0}
                row |= {"given_up": 0, "tries": 0, "failing_s": None, "next_s": None, "problem": ""}
                if line is not None:
                    failing_s = round(max(0, now_us - line.failing_us) / 1e6, 1) if line.failing_us else None
                    next_s = round(max(0, line.next_us - now_us) / 1e6, 1) if line.tries else None
                    row |= {"waiting": len(line.waiting) + len(line.flying), "messages": line.messages}
                    row |= {"sent": line.sent, "given_up": line.given_up, "tries": line.tries}
                    row |= {"failing_s": failing_s, "next_s": next_s, "problem": line.problem}
                rows.append(row)
        known = self.state.book.known.values()
        return {"routes": rows, "open": sum(each.is_told and not each.gone_us for each in known)}

    def _step(self, event: Event) -> None:
        self.state = step(self.state, event, self._plan, self._wall_us())

    async def _hear(self) -> bool:
        """Whether the supervisor answered."""
        try:
            answers, status = await asyncio.to_thread(self._ask)
        except (ControlError, OSError) as error:
            log.debug("the supervisor does not answer: %s", error)
            return False
        self._heard_s = time.monotonic()
        for answer in answers:
            self._step(_read_news(answer, self._wall_us()))
        if status is not None:
            self._listed_s = self._heard_s
            status = whole_fleet(status)
            groups = {str(row["account"]): tuple(row["groups"]) for row in status["accounts"]}
            self._plan = replace(self._plan, groups=groups)  # accounts come and go by `reload`
            self._step(_read_status(status))
        return True

    def _ask(self) -> tuple[list[Json], Json | None]:
        """In a thread: all news, and the status when it is time for it."""
        run, last = self.state.run, self.state.last
        answers: list[Json] = []
        with ControlClient(self._spec.data_dir, timeout=ASK_S) as client:
            while not answers or answers[-1]["news"]:
                answers.append(client.request("news", run=run, after=last))
                run, last = answers[-1]["run"], answers[-1]["last"]
            listed_s = self._listed_s
            every_s = FLEET_LIST_S if "tells" in answers[-1] else LIST_S
            is_time = listed_s is None or time.monotonic() - listed_s >= every_s
            return answers, client.status() if is_time else None

    async def _save(self) -> None:
        try:
            async with self._saving:
                await asyncio.to_thread(self._file.save, self.state)
            self._unsaved = ""
        except OSError as error:
            if str(error) != self._unsaved:
                log.warning("what is still to be told cannot be written: %s; it is tried again", error)
            self._unsaved = str(error)

    def _begin(self) -> None:
        before_s = time.monotonic() - STUCK_S
        stuck = {
            name
            for name, count in self._threads.items()
            if count >= MOST_THREADS and (self._began_s[name] > before_s or count >= MOST_STUCK)
        }
        self.state, messages = due(self.state, self._plan, self._wall_us(), stuck)
        for name, message in messages:
            task = background.start(self._deliver(name, message), name=f"a message to {name}")
            self._sending[task] = name
            task.add_done_callback(lambda done: self._sending.pop(done, None))

    async def _deliver(self, name: str, message: Message) -> None:
        """In a thread, which is left alone when it is late: what it had to send waits, and is tried again."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[str] = loop.create_future()
        self._threads[name] = self._threads.get(name, 0) + 1
        self._began_s[name] = time.monotonic()

        def ended(problem: str) -> None:
            self._threads[name] -= 1
            if not sent.done():
                sent.set_result(problem)

        def work() -> None:
            problem = self._door.send(name, message)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ended, problem)

        threading.Thread(target=work, name=f"message to {name}", daemon=True).start()
        await asyncio.wait([sent], timeout=self._spec.deadline_s)
        late = f"the service did not answer in {self._spec.deadline_s:g} s"
        self._went(name, sent.result() if sent.done() else late)
        sent.cancel()
        await self._save()

    def _went(self, name: str, problem: str) -> None:
        was_failing = bool(self.state.lines[name].failing_us)
        self._step(Went(name, problem))
        if problem and not was_failing:
            log.warning("route %s: %s; what waits for it is kept and tried again", name, problem)
        elif not problem and was_failing:
            log.info("route %s: messages arrive again", name)


def _read_news(answer: Json, now_us: int) -> Heard:
    return Heard(
        run=str(answer["run"]),
        last=int(answer["last"]),
        rows=tuple(read_row(row) for row in answer["news"]),
        missed=int(answer["missed"]),
        asked={str(account): int(at_us) for account, at_us in answer["asked"].items()},
        stopping=answer["state"] == "stopping",
        others=_read_others(answer.get("tells"), now_us),
    )


def _read_others(tells: Json | None, now_us: int) -> Others:
    """Who tells, as the supervisor has it (`process.held_services`)."""
    match tells:
        case {"mode": "other", "lived_s": None}:
            return Others(0)
        case {"mode": "other", "lived_s": lived_s}:
            return Others(now_us - round(float(lived_s) * 1e6))
        case {"mode": "alone", "former": False}:
            return Others(hushed=frozenset({"fleet_database"}))
    return WE_TELL


def _read_status(status: Json) -> Listed:
    silent = frozenset(str(row["account"]) for row in status["accounts"] if row["health"] is None)
    silent |= {f"host {host}" for host in silent_hosts(status)}
    return Listed(status, tuple(read_row(row) for row in status["incidents"]), silent)
