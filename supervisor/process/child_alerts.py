"""Alerts about children and the supervisor itself, as incidents: to the log, to `status`, and to its records.

A worker owns the incidents of its account and records them; what it tells of them is passed on here. All others begin,
are counted and end here. A repetition is no alert.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gridbot.incidents import DELETED, LOST, Change, Event, Incidents, Looked, Name, Over, Standing, Told, step
from supervisor.children.child import Child
from supervisor.children.policy_types import ProcessState
from supervisor.status.model import incident_row
from supervisor.store.supervisor_journal import SupervisorJournal
from supervisor.utc_time import utc_now

__all__ = ["Alerts", "failed_children"]

log = logging.getLogger("supervisor")

SHOWN: Final = 50
SELF: Final = "supervisor"
DOWN: Final = "down"
"""Key of the incident that a process has failed."""
ROOM: Final = "room"
"""Key of the incident that a process waits for room on the machine."""


class Alerts:
    """The only way to raise an alert; keeps the newest ones for `status`. The clocks: monotonic seconds, UTC µs.

    `feed` hears each change, as a row like those of `status`, with its phase.
    """

    def __init__(
        self,
        journal: SupervisorJournal,
        clock: Callable[[], float],
        wall_us: Callable[[], int],
        feed: Callable[[Mapping[str, Any], str], None] = lambda row, phase: None,
    ) -> None:
        self._journal = journal
        self._feed = feed
        self._clock = clock
        self._wall_us = wall_us
        self._incidents = Incidents()
        self._accounts: dict[str, str] = {}
        self._newest: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    @property
    def newest(self) -> list[dict[str, Any]]:
        """The last fifty beginnings and ends, oldest first: time, level, child, text."""
        return list(self._newest)

    @property
    def open(self) -> list[dict[str, Any]]:
        """The supervisor's own open incidents (`Incident.row`); `where` is the child."""
        return self._incidents.rows()

    def pass_on(self, child: Child, level: str, text: str, message: Mapping[str, Any]) -> None:
        """A worker tells of an incident that it has recorded itself; `message` has its row."""
        self._note(child.spec.name, child.spec.account, level, text)
        row = {**message, "level": message.get("severity", level), "text": text}
        self._feed(incident_row(child.spec.account, row), str(message.get("phase")))

    def add(self, child: Child, level: str, text: str, key: str = DOWN) -> bool:
        """About a child; whether it was told: a repetition is not. `level` is a logging level name."""
        self._accounts[child.spec.name] = child.spec.account
        return bool(self._step(Told(Name(key, child.spec.name), level.lower(), text)))

    def over(self, child: Child, key: str, text: str) -> None:
        """It is over, and this is how."""
        self._step(Over(Name(key, child.spec.name), text))

    def look(self, standing: Mapping[Name, Standing]) -> None:
        """Everything that stands now, once a second or so."""
        self._journal.look(self._clock())
        removed = self._journal.keep()
        if removed is not None:
            self._step(Told(Name(LOST if removed.lost else DELETED, SELF), "error", removed.text))
        if self._journal.problem:
            standing = {**standing, Name(ROOM, SELF): Standing("error", self._journal.problem)}
        self._step(Looked(standing))

    def own(self, level: str, text: str, cause: str = "") -> int:
        """About the supervisor itself; how often this cause (the text) has come in its incident, this time included."""
        name = Name("fault" if cause else "news", SELF, cause or text)
        self._step(Told(name, level.lower(), text))
        incident = self._incidents.open.get(name)
        return 1 if incident is None else incident.count

    def _step(self, event: Event) -> list[Change]:
        self._incidents, changes = step(self._incidents, event, self._clock(), self._wall_us())
        for change in changes:
            phase, incident, text = change
            level, child = change.level.upper(), incident.name.where
            self._note(child, self._accounts.get(child, ""), level, text)
            self._journal.alert(level, child, text, str(phase), incident.began_us, incident.count)
            self._feed(incident_row("", {**incident.row(), "text": text}), str(phase))
        return changes

    def _note(self, name: str, account: str, level: str, text: str) -> None:
        number = logging.getLevelNamesMapping().get(level, logging.WARNING)
        log.log(number, "%s: %s", name, text, extra={"account": account})
        self._newest.append({"time": utc_now(), "level": level, "child": name, "text": text})


def failed_children(children: Iterable[Child]) -> dict[Name, Standing]:
    """What stands of the children: who has failed and is not running again."""
    found = {}
    for child in children:
        state = child.state
        if state.process in (ProcessState.BACKOFF, ProcessState.FATAL) or (
            state.process is ProcessState.STARTING and state.failures
        ):
            level = "critical" if state.process is ProcessState.FATAL else "error"
            name = Name(ROOM if state.short else DOWN, child.spec.name)
            text = state.reason if state.short else child.last_exit or state.reason
            found[name] = Standing(level, text or str(state.process))
    return found
