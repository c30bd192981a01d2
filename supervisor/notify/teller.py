"""Who is told what, and when: the whole state of the process that tells people of alerts, and its step function. Pure.

    Heard       the supervisor's news since the last ones (`supervisor.process.alert_feed`)
    Listed      its status: what is open, the figures of the daily summary
    Passed      time has passed
    Went        a message has arrived at an address, or has not
    Orphaned    the supervisor is gone, and nobody had stopped it

`due` says which messages are to be sent. What is saved (`to_document`) has the number of the last news beside what came
of them, so that a death in between loses none and doubles none; only a message that was on its way is sent again.
Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final

from supervisor.notify import delivery_line, incident_book
from supervisor.notify.alert_notices import Kind, Notice
from supervisor.notify.alert_routes import Route, fits
from supervisor.notify.daily_summary import Figures, figures_of, kept_for_the_next, summary_text
from supervisor.notify.delivery_line import Limits, Line
from supervisor.notify.incident_book import Book, Known, Seen
from supervisor.notify.message_text import Message, compose
from supervisor.notify.quiet_hours import QuietHours, due_day

__all__ = [
    "WE_TELL",
    "Event",
    "Heard",
    "Listed",
    "Orphaned",
    "Others",
    "Passed",
    "Plan",
    "Teller",
    "Went",
    "due",
    "step",
]

FORMAT: Final = 1
GONE: Final = (
    "It has ended, and nobody had stopped it. Its workers end within seconds; orders and positions stay as they are, "
    "and nobody looks after them until it is started again."
)
GONE_STOPPING: Final = (
    "It was killed before its stop was done. What it was to do with orders and positions may not be done; look at them "
    "on the exchange."
)
BACK: Final = "It had ended though nobody had stopped it: it was killed, or the machine went down. It runs again."


@dataclass(frozen=True, slots=True)
class Plan:
    """What the configuration says. `summary_at` in minutes since midnight, -1: never."""

    fleet: str
    routes: tuple[Route, ...]
    zone: tzinfo
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    quiet: QuietHours | None = None
    summary_at: int = -1
    calm_us: int = 60_000_000
    limits: Limits = field(default_factory=Limits)

    @property
    def line_names(self) -> list[str]:
        return [name for route in self.routes for name in route.lines]


@dataclass(frozen=True, slots=True)
class Others:
    """Who of a fleet's hosts tells people. `other_us`: another one, which has surely lived at that time (0: nobody is
    known to live); None: we do. `hushed`: what another one tells, although we tell what is ours."""

    other_us: int | None = None
    hushed: frozenset[str] = frozenset()


WE_TELL: Final = Others()


@dataclass(frozen=True, slots=True)
class Teller:
    """`run` and `last` say which news were the last; `asked` is as the supervisor has it; `stopping`: it said so.

    `day` is that of the last summary, `before` its figures, `newest` those of now. `others` is not kept: it is told
    again with the first news.
    """

    book: Book = field(default_factory=Book)
    lines: Mapping[str, Line] = field(default_factory=dict)
    run: str = ""
    last: int = 0
    stopping: bool = True
    asked: Mapping[str, int] = field(default_factory=dict)
    day: str = ""
    before: Figures | None = None
    newest: Figures | None = None
    others: Others = WE_TELL

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        known = [
            [asdict(each.seen), each.since_us, each.is_told, each.held_us, each.gone_us, each.hidden, each.news_us]
            for each in self.book.known.values()
        ]
        return {
            "format": FORMAT,
            "known": known,
            "quiet": self.book.quiet,
            "lines": {name: line.to_document() for name, line in self.lines.items()},
            "run": self.run,
            "last": self.last,
            "stopping": self.stopping,
            "asked": dict(self.asked),
            "day": self.day,
            "before": None if self.before is None else self.before.to_document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], names: Sequence[str]) -> Teller:
        """Read what `to_document` wrote, of these addresses. KeyError, TypeError, ValueError for anything else."""
        if document["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {document['format']!r}")
        known = {}
        for seen, since_us, is_told, held_us, gone_us, hidden, *news_us in document["known"]:
            alert = Seen(**seen)
            times = (int(since_us), bool(is_told), int(held_us), int(gone_us), int(hidden))
            known[alert.name] = Known(alert, *times, int(news_us[0]) if news_us else int(since_us))
        before = document["before"]
        return cls(
            book=Book(known, int(document["quiet"])),
            lines={
                here: Line.from_document(line)
                for name, line in document["lines"].items()
                if (here := _name_now(name, names))
            },
            run=str(document["run"]),
            last=int(document["last"]),
            stopping=bool(document["stopping"]),
            asked={str(account): int(at_us) for account, at_us in document["asked"].items()},
            day=str(document["day"]),
            before=None if before is None else Figures.from_document(before),
        )


def _name_now(name: str, names: Sequence[str]) -> str:
    """What the address is called now, "" where it is gone: the first of several has a number, an only one has none."""
    return next((each for each in (name, f"{name}.1", name.removesuffix(".1")) if each in names), "")


# ---------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer of the supervisor's `news`, its rows read."""

    run: str
    last: int
    rows: tuple[Seen, ...]
    missed: int = 0
    asked: Mapping[str, int] = field(default_factory=dict)
    stopping: bool = False
    others: Others = WE_TELL


@dataclass(frozen=True, slots=True)
class Listed:
    """The status model, with its open alerts read; `silent` are the accounts whose worker does not report."""

    status: Mapping[str, Any]
    rows: tuple[Seen, ...]
    silent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Passed:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Went:
    """The message to an address has arrived, or why it has not."""

    line: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Orphaned:
    """The supervisor is gone, and nobody had stopped it: the last that this process can say."""


Event = Heard | Listed | Passed | Went | Orphaned


def step(state: Teller, event: Event, plan: Plan, now_us: int) -> Teller:
    """Apply an event."""
    match event:
        case Heard():
            return _heard(state, event, plan, now_us)
        case Listed(status, rows, silent):
            state = replace(state, newest=figures_of(status))
            listed = incident_book.Standing(rows, silent, _calm(state, plan, now_us))
            return _daily(_booked(state, listed, plan, now_us), plan, now_us)
        case Passed():
            return _daily(_booked(state, incident_book.Tick(), plan, now_us), plan, now_us)
        case Orphaned():
            if state.others.other_us:
                return state  # that host is dead, says another one
            text = GONE_STOPPING if state.stopping and state.run else GONE
            return _letter(state, plan, "the supervisor is gone", text, "CRITICAL", now_us)
        case Went(name, problem):
            line = state.lines[name]
            line = (
                delivery_line.failed(line, problem, plan.limits, now_us) if problem else delivery_line.delivered(line)
            )
            return replace(state, lines={**state.lines, name: line})


def due(state: Teller, plan: Plan, now_us: int, but: Collection[str] = ()) -> tuple[Teller, list[tuple[str, Message]]]:
    """The messages to be sent now, each by the name of its address, `but` those; from now on they are on their way."""
    lines, found = dict(state.lines), list[tuple[str, Message]]()
    is_quiet = plan.quiet is not None and plan.quiet.holds(now_us)
    for route in plan.routes:
        below = plan.quiet.unless if plan.quiet is not None and is_quiet and route.keeps_quiet else ""
        for name in route.lines:
            before = lines.get(name)
            if before is None or name in but:
                continue
            lines[name], notices = delivery_line.take(before, plan.limits, now_us, below)
            if notices:
                found.append((name, compose(plan.fleet, notices, plan.zone, now_us, before.lost)))
    return (replace(state, lines=lines), found) if found else (state, found)


def _heard(state: Teller, event: Heard, plan: Plan, now_us: int) -> Teller:
    is_new = event.run != state.run
    unasked = is_new and bool(state.run) and not state.stopping
    state = replace(state, run=event.run, last=event.last, asked=event.asked, stopping=event.stopping)
    state = replace(state, others=event.others)
    if unasked:
        state = _letter(state, plan, "the supervisor has started again", BACK, "ERROR", now_us)
    if event.missed:
        text = f"{event.missed} changes of alerts were too many to be read; what is open is told all the same."
        state = _letter(state, plan, "news were missed", text, "WARNING", now_us)
    return _booked(state, incident_book.News(event.rows, _calm(state, plan, now_us)), plan, now_us)


def _calm(state: Teller, plan: Plan, now_us: int) -> dict[str, int]:
    """Until when, by account; what was asked for later than now was asked before the clock was set back."""
    return {account: at_us + plan.calm_us for account, at_us in state.asked.items() if at_us <= now_us}


def _booked(state: Teller, event: incident_book.Event, plan: Plan, now_us: int) -> Teller:
    if not isinstance(event, incident_book.Tick):
        event = replace(event, rows=tuple(row for row in event.rows if row.key not in state.others.hushed))
    book, notices = incident_book.step(state.book, event, now_us, state.others.other_us)
    state = replace(state, book=book)
    return _put(state, plan, notices) if notices else state


def _put(state: Teller, plan: Plan, notices: Sequence[Notice]) -> Teller:
    lines = dict(state.lines)
    for route in plan.routes:
        those = [notice for notice in notices if fits(route, notice, plan.groups)]
        for name in route.lines if those else ():
            lines[name] = delivery_line.put(lines.get(name, Line()), those)
    return replace(state, lines=lines)


def _letter(state: Teller, plan: Plan, about: str, text: str, level: str, now_us: int) -> Teller:
    """To whoever hears of the fleet; a summary to whoever wants it."""
    letter = Notice(f"{about} {now_us}", Kind.LETTER, level, "", about, "", text, now_us, now_us)
    lines = dict(state.lines)
    for route in plan.routes:
        if route.summary if level == "INFO" else route.fleet:
            for name in route.lines:
                lines[name] = delivery_line.put(lines.get(name, Line()), [letter])
    return replace(state, lines=lines)


def _daily(state: Teller, plan: Plan, now_us: int) -> Teller:
    if plan.summary_at < 0 or state.newest is None or state.newest.is_settling:
        return state
    day = due_day(plan.summary_at, plan.zone, now_us, state.day)
    if not day:
        return state
    open_count = sum(known.is_told and not known.gone_us for known in state.book.known.values())
    waiting = sum(len(line.waiting) for line in state.lines.values() if line.failing_us)
    text = summary_text(state.newest, state.before, open_count, waiting)
    before = kept_for_the_next(state.newest, state.before)
    if state.others.other_us is not None:
        return replace(state, day=day, before=before)
    return replace(_letter(state, plan, "daily summary", text, "INFO", now_us), day=day, before=before)
