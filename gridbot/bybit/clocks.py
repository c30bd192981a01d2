"""Every reading of a clock in this package, and what is known of the exchange's clock."""

from __future__ import annotations

import time

__all__ = ["ExchangeClock", "monotonic_ns", "monotonic_s", "wall_ms"]

MAX_ROUND_TRIP_MS = 2_000
"""A measurement that took longer says too little."""
DEAD_BAND_MS = 250
"""Offsets below this are noise of the measurement; the exchange accepts 1000 ms ahead and 5000 ms behind."""

monotonic_s = time.monotonic
monotonic_ns = time.monotonic_ns


def wall_ms() -> int:
    """Our clock, UTC milliseconds."""
    return time.time_ns() // 1_000_000


class ExchangeClock:
    """The exchange's clock as far as we know it: `offset_ms` is added to ours in every signed request."""

    def __init__(self) -> None:
        self.offset_ms = 0
        self.measured_ms: int | None = None
        """The offset as measured last, before the dead band."""

    def own_ms(self) -> int:
        """Our clock, to be read before and after a question about the exchange's."""
        return wall_ms()

    def now_ms(self) -> int:
        """The exchange's time, UTC milliseconds."""
        return wall_ms() + self.offset_ms

    def learn(self, server_ms: int, sent_ms: int, received_ms: int) -> None:
        """Take a reading of the server's clock, made between two readings of ours; ignored after a slow round trip."""
        if not 0 <= received_ms - sent_ms <= MAX_ROUND_TRIP_MS:
            return
        self.adopt(server_ms - (sent_ms + received_ms) // 2)

    def adopt(self, measured_ms: int) -> None:
        """Take an offset that was measured, here or by another process of this machine."""
        self.measured_ms = measured_ms
        self.offset_ms = self.measured_ms if abs(self.measured_ms) > DEAD_BAND_MS else 0
