"""What a report is asked for: an account and a span of time, UTC. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gridbot.doors.typed_years import TYPED_YEARS, is_typed_year

__all__ = ["DAY_MS", "HOUR_MS", "MINUTE_MS", "Asked", "SpanMistake", "time_ms"]

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?)?", re.ASCII).fullmatch


class SpanMistake(ValueError):
    """A time or span that cannot be read; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`from_ms` counts, `to_ms` does not (ms UTC). `strategy` None: the whole account. `run`: name of a backtest."""

    account: str
    from_ms: int
    to_ms: int
    strategy: str | None = None
    run: str | None = None

    def __post_init__(self) -> None:
        if self.to_ms <= self.from_ms:
            raise SpanMistake("expected a span that ends after it begins")

    @property
    def length_ms(self) -> int:
        """Length of the span, ms."""
        return self.to_ms - self.from_ms


def time_ms(text: str, *, end: bool = False) -> int:
    """A time as it is typed, UTC: 2026-11-01, 2026-11-01 12:30 or 2026-11-01T12:30:00Z; ms.

    A day is its first moment; as the `end` of a span it counts whole. Raise SpanMistake.
    """
    word = text.strip()
    if _TIME(word):
        try:
            found = datetime.fromisoformat(word.removesuffix("Z")).replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            if not is_typed_year(found):
                raise SpanMistake(f"expected a time {TYPED_YEARS}, got {word!r}")
            ms = int(found.timestamp() * 1000)
            return ms + DAY_MS if end and len(word) == len("2026-11-01") else ms
    raise SpanMistake(f"expected a date or time in UTC such as 2026-11-01 or 2026-11-01T12:30, got {word[:40]!r}")
