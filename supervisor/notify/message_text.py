"""From what waits for an address to a message that a person reads on a phone. Pure.

One alert is a message of its own; many share one, those of a kind in one line, so that a storm of 500 is a few
messages and each of them is named in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from gridbot.commands.wording import counted
from gridbot.doors.plain_text import one_line, printable_lines
from supervisor.notify.alert_notices import Kind, Notice, rank
from supervisor.notify.quiet_hours import clock_text

__all__ = ["LONGEST_BODY", "Message", "compose", "fitting"]

LONGEST_BODY: Final = 1600
"""Characters of a message with many alerts: Discord takes 2000, with title."""
LONGEST_TEXT: Final = 900
LONGEST_IN_LIST: Final = 150
HEAD: Final = 60
"""Characters of a line beside names and text, and a little more."""
_WORDS: Final = {Kind.WORSE: "worse", Kind.ENDED: "over", Kind.PASSED: "over already"}


@dataclass(frozen=True, slots=True)
class Message:
    """`mood` is one of Apprise's types: info, success, warning, failure."""

    title: str
    body: str
    mood: str


def fitting(notices: Sequence[Notice]) -> int:
    """How many of them, from the first on, are one message. A letter is one of its own."""
    size, seen, count = 0, set[tuple[str, ...]](), 0
    for notice in notices:
        if notice.kind is Kind.LETTER:
            return count or 1
        kind = _kind_of(notice)
        size += len(notice.about) + 2
        if kind not in seen:
            seen.add(kind)
            size += HEAD + len(notice.key) + min(len(notice.text), LONGEST_IN_LIST)
        if count and size > LONGEST_BODY:
            break
        count += 1
    return count


def compose(fleet: str, notices: Sequence[Notice], zone: tzinfo, now_us: int, lost: int = 0) -> Message:
    """A message of these, at least one; `lost` is how many others were given up before."""
    end = f"\n\nGiven up, since they could not be delivered: {counted(lost, 'earlier notice')}." if lost else ""
    first = notices[0]
    if first.kind is Kind.LETTER:
        return Message(f"{fleet}: {first.about}", printable_lines(first.text) + end, _mood(first))
    if len(notices) == 1:
        return Message(f"{fleet}: {_headline(first)}", _whole(first, zone, now_us) + end, _mood(first))
    open_ones = [notice for notice in notices if not notice.is_over]
    worst = max(open_ones or notices, key=lambda notice: rank(notice.level))
    over = len(notices) - len(open_ones)
    title = f"{fleet}: {len(notices)} alerts" + (f", worst {worst.level}" if open_ones else ", all over")
    title += f", {over} over" if over and open_ones else ""
    return Message(title, "\n".join(_lines(notices, zone, now_us)) + end, _mood(worst))


def _kind_of(notice: Notice) -> tuple[str, ...]:
    return str(notice.kind), notice.level, notice.key


def _mood(notice: Notice) -> str:
    if notice.kind is Kind.LETTER and notice.level == "INFO":
        return "info"
    if notice.is_over:
        return "success"
    return "warning" if rank(notice.level) < rank("ERROR") else "failure"


def _headline(notice: Notice) -> str:
    what = notice.about if notice.key == "news" else f"{notice.about}: {notice.key}"
    if notice.kind is Kind.ENDED:
        return f"over, {what}"
    word = {Kind.WORSE: f"worse, {notice.level}", Kind.PASSED: f"over already, {notice.level}"}
    return f"{word.get(notice.kind, notice.level)} {what}"


def _said(notice: Notice, longest: int) -> str:
    """Its text; that it is over is said before."""
    return one_line(notice.text.removeprefix("over, ") if notice.is_over else notice.text, longest)


def _whole(notice: Notice, zone: tzinfo, now_us: int) -> str:
    facts = [f"{'first ' if notice.is_over else ''}at {clock_text(notice.at_us, zone, now_us)}", f"id {notice.name}"]
    if notice.count > 1:
        facts.append(f"came {notice.count} times")
    if notice.unsent:
        facts.append(f"{notice.unsent} of them without a message")
    return f"{_said(notice, LONGEST_TEXT)}\n\n{', '.join(facts)}"


def _lines(notices: Sequence[Notice], zone: tzinfo, now_us: int) -> list[str]:
    kinds: dict[tuple[str, ...], list[Notice]] = {}
    for notice in notices:
        kinds.setdefault(_kind_of(notice), []).append(notice)
    return [_line(those, zone, now_us) for those in kinds.values()]


def _line(those: Sequence[Notice], zone: tzinfo, now_us: int) -> str:
    first = those[0]
    word = _WORDS.get(first.kind, "")
    head = f"{clock_text(first.at_us, zone, now_us)} {first.level} {first.key}" + (f", {word}" if word else "")
    about = ", ".join(notice.about for notice in those)
    many = f" ({len(those)})" if len(those) > 1 else ""
    return f"{head}{many}: {about}: {_said(first, LONGEST_IN_LIST)}"
