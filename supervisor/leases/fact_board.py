"""Facts of the market that all accounts need, each read by one of them and told to the others, as a step. Pure.

::

    Asked ──known, and read late enough──► Tell
      │
      ├──somebody reads it──► Coming, waits ──Read──► Tell
      │                         │
      └──nobody does──► ReadIt  └──it failed, its reader died or took `READER_S`──► ReadIt, by the next

What is asked for is a fact as it was at `since_s` or later (monotonic seconds, one clock for all processes of a
machine): so nobody believes one longer than it wants to, and a reading that began before never answers a question.
Whoever waits is told so, as its patience with a supervisor that says nothing is short: while the exchange is slow, or
the reader waits for a permit, all would read it themselves.

So each fact is read once for the fleet, by a worker and not by the supervisor, which has no connection to an exchange,
no key, and nothing to parse: the reading passes the same code, budget and ban as every other. A reader that dies or
freezes is replaced, symbols that only one account has are read by that one, a worker that starts later asks for what is
as new as it needs, and what somebody reads again (other terms, each hour) is from then on what all others are told.
The facts are public. What they are is no business of the supervisor, which passes them on as they came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

__all__ = [
    "READER_S",
    "Asked",
    "Coming",
    "Effect",
    "Event",
    "FactBoard",
    "Left",
    "Read",
    "ReadIt",
    "Tell",
    "Tick",
    "step",
]

READER_S: Final = 15.0
FACTS_MOST: Final = 2000


@dataclass(slots=True)
class _Fact:
    """`value` as it was at `read_s`; who reads it now, since when, and who waits with what question."""

    value: Any = None
    read_s: float = float("-inf")
    reader: str = ""
    began_s: float = 0.0
    waiting: dict[str, float] = field(default_factory=dict)


class FactBoard:
    """The state, changed by `step` alone."""

    def __init__(self) -> None:
        self.facts: dict[str, _Fact] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """An account wants a fact as it was at `since_s` or later."""

    name: str
    key: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Read:
    """An account that was to read a fact has done so; `value` is None when it could not."""

    name: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Left:
    """The process of an account has ended."""

    name: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Asked | Read | Left | Tick


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell an account a fact."""

    name: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class ReadIt:
    """Have an account read a fact that it has asked for."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Coming:
    """Tell an account that another one reads what it has asked for."""

    name: str
    key: str


Effect = Tell | ReadIt | Coming


def step(board: FactBoard, event: Event, now_s: float) -> list[Effect]:
    """Apply an event; returns whom to tell what. The board is changed in place, here and nowhere else."""
    match event:
        case Asked(name, key, since_s):
            if key not in board.facts and len(board.facts) >= FACTS_MOST:
                return [ReadIt(name, key)]
            fact = board.facts.setdefault(key, _Fact())
            if fact.value is not None and fact.read_s >= since_s:
                return [Tell(name, key, fact.value)]
            fact.waiting[name] = since_s
            return [Coming(name, key)] if fact.reader else _next_reader(key, fact, now_s)
        case Read(name, key, value):
            known = board.facts.get(key)
            return [] if known is None else _read(key, known, name, value, now_s)
        case Left(name):
            effects: list[Effect] = []
            for key, fact in board.facts.items():
                fact.waiting.pop(name, None)
                if fact.reader == name:
                    effects += _next_reader(key, fact, now_s)
            return effects
        case Tick():
            return [
                effect
                for key, fact in board.facts.items()
                if fact.reader and now_s - fact.began_s >= READER_S
                for effect in _next_reader(key, fact, now_s)
            ]


def _read(key: str, fact: _Fact, name: str, value: Any, now_s: float) -> list[Effect]:
    if name != fact.reader:
        return []  # it took too long; another one reads it
    effects: list[Effect] = []
    if value is not None:
        fact.value, fact.read_s = value, fact.began_s
        effects += [Tell(each, key, value) for each, since_s in fact.waiting.items() if since_s <= fact.read_s]
        fact.waiting = {each: since_s for each, since_s in fact.waiting.items() if since_s > fact.read_s}
    return effects + _next_reader(key, fact, now_s)


def _next_reader(key: str, fact: _Fact, now_s: float) -> list[Effect]:
    """The one that has waited longest reads it now, for all that wait."""
    fact.reader = next(iter(fact.waiting), "")
    fact.began_s = now_s
    if not fact.reader:
        return []
    del fact.waiting[fact.reader]
    return [ReadIt(fact.reader, key)]
