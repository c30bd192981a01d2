"""Times of the day in a time zone, over midnight and over a change of the clocks."""

from __future__ import annotations

from datetime import datetime

import pytest
import pytz

from supervisor.notify.quiet_hours import QuietHours, clock_text, due_day, minutes_of

BERLIN = pytz.timezone("Europe/Berlin")


def us(text: str) -> int:
    """Of a time in Berlin."""
    return round(BERLIN.localize(datetime.fromisoformat(text)).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("begin", "end", "now", "holds"),
    [
        ("23:00", "07:00", "2026-01-02 22:59:59", False),
        ("23:00", "07:00", "2026-01-02 23:00:00", True),
        ("23:00", "07:00", "2026-01-03 00:00:00", True),
        ("23:00", "07:00", "2026-01-03 06:59:59", True),
        ("23:00", "07:00", "2026-01-03 07:00:00", False),
        ("23:00", "07:00", "2026-07-03 06:59:59", True),
        ("12:00", "13:30", "2026-07-03 13:29:00", True),
        ("12:00", "13:30", "2026-07-03 11:59:00", False),
        ("12:00", "13:30", "2026-07-03 13:30:00", False),
    ],
)
def test_quiet_hours(begin: str, end: str, now: str, holds: bool) -> None:
    assert QuietHours(minutes_of(begin), minutes_of(end), BERLIN).holds(us(now)) is holds


@pytest.mark.parametrize(
    ("now", "last", "day"),
    [
        ("2026-03-29 07:59:59", "2026-03-28", ""),
        ("2026-03-29 08:00:00", "2026-03-28", "2026-03-29"),
        ("2026-03-29 23:59:00", "2026-03-28", "2026-03-29"),
        ("2026-03-29 08:00:00", "2026-03-29", ""),
        ("2026-03-29 08:59:00", "", "2026-03-29"),
        ("2026-03-29 09:00:00", "", ""),
        ("2026-03-28 08:30:00", "2026-03-29", ""),  # the clock was set back
        ("2026-03-28 08:30:00", "2026-03-31", "2026-03-28"),  # it had been wrong
    ],
)
def test_the_time_comes_once_a_day_and_not_hours_late_after_a_first_start(now: str, last: str, day: str) -> None:
    assert due_day(minutes_of("08:00"), BERLIN, us(now), last) == day


def test_a_time_for_people_has_its_day_when_that_is_another() -> None:
    now = us("2026-03-29 08:00:00")
    assert clock_text(us("2026-03-29 01:02:03"), BERLIN, now) == "01:02:03"
    assert clock_text(us("2026-03-28 23:59:59"), BERLIN, now) == "2026-03-28 23:59:59"
