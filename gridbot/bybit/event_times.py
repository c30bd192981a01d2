"""Times of the exchange, held against our clock. Pure.

What says it happened long after now would be the newest of all for as long: no later price, position or wallet would
count, and paging would begin after it. So nothing is newer than now: such a time becomes that of our clock. An exchange
that is ahead of us by a little is none of this; `SKEW_MS` is more than its signatures allow us to be wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from gridbot.bybit.raw_fields import FieldError
from gridbot.core.strict_numbers import time_or_none
from gridbot.plain_text import shown

__all__ = ["SKEW_MS", "bounded", "frame_time"]

SKEW_MS = 60_000
"""How far ahead (ms) of what we take for the exchange's clock its times may be."""

T = TypeVar("T")


def bounded(events: list[T], now_ms: int) -> list[T]:
    """Events in their order, none of them later than `now_ms` (the exchange's clock) by more than the skew."""
    latest_ms = now_ms + SKEW_MS
    for event in events:
        if getattr(event, "exchange_ts", 0) > latest_ms:
            break
    else:
        return events
    return [_no_later(event, now_ms, latest_ms) for event in events]


def _no_later(event: Any, now_ms: int, latest_ms: int) -> Any:
    return replace(event, exchange_ts=now_ms) if getattr(event, "exchange_ts", 0) > latest_ms else event


def frame_time(value: object, now_ms: int) -> int:
    """The time of a frame (ms UTC), no later than now. FieldError for what can be no time."""
    sent_ms = time_or_none(value)
    if sent_ms is None:
        raise FieldError(f"expected a time in ms of a frame, got {shown(value)}")
    return now_ms if sent_ms > now_ms + SKEW_MS else sent_ms
