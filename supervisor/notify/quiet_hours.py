"""Times of the day: whether it is quiet, and whether the time of something has come. Pure; times in µs UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

__all__ = ["QuietHours", "clock_text", "due_day", "minutes_of"]


def minutes_of(text: str) -> int:
    """Of a time such as 23:05, its minutes since midnight."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _local(now_us: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(now_us / 1e6, UTC).astimezone(zone)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one minute of the day to another, which may be tomorrow's; alerts from `unless` on are told all the same."""

    begin: int
    end: int
    zone: tzinfo
    unless: str = "CRITICAL"

    def holds(self, now_us: int) -> bool:
        """Whether it is quiet now."""
        now = _local(now_us, self.zone)
        minute = now.hour * 60 + now.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end


SET_BACK: Final = timedelta(days=2)


def due_day(at: int, zone: tzinfo, now_us: int, last: str) -> str:
    """The day (such as 2026-01-02) whose time `at` has come and which is not `last`; "" when there is none.

    Without a last one that is only so from that minute on for an hour: a start in the evening is no reason for what
    belongs to the morning. A clock that was set back by a day or two brings no day again.
    """
    now = _local(now_us, zone)
    minute = now.hour * 60 + now.minute
    day = now.date().isoformat()
    if minute < at or (not last and minute >= at + 60):
        return ""
    return "" if day <= last <= (now.date() + SET_BACK).isoformat() else day


def clock_text(us: int, zone: tzinfo, now_us: int) -> str:
    """A time for people: 14:05:06, with its day when that is not today's."""
    then, now = _local(us, zone), _local(now_us, zone)
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")
