"""Bybit's rows of maintenance (`system/status`) and of announcements (`announcements/index`), as values. Pure.

Texts are cut and put on one line: they go into logs, alerts and records.
"""

from __future__ import annotations

from typing import Any

from gridbot.bybit.raw_fields import FieldError, Row, need_text, object_of, text_of, time_or_zero, whole_or_none
from gridbot.doors.plain_text import shown
from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState

__all__ = ["parse_announcement", "parse_maintenance"]

LONGEST = 300
LONGEST_DESCRIPTION = 4000


def parse_maintenance(row: Row) -> Maintenance:
    """A row of system/status. `env` is documented as text, and a whole number in each example."""
    return Maintenance(
        notice_id=need_text(row, "id"),
        title=_line(row.get("title")),
        state=MaintenanceState(text_of(row, "state")),
        begin_ms=time_or_zero(row, "begin"),
        end_ms=time_or_zero(row, "end"),
        products=_numbers(row.get("product")),
        uid_digits=_numbers(row.get("uidSuffix")),
        env=whole_or_none(row.get("env")),
    )


def parse_announcement(row: Row) -> Announcement:
    """A row of announcements/index. The documentation misspells its dates.

    They have a meaning for activities only: elsewhere they repeat `dateTimestamp`.
    """
    title = _line(row.get("title"))
    if not title:
        raise FieldError(f"expected text in title, got {shown(row.get('title'))}")
    published_ms = time_or_zero(row, "publishTime", "dateTimestamp")
    start_ms = time_or_zero(row, "startDateTimestamp", "startDataTimestamp")
    end_ms = time_or_zero(row, "endDateTimestamp", "endDataTimestamp")
    return Announcement(
        title=title,
        kind=text_of(object_of(row, "type"), "key"),
        published_ms=published_ms,
        description=_line(row.get("description"), LONGEST_DESCRIPTION),
        url=_line(row.get("url")),
        start_ms=start_ms if start_ms > published_ms else 0,
        end_ms=end_ms if end_ms > published_ms else 0,
    )


def _line(text: Any, longest: int = LONGEST) -> str:
    """Blanks instead of control signs: a title is read, not searched for what it hides."""
    if not isinstance(text, str):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())[:longest]


def _numbers(found: Any) -> frozenset[int]:
    numbers = map(whole_or_none, found) if isinstance(found, list) else ()
    return frozenset(number for number in numbers if number is not None)
