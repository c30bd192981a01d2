"""Times of the exchange, held against our clock.

What says it happened long after now would be the newest of all for as long: no later price, position or wallet would
count, and paging would begin after it. So nothing is newer than now: such a time becomes that of our clock. An exchange
that is ahead of us by a little is none of this; `SKEW_MS` is more than its signatures allow us to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from gridbot.bybit.raw_fields import FieldError
from gridbot.core.strict_numbers import time_or_none
from gridbot.doors.plain_text import shown

__all__ = ["SKEW_MS", "Horizon"]

SKEW_MS = 60_000
"""How far ahead (ms) of what we take for the exchange's clock its times may be."""

T = TypeVar("T")


class Horizon:
    """The latest time that may be. For any thread.

    `exchange_ms` is the exchange's clock (ms UTC) as far as we know it. It is asked again only for a time beyond what
    it allowed last, about once a minute: each frame comes by here.
    """

    def __init__(self, exchange_ms: Callable[[], int]) -> None:
        self._exchange_ms = exchange_ms
        self._latest_ms = 0

    def bounded(self, events: list[T]) -> list[T]:
        """Events in their order, none later than now by more than the skew."""
        latest_ms = self._latest_ms
        for event in events:
            if getattr(event, "exchange_ts", 0) > latest_ms:
                return [self._no_later(event) for event in events]
        return events

    def frame_time(self, value: object) -> int:
        """The time of a frame (ms UTC), no later than now. FieldError for what can be no time."""
        if type(value) is int and 0 <= value <= self._latest_ms:
            return value
        sent_ms = time_or_none(value)
        if sent_ms is None:
            raise FieldError(f"expected a time in ms of a frame, got {shown(value)}")
        return self._now_at_most(sent_ms)

    def _no_later(self, event: Any) -> Any:
        told_ms = getattr(event, "exchange_ts", 0)
        at_ms = self._now_at_most(told_ms)
        return event if at_ms == told_ms else replace(event, exchange_ts=at_ms)

    def _now_at_most(self, told_ms: int) -> int:
        if told_ms <= self._latest_ms:
            return told_ms
        now_ms = self._exchange_ms()
        self._latest_ms = now_ms + SKEW_MS
        return now_ms if told_ms > self._latest_ms else told_ms
