"""What follows from the exchange's announcements, as one step function. Pure; times are ms UTC.

::

    maintenance     ahead ──its begin, or the exchange says so──► under way ──its end, or the exchange says so──► over
    announcement    of a symbol we trade ──new──► stands for two days, and until its dates have passed

    event      what changes                     effect
    Announced  all that is announced, as read   ReadTerms of a symbol with something new; Over
    Passed     time                             ReadTerms when a date comes; Over after a maintenance

During maintenance nothing is decided for the strategies: the exchange refuses what it does not take. It is said, so
that nobody looks elsewhere, and when it is over everything is read again. An announcement of a delisting or of a change
of a contract makes its terms be read: when it comes, and when its dates do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState
from gridbot.risk.symbol_state import day_of

__all__ = ["AHEAD_MS", "STANDS_MS", "Announced", "Board", "Over", "Passed", "ReadTerms", "Sight", "step", "words_of"]

AHEAD_MS = 24 * 3600 * 1000
"""So long before its begin a maintenance is told."""
STANDS_MS = 2 * 24 * 3600 * 1000
"""So long an announcement stands; Bybit announces a delisting about two days ahead."""
KINDS = frozenset({"delistings", "product_updates", "maintenance_updates"})
"""Announcements that change what one can do with a symbol; the others advertise."""
SIGHTS_MAX = 50
"""Announcements that are remembered."""
_OVER = frozenset({MaintenanceState.COMPLETED, MaintenanceState.CANCELED})


@dataclass(frozen=True, slots=True)
class Sight:
    """An announcement about a symbol that is traded; `dates_ms` are those that have not come yet."""

    symbol: str
    announcement: Announcement
    dates_ms: tuple[int, ...] = ()

    @property
    def name(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.symbol, self.announcement.name

    @property
    def until_ms(self) -> int:
        """Until when it stands."""
        told = self.announcement
        return max(told.published_ms + STANDS_MS, told.start_ms, told.end_ms)

    def __str__(self) -> str:
        told = self.announcement
        dates = [f"{word} {day_of(at)}" for word, at in (("from", told.start_ms), ("until", told.end_ms)) if at]
        said = f"{self.symbol}: announced on {day_of(told.published_ms)} ({told.kind}): {told.title}"
        return ", ".join(part for part in (said, *dates, told.url) if part)


@dataclass(frozen=True, slots=True)
class Board:
    """`maintenance` is what is not over, as it was read last; `under_way` the ids of what has begun."""

    maintenance: tuple[Maintenance, ...] = ()
    under_way: frozenset[str] = frozenset()
    sights: tuple[Sight, ...] = ()

    def ahead(self, now_ms: int) -> list[Maintenance]:
        """What begins soon."""
        coming = (each for each in self.maintenance if each.notice_id not in self.under_way)
        return [each for each in coming if each.begin_ms - now_ms <= AHEAD_MS]

    @property
    def running(self) -> list[Maintenance]:
        """What is under way."""
        return [each for each in self.maintenance if each.notice_id in self.under_way]


@dataclass(frozen=True, slots=True)
class Announced:
    """Everything that is announced and concerns the account; `symbols` are those that it trades.

    With `is_whole` False a maintenance is missing that could not be read: it may be any that is known.
    """

    maintenance: tuple[Maintenance, ...]
    announcements: tuple[Announcement, ...]
    symbols: Collection[str]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Passed:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class ReadTerms:
    """What can be done with this symbol may change, or has."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Over:
    """A maintenance that was under way is over: read everything again, and try again what was refused."""

    maintenance: Maintenance


Event = Announced | Passed
Effect = ReadTerms | Over


def words_of(maintenance: Maintenance, now_ms: int, *, is_under_way: bool) -> str:
    """A sentence for the operator."""
    end, title = maintenance.end_ms, maintenance.title or "no title"
    if not is_under_way:
        until = f" until {day_of(end)}" if end else ""
        return f"the exchange announces maintenance from {day_of(maintenance.begin_ms)}{until}: {title}"
    if not end:
        return f"maintenance of the exchange, end not told: {title}"
    late = "" if now_ms < end else ", which has passed"
    return f"maintenance of the exchange until {day_of(end)}{late}: {title}"


def step(state: Board, event: Event, now_ms: int) -> tuple[Board, list[Effect]]:
    """Apply an event at `now_ms`."""
    effects: dict[Effect, None] = {}
    state = _passed(state, now_ms, effects)
    if isinstance(event, Announced):
        state = _passed(_told(state, event, now_ms, effects), now_ms, effects)
    return state, list(effects)


def _told(state: Board, event: Announced, now_ms: int, effects: dict[Effect, None]) -> Board:
    """What is told of maintenance replaces what was known; an announcement stands, even when newer ones push it out."""
    kept = () if event.is_whole else state.maintenance
    told = {each.notice_id: each for each in (*kept, *event.maintenance)}
    effects.update({Over(each): None for each in state.running if each.notice_id not in told})
    sights = {sight.name: sight for sight in state.sights}
    for sight in _sights(event, now_ms):
        if sight.name not in sights:
            effects[ReadTerms(sight.symbol)] = None
            sights[sight.name] = sight
    newest = sorted(sights.values(), key=lambda sight: sight.announcement.published_ms)[-SIGHTS_MAX:]
    return Board(tuple(told.values()), state.under_way & told.keys(), tuple(newest))


def _passed(state: Board, now_ms: int, effects: dict[Effect, None]) -> Board:
    left, under_way, sights = [], set(), []
    for each in state.maintenance:
        if _is_over(each, now_ms):
            effects.update({Over(each): None} if each.notice_id in state.under_way else {})
            continue
        left.append(each)
        if each.state is MaintenanceState.ONGOING or each.begin_ms <= now_ms:
            under_way.add(each.notice_id)
    for sight in state.sights:
        later = tuple(at for at in sight.dates_ms if at > now_ms)
        if later != sight.dates_ms:
            effects[ReadTerms(sight.symbol)] = None
        if sight.until_ms > now_ms:
            sights.append(replace(sight, dates_ms=later))
    return Board(tuple(left), frozenset(under_way), tuple(sights))


def _is_over(each: Maintenance, now_ms: int) -> bool:
    """What goes on ends when the exchange says so. What it has not called ongoing is taken by its times."""
    if each.state is MaintenanceState.ONGOING:
        return False
    return each.state in _OVER or 0 < each.end_ms <= now_ms


def _sights(event: Announced, now_ms: int) -> Iterable[Sight]:
    for told in event.announcements:
        for symbol in event.symbols if told.kind in KINDS else ():
            sight = Sight(symbol, told, tuple(at for at in (told.start_ms, told.end_ms) if at > now_ms))
            if told.names(symbol) and sight.until_ms > now_ms:
                yield sight
