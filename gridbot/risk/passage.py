"""Whether orders get through: what the exchange answers to create requests, as one step function. Pure.

::

    lane    open ──Refused, enough of them in a row──► shut ──Accepted, or nothing refused for a while──► open

A strategy has four lanes: opens and closes of its long and its short. A lane is *shut* when `SHUT_AFTER` requests of it
were refused and none was accepted in between. What may pass by itself (a lost answer, an overloaded exchange, a close
that finds nothing left) shuts it only when it has lasted for `PATIENCE_S`. A code that is in no table of ours may mean
anything, so it is not taken to pass; nor is a used id that no unanswered request of ours explains. The breakers of
levels hold single prices back; this says that nothing passes at all, why, and what can be done, for each code.

    event      what changes                                        effect
    Refused    one more in the row of the lane                     ReadTerms, unless it may pass by itself
    Accepted   the row ends                                        -
    Repaired   rows of the strategy end                            -

Refusals that have an alert of their own are not counted: key, ban, halt, the state of the symbol (`UNCOUNTED`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import NamedTuple

from gridbot.core import Direction
from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.remedies import remedy_for

__all__ = [
    "FORGOTTEN_S",
    "PASSING",
    "PATIENCE_S",
    "SHUT_AFTER",
    "UNCOUNTED",
    "Accepted",
    "Event",
    "Lane",
    "Passage",
    "ReadTerms",
    "Refused",
    "Repaired",
    "Row",
    "blocked",
    "covering",
    "passes",
    "step",
]

SHUT_AFTER = 3
"""Refusals in a row, as many as open the breaker of one level."""
PATIENCE_S = 30.0
FORGOTTEN_S = 300.0
"""A lane of which nothing was refused for so long is not held to be shut: nothing is wanted of it any more."""
REDUCE_ONLY_ZERO = 110017
NOTHING: Mapping[Direction, str] = {}
UNCOUNTED = frozenset({ErrorKind.IP_BAN, ErrorKind.AUTH, ErrorKind.HALT, ErrorKind.SYMBOL, ErrorKind.NO_LEASE})
PASSING = frozenset({ErrorKind.RATE_LIMIT, ErrorKind.RETRY, ErrorKind.AMBIGUOUS})
"""What may pass by itself, or may have taken effect."""
_UNKNOWN = object()
CODES_KEPT = 3
"""So many different refusals of a row are remembered, and named; the newest ones."""


class Lane(NamedTuple):
    """What a strategy sends of one kind."""

    strategy: str
    direction: Direction
    closes: bool

    def __str__(self) -> str:
        return f"{'close' if self.closes else 'open'} of its {self.direction}"


@quick_value(frozen=True, slots=True)
class Row:
    """Refusals without an acceptance between them: how many, when the first and the newest came (monotonic s).

    `firm` of them do not pass by themselves. `errors` are the newest of each code, with their time, the newest first.
    """

    count: int = 0
    since_s: float = 0.0
    last_s: float = 0.0
    firm: int = 0
    errors: tuple[tuple[float, ExchangeError], ...] = ()
    was_accepted: bool = False
    """Whether the newest request was accepted, and its order ended at once."""

    @property
    def finds_nothing(self) -> bool:
        """Whether nothing is left to close, by the newest answer that says anything: a lost one does not."""
        told = (error for _, error in self.errors if error.kind not in PASSING or error.is_unknown)
        return any(error.ret_code == REDUCE_ONLY_ZERO for error in itertools.islice(told, 1))

    def is_shut(self, now_s: float, *, has_cause: bool = False) -> bool:
        """Whether nothing of the lane passes at the moment; with `has_cause` it is known that it cannot."""
        if self.count < SHUT_AFTER or now_s - self.last_s >= FORGOTTEN_S:
            return False
        return has_cause or self.firm >= SHUT_AFTER or self.last_s - self.since_s >= PATIENCE_S

    def refused(self, error: ExchangeError, now_s: float, *, may_pass: bool, was_accepted: bool) -> Row:
        """One more."""
        known = self if self.count and now_s - self.last_s < FORGOTTEN_S else Row(since_s=now_s)
        others = [(at_s, old) for at_s, old in known.errors if now_s - at_s < FORGOTTEN_S and not _is_same(old, error)]
        errors = ((now_s, error), *others)[:CODES_KEPT]
        return Row(known.count + 1, known.since_s, now_s, known.firm + (not may_pass), errors, was_accepted)


@quick_value(frozen=True, slots=True)
class Passage:
    """The state: a row for each lane that was refused last, None for one that was accepted."""

    lanes: Mapping[Lane, Row | None] = field(default_factory=dict)


# ---------------------------------------------------------------------- events and effects


@quick_value(frozen=True, slots=True)
class Refused:
    """A create request was refused or its answer was lost.

    `after_lost`: an earlier request for the same order had no answer, so its id may be used by our own order.
    `was_accepted`: the request was accepted, and its order ended at once.
    """

    lane: Lane
    error: ExchangeError
    after_lost: bool = False
    was_accepted: bool = False


@quick_value(frozen=True, slots=True)
class Accepted:
    """A create request was accepted, or with `rests` its order is seen to rest: that it was accepted proves nothing
    while the exchange ends what it has accepted.
    """

    lane: Lane
    rests: bool = True


@quick_value(frozen=True, slots=True)
class Repaired:
    """What the exchange refused a strategy's orders for was set right.

    With `uncovered` only what closes these legs and found nothing left to close: an order of somebody else is gone.
    """

    strategy: str
    uncovered: frozenset[Direction] = frozenset()

    def frees(self, lane: Lane, row: Row | None) -> bool:
        """Whether what is known of a lane ends."""
        if lane.strategy != self.strategy:
            return False
        is_cover = row is not None and lane.closes and row.finds_nothing
        return not self.uncovered or (is_cover and lane.direction in self.uncovered)


Event = Refused | Accepted | Repaired


@quick_value(frozen=True, slots=True)
class ReadTerms:
    """What the exchange allows on this strategy's symbol may have changed: read instrument, mode and leverage."""

    strategy: str


def passes(state: Passage, strategy: str, direction: Direction, *, closes: bool) -> bool:
    """Whether the newest request of a lane was accepted: then another acceptance, or an order that rests, changes
    nothing. On the hot path: without the values that `step` takes.
    """
    return state.lanes.get((strategy, direction, closes), _UNKNOWN) is None  # type: ignore[call-overload]  # a `Lane`


def step(state: Passage, event: Event, now_s: float) -> tuple[Passage, list[ReadTerms]]:
    """Apply an event at `now_s` (monotonic seconds)."""
    if isinstance(event, Repaired):
        return Passage({lane: row for lane, row in state.lanes.items() if not event.frees(lane, row)}), []
    lane = event.lane
    known = state.lanes.get(lane)
    if isinstance(event, Accepted):
        if (lane in state.lanes and known is None) or (known is not None and known.was_accepted and not event.rests):
            return state, []
        return Passage({**state.lanes, lane: None}), []
    if event.error.kind in UNCOUNTED:
        return state, []
    may_pass = _may_pass(event)
    row = (known or Row()).refused(event.error, now_s, may_pass=may_pass, was_accepted=event.was_accepted)
    wants_terms = not may_pass or row.is_shut(now_s)
    return Passage({**state.lanes, lane: row}), [ReadTerms(lane.strategy)] if wants_terms else []


def blocked(
    state: Passage, strategy: str, now_s: float, *, hints: Iterable[str] = (), covers: Mapping[Direction, str] = NOTHING
) -> str:
    """What does not get through of a strategy, why, and what can be done; empty when everything does.

    `hints` are what is known besides, such as that the exchange's terms have changed; `covers` says which order of
    somebody else covers a leg, so that there is nothing left to close.
    """
    shut = _shut(state, strategy, now_s, covers)
    if not shut:
        return ""
    lanes = {lane: row for lane, row in state.lanes.items() if lane.strategy == strategy}
    tried = [lane for lane, row in lanes.items() if row is None or now_s - row.last_s < FORGOTTEN_S]
    what = "order" if len(shut) == len(tried) else " and no ".join(str(lane) for lane in shut)
    (newest, _), *more = _errors(shut, now_s)
    count = sum(row.count for row in shut.values())
    found = [f"{strategy}: no {what} gets through, {count} refused in a row: {newest}", *hints]
    found += [*covering(state, strategy, now_s, covers), remedy_for(newest)]
    for error, of in more[: CODES_KEPT - 1]:
        found += [f"{' and '.join(map(str, of))} also: {error}", remedy_for(error)]
    if unnamed := len(more[CODES_KEPT - 1 :]):
        found.append(f"and {unnamed} more codes")
    return "; ".join(found)


def covering(state: Passage, strategy: str, now_s: float, covers: Mapping[Direction, str]) -> list[str]:
    """Of `covers` (see `blocked`) what keeps closes of a strategy from getting through."""
    shut = _shut(state, strategy, now_s, covers)
    return [covers[lane.direction] for lane, row in shut.items() if _is_covered(lane, row, covers)]


def _shut(state: Passage, strategy: str, now_s: float, covers: Mapping[Direction, str]) -> dict[Lane, Row]:
    return {
        lane: row
        for lane, row in state.lanes.items()
        if row is not None
        and lane.strategy == strategy
        and row.is_shut(now_s, has_cause=_is_covered(lane, row, covers))
    }


def _errors(shut: Mapping[Lane, Row], now_s: float) -> list[tuple[ExchangeError, list[Lane]]]:
    """What was refused of these lanes, each code once, the newest first, and of which of them."""
    found: list[tuple[ExchangeError, list[Lane]]] = []
    every = [(at_s, error, lane) for lane, row in shut.items() for at_s, error in row.errors]
    for at_s, error, lane in sorted(every, key=lambda each: -each[0]):
        lanes = next((lanes for known, lanes in found if _is_same(known, error)), None)
        if lanes is not None:
            lanes.append(lane)
        elif now_s - at_s < FORGOTTEN_S:
            found.append((error, [lane]))
    return found


def _is_same(one: ExchangeError, other: ExchangeError) -> bool:
    """Whether they are one code; what has none, and 10001 with its many meanings, goes by what to do about it."""
    return (one.ret_code, one.kind, remedy_for(one)) == (other.ret_code, other.kind, remedy_for(other))


def _may_pass(event: Refused) -> bool:
    """A close that finds nothing left often passes later: news of orders and of positions are not in step."""
    lane, error = event.lane, event.error
    if error.kind is ErrorKind.DUPLICATE:
        return event.after_lost
    is_passing = error.kind in PASSING and not error.is_unknown
    return is_passing or (lane.closes and error.ret_code == REDUCE_ONLY_ZERO)


def _is_covered(lane: Lane, row: Row, covers: Mapping[Direction, str]) -> bool:
    """Whether nothing can be closed because an order of somebody else does."""
    return lane.closes and row.finds_nothing and lane.direction in covers
