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
    Came     there is a guest                                         -
    Gone     its permits rest, it wants nothing                       -
    Banned   nobody may send before its end                           Lease to everybody
    Tick     permits have rested                                      permits are dealt

Permits are dealt one by one. First everybody gets its `floor`; then the more urgent purpose is served, and of equal
ones the account that has the fewest. Nobody goes beyond its fair part (of what does not rest) while an account that is
busy (or about to start) has less than that, but cancels, closes and starts may. When the pool is empty and somebody
below its part wants more, those who have more are asked to `keep` less: those without use for it first. For what is
urgent (cancels, closes, starts) those who have nothing urgent are asked down to their floor. Nobody is asked for that.
 What a frozen worker does not give back is nobody else's until it has died.

A guest is a command of ours that asks the exchange beside the workers. For guests there are `spare` permits more, which
workers never get: what they leave to other programs. Beyond these guests have of the pool while more than half of it is
there, no account wants any, and none is about to start; and they are the first who are asked to `keep` less. Only a
guest's cancels and closes are as urgent as anybody's.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gridbot.budget.request_permits import UNSURE_REST_S, Purpose

__all__ = [
    "DEAD_REST_S",
    "START_S",
    "Banned",
    "Came",
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
GUESTS_FROM: Final = 2
"""Guests have of the pool while more than one in so many is there: an account that starts must find some."""


@dataclass(slots=True)
class Member:
    """One account, or a guest. `lent` and `back` count in all, of its present process."""

    is_guest: bool = False
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
    """The state, changed by `step` alone. `names` are the accounts that are going to start.

    `limit` permits are for all, `spare` more for guests.
    """

    def __init__(self, limit: int, names: Sequence[str], now_s: float, spare: int = 0) -> None:
        self.limit = limit
        self.spare = self.spare_left = spare
        self.borrowed = 0
        """Permits of the pool that guests have."""
        each = limit // max(1, 2 * len(names))
        self.floor = min(FLOOR, max(1, each) if len(names) <= limit else 0)
        self.ahead = min(AHEAD, each)
        self.pool = limit
        self.resting: list[tuple[float, bool, int]] = []
        """Permits whose last holder has died: when they are good again, whether it was a guest, and how many."""
        self.members = {name: Member() for name in names}
        self.began_s = now_s
        self.banned_until_s = 0.0

    def inherit(self, used: int, of_spare: int, until_s: float) -> None:
        """An earlier supervisor had lent so many permits, which are good again then. Call it before any are lent."""
        used, of_spare = min(max(0, used), self.pool), min(max(0, of_spare), self.spare_left)
        self.pool -= used
        self.spare_left -= of_spare
        for is_guest, count in ((False, used), (True, of_spare)):
            if count:
                heapq.heappush(self.resting, (until_s, is_guest, count))

    def take_back(self, count: int, *, of_guest: bool) -> None:
        """So many permits are good again. Guests give back first what they have of the pool."""
        to_pool = min(count, self.borrowed) if of_guest else count
        self.borrowed -= to_pool if of_guest else 0
        self.pool += to_pool
        self.spare_left += count - to_pool


# ---------------------------------------------------------------------- events and effects


@dataclass(frozen=True, slots=True)
class Said:
    """A worker says what it had been lent in all, has given back in all, and wants, by purpose."""

    name: str
    seen: int
    back: int
    wants: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Came:
    """There is a guest of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The worker's process has ended, or the guest has left. `rest_s`: less when all its requests were answered."""

    name: str
    rest_s: float = DEAD_REST_S


@dataclass(frozen=True, slots=True)
class Banned:
    """The exchange bans the address, as a worker was told, until then."""

    until_s: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Said | Came | Gone | Banned | Tick


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
    elif isinstance(event, Came):
        state.members[event.name] = Member(is_guest=True, is_there=True)
    elif isinstance(event, Gone):
        _bury(state, event, now_s)
    while state.resting and state.resting[0][0] <= now_s:
        _, of_guest, count = heapq.heappop(state.resting)
        state.take_back(count, of_guest=of_guest)
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
    state.take_back(back - member.back, of_guest=member.is_guest)
    member.back = back
    member.seen, member.wants = event.seen, event.wants
    if event.seen < member.lent and now_s - member.told_s >= LOST_S:
        told.add(event.name)
    if any(event.wants[: Purpose.AHEAD]):
        member.wanted_s = now_s
    if member.keep is not None and member.held <= member.keep:
        member.keep = None
        told.add(event.name)


def _bury(state: Leases, event: Gone, now_s: float) -> None:
    member, name = state.members.get(event.name), event.name
    if member is None or not member.is_there:
        return
    if member.held:
        heapq.heappush(state.resting, (now_s + event.rest_s, member.is_guest, member.held))
    if member.is_guest:
        del state.members[name]
    else:
        state.members[name] = Member(wanted_s=now_s)


# ---------------------------------------------------------------------- dealing


@dataclass(slots=True)
class _Round:
    """What is fair now. `reserved` permits are kept for busy accounts that have less than `fair`."""

    fair: int
    busy: frozenset[str]
    reserved: int = 0


def _deal(state: Leases, now_s: float, told: set[str]) -> None:
    there = {name: one for name, one in state.members.items() if one.is_there}
    short = [item for item in there.items() if item[1].held < state.floor and not item[1].is_guest]
    for name, one in sorted(short, key=lambda item: item[1].held):
        _give(state, one, min(state.floor - one.held, state.pool), name, told)
    unmet = {name: wanted for name, one in there.items() if any(one.wants) and any(wanted := one.unmet())}
    if not unmet:
        return
    now = _round(state, now_s)
    _serve(state, now, unmet, told)
    _serve_guests(state, now, unmet, told)
    _ask_back(state, now, unmet, now_s, told)


def _round(state: Leases, now_s: float) -> _Round:
    starting = now_s - state.began_s < START_S
    busy = {
        name
        for name, one in state.members.items()
        if not one.is_guest
        and (now_s - one.wanted_s < BUSY_S if one.is_there else starting and one.wanted_s == float("-inf"))
    }
    accounts = {name: one for name, one in state.members.items() if not one.is_guest}
    idle = sum(min(one.held, state.floor) for name, one in accounts.items() if name not in busy)
    resting = sum(count for _, of_guest, count in state.resting if not of_guest)
    fair = max(1, state.floor, (state.limit - resting - idle) // max(1, len(busy)))
    reserved = sum(max(0, fair - state.members[name].held) for name in busy)
    return _Round(fair, frozenset(busy), reserved)


def _serve(state: Leases, now: _Round, unmet: dict[str, list[int]], told: set[str]) -> None:
    """Deal what is in the pool."""
    heap = [
        (purpose, state.members[name].held, name)
        for name, wanted in unmet.items()
        for purpose in Purpose
        if wanted[purpose] and (purpose < Purpose.START or not state.members[name].is_guest)
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


def _serve_guests(state: Leases, now: _Round, unmet: dict[str, list[int]], told: set[str]) -> None:
    """Deal the spare permits, and what is in the pool beyond what accounts may want next, to who has the fewest."""
    heap = [(state.members[name].held, name) for name in unmet if state.members[name].is_guest]
    heapq.heapify(heap)
    waits = any(sum(wanted[: Purpose.AHEAD]) for name, wanted in unmet.items() if not state.members[name].is_guest)
    awaited = sum(not state.members[name].is_there for name in now.busy)
    kept = state.limit if waits else max(now.fair * awaited, state.limit // GUESTS_FROM)
    while heap and (state.spare_left > 0 or state.pool > kept):
        _, name = heapq.heappop(heap)
        member, wanted = state.members[name], unmet[name]
        wants = next((purpose for purpose in Purpose if wanted[purpose]), Purpose.AHEAD)
        if wants is not Purpose.AHEAD:  # it keeps nothing at hand for later
            _give(state, member, 1, name, told)
            wanted[wants] -= 1
            heapq.heappush(heap, (member.held, name))


def _may_have(state: Leases, now: _Round, purpose: int, held: int, *, below: bool) -> bool:
    """Whether there is one more for an account that has `held`; `below` its fair part, or what does not divide."""
    if purpose < Purpose.OPEN:
        return True
    if purpose == Purpose.AHEAD and state.pool <= state.limit // AHEAD_FROM:
        return False
    return below or (held <= now.fair and state.pool > now.reserved)


def _give(state: Leases, member: Member, count: int, name: str, told: set[str]) -> None:
    if count > 0:
        of_spare = min(count, state.spare_left) if member.is_guest else 0
        state.spare_left -= of_spare
        state.borrowed += count - of_spare if member.is_guest else 0
        state.pool -= count - of_spare
        member.lent += count
        member.keep = None
        told.add(name)


def _ask_back(state: Leases, now: _Round, unmet: dict[str, list[int]], now_s: float, told: set[str]) -> None:
    """Ask those who have more than their part for what is missing to those who have less; for what is urgent all."""
    missing = urgent = -state.pool
    for name, wanted in unmet.items():
        member, at_once = state.members[name], sum(wanted[: Purpose.OPEN])
        below = 0 if member.is_guest else max(0, now.fair - member.held)
        missing += max(at_once, min(below, sum(wanted[: Purpose.AHEAD])))
        urgent += at_once
    there = {name: one for name, one in state.members.items() if one.is_there}
    coming = sum(
        max(0, one.held - one.keep) for one in there.values() if one.keep is not None and now_s - one.asked_s < ASKED_S
    )
    missing, urgent = missing - coming, urgent - coming
    borrowed = state.borrowed
    may_wait = [name for name in there if not any(unmet.get(name, ())[: Purpose.OPEN])]
    may_wait.sort(key=lambda name: (not there[name].is_guest, name in now.busy, -there[name].held))
    asked = 0
    for name in may_wait:
        one = there[name]
        least = now.fair if name in now.busy else state.floor
        if one.is_guest:
            least = max(0, one.held - borrowed)
            borrowed -= one.held - least
        asked += _ask(one, name, least, missing - asked, now_s, told)
    for name in may_wait:
        if not there[name].is_guest:
            asked += _ask(there[name], name, state.floor, urgent - asked, now_s, told)


def _ask(one: Member, name: str, least: int, missing: int, now_s: float, told: set[str]) -> int:
    """Ask one to keep less, but `least`; by how many."""
    has = one.held if one.keep is None else min(one.held, one.keep)
    if missing <= 0 or has <= least:
        return 0
    one.keep = max(least, has - missing)
    one.asked_s = now_s
    told.add(name)
    return has - one.keep
