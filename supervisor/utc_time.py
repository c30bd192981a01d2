"""The current time in UTC as text, for status, logs and file names."""

from __future__ import annotations

import datetime

__all__ = ["file_stamp", "utc_now", "utc_text"]


def utc_now() -> str:
    """With milliseconds, such as 2026-01-02T03:04:05.678Z."""
    return _now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def file_stamp() -> str:
    """To the second and without colons, such as 20260102T030405Z."""
    return _now().strftime("%Y%m%dT%H%M%SZ")


def utc_text(us: int) -> str:
    """A time in microseconds UTC, to the second, such as 2026-01-02T03:04:05Z."""
    return datetime.datetime.fromtimestamp(us // 1_000_000, datetime.UTC).isoformat().replace("+00:00", "Z")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
