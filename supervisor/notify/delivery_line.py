"""What waits for one address, what is on its way, and when the next message may go. One step function each way. Pure.

::

    put ──► waiting ──take──► flying ──delivered──► gone
                ▲                │
                └────failed──────┘   tried again later each time; what came meanwhile is joined to it

Nothing is lost but what nobody could be told for `give_up_us`, and what has no room; both are counted, and the next
message says so. Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from supervisor.notify.alert_notices import Kind, Notice, joined, rank
from supervisor.notify.message_text import fitting

__all__ = ["Limits", "Line", "delivered", "failed", "put", "take"]

MINUTE_US: Final = 60_000_000
MOST_WAITING: Final = 5000
CRITICAL: Final = rank("CRITICAL")
"""What is so bad goes before whatever waits: after an hour without the service that may be many messages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`per_minute` messages; an alert waits `gather_us` for others, and a message as long after the one before."""

    gather_us: int = 5_000_000
    per_minute: int = 10
    retry_us: int = 5_000_000
    retry_most_us: int = 300_000_000
    give_up_us: int = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """`told` are the alerts that this address was told the beginning of; `lost` are notices given up and not yet said.

    The sums `put`, `sent`, `given_up` are of changes (`Notice.news`), `messages` of messages.
    """

    waiting: tuple[Notice, ...] = ()
    flying: tuple[Notice, ...] = ()
    told: frozenset[str] = frozenset()
    starts_us: tuple[int, ...] = ()
    next_us: int = 0
    tries: int = 0
    failing_us: int = 0
    problem: str = ""
    waited_us: int = 0
    """Between the tries since it fails, all together."""
    put: int = 0
    sent: int = 0
    messages: int = 0
    given_up: int = 0
    lost: int = 0

    def to_document(self) -> dict[str, Any]:
        """JSON-able. What is on its way counts as waiting: after a restart nobody knows whether it arrived."""
        return {
            "waiting": [notice.to_document() for notice in joined(self.flying, self.waiting)],
            "told": sorted(self.told),
            "starts_us": list(self.starts_us),
            **{name: getattr(self, name) for name in _NUMBERS},
            "problem": self.problem,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Line:
        """Read what `to_document` wrote. KeyError, TypeError or ValueError for anything else."""
        numbers: dict[str, Any] = {name: int(document[name]) for name in _NUMBERS if name != NEW}
        numbers[NEW] = int(document.get(NEW, 0))
        return cls(
            waiting=tuple(Notice.from_document(values) for values in document["waiting"]),
            told=frozenset(map(str, document["told"])),
            starts_us=tuple(map(int, document["starts_us"])),
            problem=str(document["problem"]),
            **numbers,
        )


NEW: Final = "waited_us"
"""Not in files of earlier versions."""
_NUMBERS: Final = (NEW, "next_us", "tries", "failing_us", "put", "sent", "messages", "given_up", "lost")


def put(line: Line, notices: Iterable[Notice]) -> Line:
    """News for this address. Of an alert whose beginning it was not told, the end is none; getting worse is one."""
    taken, told = list[Notice](), set(line.told)
    for notice in notices:
        if notice.kind is Kind.ENDED and notice.name not in told:
            continue
        kind = Kind.BEGUN if notice.kind is Kind.WORSE and notice.name not in told else notice.kind
        if notice.kind is Kind.ENDED:
            told.discard(notice.name)
        elif notice.kind is not Kind.LETTER:
            told.add(notice.name)
        taken.append(replace(notice, kind=kind))
    if not taken:
        return line
    waiting = joined(line.waiting, taken)
    line = replace(line, waiting=waiting, told=frozenset(told), put=line.put + sum(each.news for each in taken))
    return _give_up(line, _without_room(waiting))


def take(line: Line, limits: Limits, now_us: int, quiet_below: str = "") -> tuple[Line, tuple[Notice, ...]]:
    """What is to be sent now, as one message; nothing while something is on its way or it is too early.

    `quiet_below`: while it is quiet, the level from which on alerts are told all the same.
    """
    starts = tuple(start for start in line.starts_us if 0 <= now_us - start < MINUTE_US)
    too_early = 0 < line.next_us - now_us <= limits.retry_most_us  # else somebody has set the clock back
    if line.flying or too_early or len(starts) >= limits.per_minute:
        return line, ()
    ready = [each for each in line.waiting if not quiet_below or _is_told_in_quiet(each, quiet_below)]
    ready.sort(key=lambda each: rank(each.level) < CRITICAL)  # else in the order in which they came
    if not ready or not _is_time(ready, starts, limits, now_us):
        return line, ()
    chosen = tuple(ready[: fitting(ready)])
    names = {each.name for each in chosen}
    waiting = tuple(each for each in line.waiting if each.name not in names)
    return replace(line, waiting=waiting, flying=chosen, starts_us=(*starts, now_us)), chosen


def delivered(line: Line) -> Line:
    """What was on its way has arrived."""
    sent = line.sent + sum(each.news for each in line.flying)
    return replace(
        line, flying=(), sent=sent, messages=line.messages + 1, tries=0, next_us=0, failing_us=0, waited_us=0,
        problem="", lost=0,
    )  # fmt: skip


def failed(line: Line, why: str, limits: Limits, now_us: int) -> Line:
    """It has not, or nobody knows: it waits with what came meanwhile.

    Only what is old is given up, where it was tried for long: a machine that was off for two days, or whose clock was
    set by NTP, has tried nothing yet.
    """
    was_tried = line.waited_us >= limits.give_up_us // 2
    tries = line.tries + 1
    wait_us = min(limits.retry_most_us, limits.retry_us * 2 ** min(tries - 1, 30))
    line = replace(
        line,
        waiting=joined(line.flying, line.waiting),
        flying=(),
        tries=tries,
        next_us=now_us + wait_us,
        failing_us=line.failing_us or now_us,
        waited_us=line.waited_us + wait_us,
        problem=why,
    )
    old = [each for each in line.waiting if now_us - each.put_us > limits.give_up_us] if was_tried else []
    return _give_up(line, old)


def _is_told_in_quiet(notice: Notice, level: str) -> bool:
    return notice.kind is Kind.LETTER or rank(notice.level) >= rank(level)


def _is_time(ready: list[Notice], starts: tuple[int, ...], limits: Limits, now_us: int) -> bool:
    if ready[0].kind is Kind.LETTER:
        return True
    oldest_us = min(each.put_us for each in ready)
    gathered = now_us - oldest_us >= limits.gather_us or oldest_us > now_us
    return gathered and (not starts or now_us - starts[-1] >= limits.gather_us)


def _without_room(waiting: tuple[Notice, ...]) -> list[Notice]:
    """The least important ones, of those the oldest."""
    return sorted(waiting, key=lambda each: (rank(each.level), each.put_us))[: max(0, len(waiting) - MOST_WAITING)]


def _give_up(line: Line, those: list[Notice]) -> Line:
    if not those:
        return line
    names = {each.name for each in those}
    unheard = {each.name for each in those if each.kind is Kind.BEGUN}
    return replace(
        line,
        waiting=tuple(each for each in line.waiting if each.name not in names),
        told=line.told - unheard,
        given_up=line.given_up + sum(each.news for each in those),
        lost=line.lost + len(those),
    )
