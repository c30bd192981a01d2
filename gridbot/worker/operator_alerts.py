"""The alerts of one account: the owner of its incidents. What begins, gets worse or ends is recorded, then told.

Each is told also when it cannot be recorded. A repetition is counted, and seen in `rows` (the report, `status`) only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gridbot.incidents import Change, Event, Incidents, Looked, Name, Over, Standing, Told, step
from gridbot.ports import Clock
from gridbot.records.record_types import AlertRecord, UtcUs
from gridbot.worker.context import RecordSink

__all__ = ["Alerts", "Tell"]

log = logging.getLogger(__name__)

Tell = Callable[[Change], None]
"""Gets what began, got worse or ended; logs it and informs the supervisor."""


class Alerts:
    """One per account. Without a recorder nothing is recorded: the account's records are not open yet."""

    def __init__(self, recorder: RecordSink | None, tell: Tell, clock: Clock) -> None:
        self._recorder = recorder
        self._tell = tell
        self._clock = clock
        self._incidents = Incidents()

    def __call__(
        self, level: str, key: str, text: str, strategy: str = "", *, cause: str = "", shown: bool = True
    ) -> int:
        """Something happened; how often it has in this incident, this time included (`faults.Alert`)."""
        name = Name(key, strategy, cause)
        self._step(Told(name, level, text, shown))
        incident = self._incidents.open.get(name)
        return 1 if incident is None else incident.count

    def over(self, key: str, text: str, strategy: str = "") -> None:
        """Its owner says that it is over. Nothing when it is not open."""
        self._step(Over(Name(key, strategy), text))

    def look(self, standing: Mapping[Name, Standing]) -> None:
        """Everything that stands now; once a second."""
        if standing or self._incidents.open:
            self._step(Looked(standing))

    def rows(self) -> list[dict[str, Any]]:
        """The open incidents, JSON-able."""
        return self._incidents.rows()

    def _step(self, event: Event) -> None:
        now_s, now_us = self._clock.monotonic_s(), self._clock.wall_us()
        self._incidents, changes = step(self._incidents, event, now_s, now_us)
        for change in changes:
            self._carry_out(change)

    def _carry_out(self, change: Change) -> None:
        phase, incident, text = change
        name = incident.name
        record = AlertRecord(
            strategy=name.where,
            level=change.level.upper(),
            key=name.key,
            text=text,
            phase=str(phase),
            began_at=UtcUs(incident.began_us),
            count=incident.count,
        )
        try:
            if self._recorder is not None:
                self._recorder.record(record)
        except Exception:  # whatever it is: it must still be told, and an alert about it would fail in the same way
            log.exception("an alert could not be recorded")
        self._tell(change)
