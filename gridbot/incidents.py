"""Alerts as incidents: each has a beginning, a count and an end. One step function. Pure.

::

    Told, or Looked: it stands ──► Begun ──► open ──Over, or quiet for long enough──► Ended
                                             │  ▲
               Told again, stands again ─────┘  └─ counts; a higher level or a new cause is told once more: Worse

What it is about has a `Name`: key, where, and the cause of a fault. There are two kinds of news:

    Told     something happened: an order that is not ours, a fault. It is over when it has not come for a while.
    Looked   everything that stands now, once a second: a halt, a ban, a cap that is nearly used. What no longer stands
             is over, at once or (where it comes and goes) after a while: `ENDS_AFTER_S`.

One who knows more says `Over`. Whoever owns the state (a worker for its account, the supervisor for all else) logs and
records what begins, gets worse and ends, and shows what is open; a repetition only counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = [
    "DELETED",
    "ENDS_AFTER_S",
    "LOST",
    "OPEN_MAX",
    "QUIET_S",
    "Change",
    "Event",
    "Incident",
    "Incidents",
    "Looked",
    "Name",
    "Over",
    "Phase",
    "Standing",
    "Told",
    "end_words",
    "ends_after_s",
    "step",
]

DELETED, LOST = "deleted", "lost_records"
"""Keys: somebody has removed files, which were made again; records are lost. Open, they are reasons against health."""
QUIET_S = 600.0
"""What happened and does not happen again for so long is over."""
ENDS_AFTER_S: Mapping[str, float] = {
    # Watched each second: over when the watch says so.
    "halt": 0.0,
    "reduced": 0.0,
    "session_loss_limit": 0.0,
    "cap_latch": 0.0,
    "caps_silent": 0.0,
    "dead_man": 0.0,
    "auth": 0.0,
    "ip_ban": 0.0,
    "order_entry": 0.0,
    "no_order_number": 0.0,
    "room": 0.0,
    "terms": 0.0,
    "reduce_only": 0.0,
    "maintenance": 0.0,
    "announced": 0.0,
    "stale_price": 0.0,
    "job": 0.0,
    "fleet_database": 0.0,
    "fleet_lease": 0.0,
    "fleet_host": 0.0,
    "fleet_homeless": 0.0,
    "lease": 0.0,
    "notices": 0.0,
    "untold": 0.0,
    # Comes and goes: the next time soon after is the same incident.
    "cap": 60.0,
    "only_reduces": 60.0,
    "refused": 10.0,
    "standstill": 60.0,
    "listing": 60.0,
    "down": 60.0,
    "slow": 60.0,
    "money_rows": 3600.0,
    # Over when its owner says so.
    "session_loss_fees": math.inf,
    "journal": math.inf,
    "state_file": math.inf,
    "store": math.inf,
    # What is lost stays so until the process that tells it is started again.
    LOST: math.inf,
}
"""Seconds without it after which an incident is over, by the first word of its key; `QUIET_S` for all others."""
OPEN_MAX = 200
"""Open incidents that are remembered; the one that has been quiet for longest makes room."""
_LEVELS = ("info", "warning", "error", "critical")


class Name(NamedTuple):
    """What an incident is about: `where` is a strategy, or a child of the supervisor; "" is the account itself."""

    key: str
    where: str = ""
    cause: str = ""


class Phase(StrEnum):
    """What is told of an incident."""

    BEGUN = "begun"
    WORSE = "worse"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Incident:
    """`level` is warning, error or critical; `text` the newest one; `last_s` (monotonic) when it last came or stood.

    `shown` is False for one that another alert tells of: it is counted in silence. `fell`: it stood at an earlier look
    and not at the last one.
    """

    name: Name
    level: str
    text: str
    began_us: int
    last_s: float
    count: int = 1
    shown: bool = True
    stands: bool = False
    fell: bool = False
    cause: str = ""

    def row(self) -> dict[str, Any]:
        """JSON-able, as reports and `status` have it; `began_us` is in microseconds UTC."""
        return {
            "key": self.name.key,
            "where": self.name.where,
            "cause": self.name.cause,
            "level": self.level,
            "text": self.text,
            "began_us": self.began_us,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class Incidents:
    """The state: all open incidents by name, in the order in which they began."""

    open: Mapping[Name, Incident] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Those to be shown."""
        return [incident.row() for incident in self.open.values() if incident.shown]


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Told:
    """It has happened, perhaps again. With `shown` False another alert tells of it."""

    name: Name
    level: str
    text: str
    shown: bool = True


class Standing(NamedTuple):
    """What is said of something that stands. When a `cause` becomes known, or is another one, it is told once more."""

    level: str
    text: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """Everything that stands now."""

    standing: Mapping[Name, Standing]


@dataclass(frozen=True, slots=True)
class Over:
    """It is over, says its owner, with these words ("": the usual ones)."""

    name: Name
    text: str = ""


Event = Told | Looked | Over


class Change(NamedTuple):
    """An effect: log and record this, with this text."""

    phase: Phase
    incident: Incident
    text: str

    @property
    def level(self) -> str:
        """How much it matters now: an end is `info`."""
        return "info" if self.phase is Phase.ENDED else self.incident.level


def ends_after_s(name: Name) -> float:
    """Seconds without it after which it is over."""
    return ENDS_AFTER_S.get(name.key.partition(".")[0], QUIET_S)


def end_words(incident: Incident, now_us: int) -> str:
    """How an incident ended, for the operator: what it was, how often it came and how long it took."""
    seconds = max(0.0, (now_us - incident.began_us) / 1e6)
    times = "" if incident.count == 1 else f"{incident.count} times "
    return f"over, {times}in {seconds:.0f} s: {incident.text}"


def step(state: Incidents, event: Event, now_s: float, now_us: int) -> tuple[Incidents, list[Change]]:
    """Apply an event. `now_s` is monotonic seconds, `now_us` microseconds UTC."""
    turn = _Turn(dict(state.open), now_s, now_us)
    match event:
        case Told(name, level, text, shown):
            turn.came(name, level, text, shown)
        case Over(name, text):
            turn.end(name, text)
        case Looked(standing):
            turn.looked(standing)
    turn.make_room()
    return Incidents(turn.open), turn.changes


class _Turn:
    """One step under way."""

    def __init__(self, known: dict[Name, Incident], now_s: float, now_us: int) -> None:
        self.open = known
        self.changes: list[Change] = []
        self._now_s, self._now_us = now_s, now_us

    def came(self, name: Name, level: str, text: str, shown: bool) -> None:
        known = self.open.get(name)
        if known is not None and not known.stands and 0 < ends_after_s(name) <= self._now_s - known.last_s:
            self.end(name)  # nobody has looked meanwhile
            known = None
        if known is None:
            self._begin(Incident(name, level, text, self._now_us, self._now_s, shown=shown))
        else:
            self._again(known, level, text, counts=True)

    def looked(self, standing: Mapping[Name, Standing]) -> None:
        for name, (level, text, cause) in standing.items():
            known = self.open.get(name)
            if known is None:
                self._begin(Incident(name, level, text, self._now_us, self._now_s, stands=True, cause=cause))
            else:
                self._again(replace(known, stands=True), level, text, counts=known.fell, cause=cause)
        for name in [name for name in self.open if name not in standing]:
            incident = self.open[name]
            if self._now_s - incident.last_s >= ends_after_s(name):
                self.end(name)
            elif incident.stands:
                self.open[name] = replace(incident, stands=False, fell=True)

    def end(self, name: Name, text: str = "") -> None:
        incident = self.open.pop(name, None)
        if incident is not None:
            self._tell(Phase.ENDED, incident, text or end_words(incident, self._now_us))

    def make_room(self) -> None:
        while len(self.open) > OPEN_MAX:
            self.end(min(self.open.values(), key=lambda incident: (incident.stands, incident.last_s)).name)

    def _begin(self, incident: Incident) -> None:
        self.open[incident.name] = incident
        self._tell(Phase.BEGUN, incident, incident.text)

    def _again(self, known: Incident, level: str, text: str, *, counts: bool, cause: str = "") -> None:
        worse = _LEVELS.index(level) > _LEVELS.index(known.level)
        is_news = worse or cause not in ("", known.cause)
        self.open[known.name] = incident = replace(
            known,
            level=level if worse else known.level,
            text=text,
            last_s=self._now_s,
            count=known.count + counts,
            fell=False,
            cause=cause or known.cause,
        )
        if is_news:
            self._tell(Phase.WORSE, incident, text)

    def _tell(self, phase: Phase, incident: Incident, text: str) -> None:
        if incident.shown:
            self.changes.append(Change(phase, incident, text))
