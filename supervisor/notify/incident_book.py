"""Which alerts are open as far as people were told, and what of the news is worth a message. One step function. Pure.

::

    unknown ──begun──► untold ──not muted, not held──► told ──ended, or gone for a minute──► unknown
                          │ ▲                            │
                          │ └── muted; held: soon after  └── again after a restart: counted, no message
                          └──ended──► unknown: nobody heard of it

An alert is one from its first beginning until it is over, whatever processes do in between: a worker that starts anew
begins its alerts anew, under the same id. Of what the supervisor's news have lost, the list of open alerts tells. A
muted alert is neither told nor its end. Soon after a restart that was asked for, all but critical ones wait whether
they pass by themselves. Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from supervisor.notify.alert_notices import Kind, Notice, rank

__all__ = ["GONE_US", "Book", "Known", "News", "Seen", "Standing", "Tick", "read_row", "step"]

GONE_US: Final = 60_000_000
"""An alert that was not open for so long is over, though nobody said so: its worker has started anew without it."""
SURE_US: Final = 30_000_000
"""Who tells for a whole fleet, and lives so long after an alert, has heard of it, and has told it."""
MOST: Final = 5000
"""Alerts that are remembered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An alert as the supervisor shows it. `phase` is begun, worse or ended; of one that is listed as open "begun"."""

    name: str
    phase: str
    level: str
    account: str
    about: str
    key: str
    text: str
    count: int = 1
    is_muted: bool = False
    host: str = ""
    """Of an alert of a process of one host of a fleet; "" for an account's, and without a fleet."""


@dataclass(frozen=True, slots=True)
class Known:
    """`since_us`: when we first heard of it, `gone_us` since when it is not open any more, `hidden` the repetitions.

    `news_us`: since when there is something to tell of it that nobody has surely told."""

    seen: Seen
    since_us: int
    is_told: bool = False
    held_us: int = 0
    gone_us: int = 0
    hidden: int = 0
    news_us: int = 0


@dataclass(frozen=True, slots=True)
class Book:
    """Alerts by id, in the order in which they began. `quiet` counts those that began and ended without a message."""

    known: Mapping[str, Known] = field(default_factory=dict)
    quiet: int = 0


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class News:
    """What has become of alerts. `calm_us` has until when each account ("": all) is just starting, as asked for."""

    rows: tuple[Seen, ...]
    calm_us: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that is open. `silent` are accounts whose worker does not report, and hosts of a fleet as "host NAME":
    nobody knows what is open there."""

    rows: tuple[Seen, ...]
    silent: Collection[str] = ()
    calm_us: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = News | Standing | Tick


def read_row(row: Mapping[str, Any]) -> Seen:
    """A row of the supervisor's news, or of the open alerts in its status. Raises KeyError, TypeError, ValueError."""
    account, child = str(row["account"]), str(row["child"])
    account = account or (child.removeprefix("worker-") if child.startswith("worker-") else "")
    strategy = str(row["strategy"])
    host = str(row.get("host") or "")
    about = f"{account}/{strategy}" if account and strategy else account or strategy or child or "supervisor"
    about += f" on {host}" if host and not account else ""
    return Seen(
        name=str(row["id"]),
        phase=str(row.get("phase", "begun")),
        level=str(row["level"]).upper(),
        account=account,
        about=about,
        key=str(row["key"]).partition(".")[0],
        text=str(row["text"]),
        count=int(row["count"]),
        is_muted=row.get("muted_until") is not None,
        host="" if account else host,
    )


def step(book: Book, event: Event, now_us: int, other_us: int | None = None) -> tuple[Book, list[Notice]]:
    """Apply an event; the notices are in the order of the news.

    `other_us`: another host of a fleet tells, and has surely lived at that time (0: nobody is known to live); None: we
    tell. Then there is no notice: what that one has had time to tell counts as told, and all else waits until we tell.
    """
    turn = _Turn(dict(book.known), book.quiet, now_us, other_us)
    match event:
        case News(rows, calm_us):
            for seen in rows:
                if seen.phase == "ended":
                    turn.ended(seen)
                else:
                    turn.stands(seen, calm_us)
        case Standing(rows, silent, calm_us):
            for seen in rows:
                turn.stands(seen, calm_us, is_listed=True)
            turn.missing({seen.name for seen in rows}, silent)
    turn.tell_what_waits()
    turn.make_room()
    return Book(turn.known, turn.quiet), turn.notices


class _Turn:
    """One step under way."""

    def __init__(self, known: dict[str, Known], quiet: int, now_us: int, other_us: int | None) -> None:
        self.known, self.quiet, self.notices = known, quiet, list[Notice]()
        self._now_us = now_us
        self._other_us = other_us

    def stands(self, seen: Seen, calm_us: Mapping[str, int], *, is_listed: bool = False) -> None:
        known = self.known.get(seen.name)
        if known is None:
            held_us = max((calm_us.get(whose, 0) for whose in {"", seen.account}), default=0)
            is_held = rank(seen.level) < rank("CRITICAL") and held_us > self._now_us
            self.known[seen.name] = Known(seen, self._now_us, held_us=held_us if is_held else 0, news_us=self._now_us)
            return
        is_worse = rank(seen.level) > rank(known.seen.level)
        worst = seen if is_worse else replace(seen, level=known.seen.level)
        again = not is_listed and seen.phase == "begun"
        known = self.known[seen.name] = replace(known, seen=worst, gone_us=0, hidden=known.hidden + again)
        if known.is_told and (is_worse or (seen.phase == "worse" and not is_listed)) and not seen.is_muted:
            if self._other_us is None:
                self._tell(Kind.WORSE, known)
            else:
                self.known[seen.name] = replace(known, is_told=False, news_us=self._now_us)

    def ended(self, seen: Seen) -> None:
        known = self.known.pop(seen.name, None)
        if known is not None:
            worst = max(seen.level, known.seen.level, key=rank)
            self._end(replace(known, seen=replace(seen, level=worst)))

    def missing(self, listed: Collection[str], silent: Collection[str]) -> None:
        for name in [name for name in self.known if name not in listed]:
            known = self.known[name]
            if known.seen.account in silent or (known.seen.host and f"host {known.seen.host}" in silent):
                continue
            if not known.gone_us or known.gone_us > self._now_us:  # or else somebody has set the clock back
                self.known[name] = replace(known, gone_us=self._now_us)
            elif self._now_us - known.gone_us > GONE_US:
                del self.known[name]
                self._end(replace(known, seen=replace(known.seen, text=f"not open any more: {known.seen.text}")))

    def tell_what_waits(self) -> None:
        if self._other_us is not None:
            for name, known in self.known.items():
                if not known.is_told and known.news_us + SURE_US <= self._other_us and not known.seen.is_muted:
                    self.known[name] = replace(known, is_told=True)
            return
        for name, known in self.known.items():
            is_held = known.since_us <= self._now_us < known.held_us  # a clock that was set back holds nothing
            is_due = not is_held or rank(known.seen.level) >= rank("CRITICAL")
            if not known.is_told and not known.seen.is_muted and not known.gone_us and is_due:
                self.known[name] = known = replace(known, is_told=True)
                self._tell(Kind.BEGUN, known)

    def make_room(self) -> None:
        while len(self.known) > MOST:
            del self.known[next(iter(self.known))]

    def _end(self, known: Known) -> None:
        if not known.is_told:
            self.quiet += 1
        elif not known.seen.is_muted and self._other_us is None:
            self._tell(Kind.ENDED, known)

    def _tell(self, kind: Kind, known: Known) -> None:
        seen = known.seen
        at_us = known.since_us if kind in (Kind.BEGUN, Kind.ENDED) else self._now_us
        unsent = known.hidden + max(0, seen.count - 1) if kind is Kind.ENDED else 0
        self.notices.append(
            Notice(
                *(seen.name, kind, seen.level, seen.account, seen.about, seen.key, seen.text, at_us, self._now_us),
                count=seen.count,
                unsent=unsent,
            )
        )
