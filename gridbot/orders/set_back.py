"""Where a reading by time begins while the exchange's clock was set back. Pure.

A watermark says up to which exchange time everything is read. While the exchange's clock shows times that it has shown
before, what happens is older than the watermark, so nothing that is read from there on has it. Then a reading begins
where the last finished one was asked, by the clock as it is now; while that is not known, well before now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["NEVER_SET_BACK", "NOISE_MS", "UNKNOWN_MS", "SetBack"]

NOISE_MS = 2_000
"""By so much (ms) the exchange's clock may seem to be behind: it is measured now and then, and again when it refuses
requests, as it does when they are stamped 1000 ms ahead of it."""
UNKNOWN_MS = 600_000
"""How long before now (ms) the first reading of a start begins: nobody knows when the clock was set back."""


@dataclass(frozen=True, slots=True)
class SetBack:
    """Of one watermark. `since_ms`: exchange time from which everything is to be read, None while the watermark tells.

    `asked_ms` (exchange time) and `asked_s` (monotonic) are of the newest question, `read_s` of the newest that a
    finished reading began with.
    """

    since_ms: int | None = None
    asked_ms: int | None = None
    asked_s: float = 0.0
    read_s: float | None = None

    def asked(self, watermark_ms: int, exchange_ms: int | None, mono_s: float) -> SetBack:
        """A question leaves now, by the exchange's clock and ours; nothing changes while the former is not known."""
        if exchange_ms is None:
            return self
        since_ms = self.since_ms
        if exchange_ms < watermark_ms - NOISE_MS:
            unread_ms = UNKNOWN_MS if self.read_s is None else round((mono_s - self.read_s) * 1000) + 1
            begin_ms = max(0, exchange_ms - unread_ms)
            since_ms = begin_ms if since_ms is None else min(since_ms, begin_ms)
        return replace(self, since_ms=since_ms, asked_ms=exchange_ms, asked_s=mono_s)

    def answered(self, watermark_ms: int, exchange_ms: int | None = None, mono_s: float = 0.0) -> SetBack:
        """Everything was read that the question was about; `exchange_ms` and `mono_s` are now.

        It counts for nothing when the exchange's clock has turned out to be behind what it was taken for then: a
        question that is refused for its time has it measured, and is asked again from the same time on.
        """
        if self.asked_ms is None:
            return self
        if exchange_ms is not None:
            expected_ms = self.asked_ms + round((mono_s - self.asked_s) * 1000)
            if exchange_ms < expected_ms - NOISE_MS:
                return self
        is_behind = self.asked_ms < watermark_ms - NOISE_MS
        return replace(self, since_ms=self.asked_ms if is_behind else None, read_s=self.asked_s)

    def begin_ms(self, watermark_ms: int) -> int:
        """Exchange time from which everything is to be read."""
        return watermark_ms if self.since_ms is None else min(watermark_ms, self.since_ms)


NEVER_SET_BACK = SetBack()
