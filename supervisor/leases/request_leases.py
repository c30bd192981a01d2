"""How the requests of one address are shared among the accounts, as a step. Pure; times are monotonic seconds.

There are `limit` permits, each good for one request in five seconds (`gridbot.budget.request_permits` says why that is
safe). Each is in the `pool`, lent to a worker, or rests because whoever had it has died:

::

                    ┌── Lease, `lent` grows ──►  a worker  ── Said, `back` grows ──┐
    pool ◄──────────┤                               │                              ├──► pool
      ▲             └── Lease, `keep` is less ──►   │ Gone                         │
      └───────────────── after DEAD_REST_S ◄── resting ◄───────────────────────────┘

    event    what it changes                                          effects
    Said     what the worker has given back, and what it wants        permits are dealt
    Gone     its permits rest, it wants nothing                       -
    Banned   nobody may send before its end                           Lease to everybody
    Tick     permits have rested                                      permits are dealt

Permits are dealt one by one. First everybody gets its `floor`; then the more urgent purpose is served, and of equal
ones the account that has the fewest. Nobody goes beyond its fair part (of what does not rest) while an account that is
busy (or about to start) has less than that, but cancels and closes may. When the pool is empty and somebody below its
part wants more, those who have more are asked to `keep` less: those without use for it first. Nobody is asked for its
floor. What a frozen worker does not give back is nobody else's until it has died.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gridbot.budget.request_permits import UNSURE_REST_S, Purpose

__all__ = [
    "DEAD_REST_S",
    "START_S",
    "Banned",
    "Effect",
    "Event",
    "Gone",
    "Lease",
    "Leases",
    "Said",
    "Tick",
    "step",
]

FLOOR: Final = 4
AHEAD: Final = 10
DEAD_REST_S: Final = UNSURE_REST_S
"""From the end of a process until its permits are good again: its last request may have been on the way."""
BUSY_S: Final = 5.0
"""Who wanted something in that time may want more."""
START_S: Final = 30.0
"""For so long after our own start an account that has not been heard of is kept its fair part."""
ASKED_S: Final = 1.0
"""What was asked back for so long without an answer does not come soon."""
LOST_S: Final = 0.3
"""Who does not know after so long what it was lent is told again."""
AHEAD_FROM: Final = 4
"""Permits to have at hand are dealt while more than one in so many is in the pool."""


@dataclass(slots=True)
class Member:
    """One account. `lent` and `back` count in all, of its present process."""

    lent: int = 0
    back: int = 0
    keep: int | None = None
    asked_s: float = 0.0
    seen: int = 0
    wants: tuple[int, ...] = (0,) * len(Purpose)
    is_there: bool = False
    wanted_s: float = float("-inf")
    told_s: float = float("-inf")

    @property
    def held(self) -> int:
        return self.lent - self.back

    def unmet(self) -> list[int]:
        """What it wants by purpose, without what is on the way to it."""
        coming = self.lent - self.seen
        left = []
        for count in self.wants:
            met = min(count, coming)
            coming -= met
            left.append(count - met)
        return left


class Leases:
    """The state, changed by `step` alone. `names` are the accounts that are going to start."""

    def __init__(self, limit: int, names: Sequence[str], now_s: float) -> None:
        self.limit = limit
        each = limit // max(1, 2 * len(names))
        self.floor = min(FLOOR, max(1, each) if len(names) <= limit else 0)
        self.ahead = min(AHEAD, each)
        self.pool = limit
        self.resting: list[tuple[float, int]] = []
        """Permits whose last holder has died: when they are good again, and how many."""
        self.members = {name: Member() for name in names}
        self.began_s = now_s
        self.banned_until_s = 0.0

    def inherit(self, used: int, until_s: float) -> None:
        """An earlier supervisor had lent so many permits, which are good again then. Call it before any are lent."""
        used = min(max(0, used), self.pool)
        if used:
            self.pool -= used
            heapq.heappush(self.resting, (until_s, used))


# ---------------------------------------------------------------------- events and effects


@dataclass(frozen=True, slots=True)
class Said:
    """A worker says what it had been lent in all, has given back in all, and wants, by purpose."""

    name: str
    seen: int
    back: int
    wants: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """The worker's process has ended."""

    name: str


@dataclass(frozen=True, slots=True)
class Banned:
    """The exchange bans the address, as a worker was told, until then."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Said | Gone | Banned | Tick


@dataclass(frozen=True, slots=True)
class Lease:
    """Tell a worker what it has been lent in all, and how much of that it may keep (None: all)."""

    name: str
    lent: int
    keep: int | None


Effect = Lease


# ---------------------------------------------------------------------- the step


def step(state: Leases, event: Event, now_s: float) -> list[Effect]:
    """Apply an event; returns whom to tell what. The state is changed in place, here and nowhere else."""
    if isinstance(event, Banned):
        if event.until_s <= state.banned_until_s:
            return []
        state.banned_until_s = event.until_s
        return [_lease(name, each) for name, each in state.members.items() if each.is_there]
    told: set[str] = set()
    if isinstance(event, Said):
        _note(state, event, now_s, told)
    elif isinstance(event, Gone):
        _bury(state, event.name, now_s)
    while state.resting and state.resting[0][0] <= now_s:
        state.pool += heapq.heappop(state.resting)[1]
    _deal(state, now_s, told)
    for name in told:
        state.members[name].told_s = now_s
    return [_lease(name, state.members[name]) for name in sorted(told)]


def _lease(name: str, member: Member) -> Lease:
    return Lease(name, member.lent, member.keep)


def _note(state: Leases, event: Said, now_s: float, told: set[str]) -> None:
    member = state.members.setdefault(event.name, Member())
    if not member.is_there:
        member.is_there = True
        member.wanted_s = now_s
        told.add(event.name)
    back = min(max(event.back, member.back), member.lent)
    state.pool += back - member.back
    member.back = back
    member.seen, member.wants = event.seen, event.wants
    if event.seen < member.lent and now_s - member.told_s >= LOST_S:
        told.add(event.name)
    if any(event.wants[: Purpose.AHEAD]):
        member.wanted_s = now_s
    if member.keep is not None and member.held <= member.keep:
        member.keep = None
        told.add(event.name)


def _bury(state: Leases, name: str, now_s: float) -> None:
    member = state.members.get(name)
    if member is None or not member.is_there:
        return
    if member.held:
        heapq.heappush(state.resting, (now_s + DEAD_REST_S, member.held))
    state.members[name] = Member(wanted_s=now_s)


# ---------------------------------------------------------------------- dealing


@dataclass(slots=True)
class _Round:
    """What is fair now. `reserved` permits are kept for busy accounts that have less than `fair`."""

    fair: int
    busy: frozenset[str]
    reserved: int = 0
    asks: list[tuple[int, int, float, str]] = field(default_factory=list)


def _deal(state: Leases, now_s: float, told: set[str]) -> None:
    there = {name: one for name, one in state.members.items() if one.is_there}
    for name, one in sorted(there.items(), key=lambda item: item[1].held):
        _give(state, one, min(state.floor - one.held, state.pool), name, told)
    unmet = {name: wanted for name, one in there.items() if any(wanted := one.unmet())}
    if not unmet:
        return
    now = _round(state, now_s)
    _serve(state, now, unmet, told)
    _ask_back(state, now, unmet, now_s, told)


def _round(state: Leases, now_s: float) -> _Round:
    starting = now_s - state.began_s < START_S
    busy = {
        name
        for name, one in state.members.items()
        if (now_s - one.wanted_s < BUSY_S if one.is_there else starting and one.wanted_s == float("-inf"))
    }
    idle = sum(min(one.held, state.floor) for name, one in state.members.items() if name not in busy)
    resting = sum(count for _, count in state.resting)
    fair = max(1, state.floor, (state.limit - resting - idle) // max(1, len(busy)))
    reserved = sum(max(0, fair - state.members[name].held) for name in busy)
    return _Round(fair, frozenset(busy), reserved)


def _serve(state: Leases, now: _Round, unmet: dict[str, list[int]], told: set[str]) -> None:
    """Deal what is in the pool."""
    heap = [
        (purpose, state.members[name].held, name)
        for name, wanted in unmet.items()
        for purpose in Purpose
        if wanted[purpose]
    ]
    heapq.heapify(heap)
    while heap and state.pool > 0:
        purpose, _, name = heapq.heappop(heap)
        member = state.members[name]
        below = name in now.busy and member.held < now.fair
        if not _may_have(state, now, purpose, member.held, below=below):
            continue
        now.reserved -= below
        _give(state, member, 1, name, told)
        unmet[name][purpose] -= 1
        if unmet[name][purpose]:
            heapq.heappush(heap, (purpose, member.held, name))


def _may_have(state: Leases, now: _Round, purpose: int, held: int, *, below: bool) -> bool:
    """Whether there is one more for an account that has `held`; `below` its fair part, or what does not divide."""
    if purpose <= Purpose.CLOSE:
        return True
    if purpose == Purpose.AHEAD and state.pool <= state.limit // AHEAD_FROM:
        return False
    return below or (held <= now.fair and state.pool > now.reserved)


def _give(state: Leases, member: Member, count: int, name: str, told: set[str]) -> None:
    if count > 0:
        state.pool -= count
        member.lent += count
        member.keep = None
        told.add(name)


def _ask_back(state: Leases, now: _Round, unmet: dict[str, list[int]], now_s: float, told: set[str]) -> None:
    """Ask those who have more than their part for what is missing to those who have less."""
    missing = -state.pool
    for name, wanted in unmet.items():
        below = max(0, now.fair - state.members[name].held)
        urgent = wanted[Purpose.CANCEL] + wanted[Purpose.CLOSE]
        missing += max(urgent, min(below, sum(wanted[: Purpose.AHEAD])))
    there = {name: one for name, one in state.members.items() if one.is_there}
    for one in there.values():
        if one.keep is not None and now_s - one.asked_s < ASKED_S:
            missing -= max(0, one.held - one.keep)
    for name, one in sorted(there.items(), key=lambda item: (item[0] in now.busy, -item[1].held)):
        if missing <= 0:
            return
        least = now.fair if name in now.busy else state.floor
        has = one.held if one.keep is None else min(one.held, one.keep)
        if has > least and not any(unmet.get(name, ())[: Purpose.OPEN]):
            one.keep = max(least, has - missing)
            one.asked_s = now_s
            missing -= has - one.keep
            told.add(name)
