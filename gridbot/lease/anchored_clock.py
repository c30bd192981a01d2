"""The exchange's time by a clock that nobody sets: measured once, then carried on by CLOCK_BOOTTIME.

A request's time must be right to half a second, or a holder's last request could be taken when its successor already
sends (`supervisor/fleet/lease.py`). By the wall clock it would jump with each step of it. Here it is the exchange's
time at the last good measurement plus what has passed since, and how wrong that may be is known: half the round trip,
and 500 ppm of the age, which is the most that a clock is slewed by.

A measurement that contradicts what we knew means that our clock did not count something, such as a pause of the virtual
machine: then leases that were granted before are in doubt (`jumped`).
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MAX_UNCERTAIN_NS", "AnchoredClock"]

MILLISECOND_NS = 1_000_000
MAX_UNCERTAIN_NS = 500 * MILLISECOND_NS
"""Nothing is sent that changes something while the exchange's time may be wrong by more."""
DRIFT_PPM = 500
MAX_ROUND_TRIP_MS = 2_000
"""A measurement that took longer says too little."""


class AnchoredClock:
    """In the place of `bybit.clocks.ExchangeClock`; `boot_ns` reads CLOCK_BOOTTIME, `wall_ms` our clock.

    Until the first measurement the exchange's time is the wall clock's, for queries alone. `jumped` is called with the
    time (`boot_ns`) of a measurement that shows that one of the clocks has jumped; `measured` after each that counts.
    """

    def __init__(
        self,
        boot_ns: Callable[[], int],
        wall_ms: Callable[[], int],
        *,
        jumped: Callable[[int], None] = lambda at_ns: None,
        measured: Callable[[], None] = lambda: None,
    ) -> None:
        self._boot_ns = boot_ns
        self._wall_ms = wall_ms
        self._jumped = jumped
        self._measured = measured
        self._ahead_ms = 0
        """The exchange's time minus our boot clock."""
        self._at_ns: int | None = None
        self._wrong_ns = 0
        """How wrong it may have been at `_at_ns`."""

    def own_ms(self) -> int:
        """Our clock, to be read before and after a question about the exchange's."""
        return self._boot_ns() // MILLISECOND_NS

    def now_ms(self) -> int:
        """The exchange's time, UTC milliseconds."""
        return self._wall_ms() if self._at_ns is None else self._boot_ns() // MILLISECOND_NS + self._ahead_ms

    @property
    def offset_ms(self) -> int:
        """The exchange's time minus our wall clock, as of now."""
        return self.now_ms() - self._wall_ms()

    @property
    def measured_ms(self) -> int | None:
        """The same, or None before the first measurement."""
        return None if self._at_ns is None else self.offset_ms

    def uncertain_ns(self, now_ns: int) -> int | None:
        """How wrong `now_ms` may be at `now_ns`; None before the first measurement."""
        if self._at_ns is None:
            return None
        return self._wrong_ns + (now_ns - self._at_ns) * DRIFT_PPM // 1_000_000

    def good_until_ns(self) -> int:
        """Until when it may be wrong by half a second at most; 0 when it never was as good."""
        left_ns = MAX_UNCERTAIN_NS - self._wrong_ns
        if self._at_ns is None or left_ns < 0:
            return 0
        return self._at_ns + left_ns * 1_000_000 // DRIFT_PPM

    def learn(self, server_ms: int, sent_ms: int, received_ms: int) -> None:
        """Take a reading of the exchange's clock, made between two readings of `own_ms`."""
        round_trip_ms = received_ms - sent_ms
        if not 0 <= round_trip_ms <= MAX_ROUND_TRIP_MS:
            return
        # One for the digits that milliseconds lack.
        wrong_ns = (round_trip_ms // 2 + 1) * MILLISECOND_NS
        ahead_ms, at_ns = server_ms - (sent_ms + received_ms) // 2, received_ms * MILLISECOND_NS
        known_ns = self.uncertain_ns(at_ns)
        if known_ns is not None:
            if abs(ahead_ms - self._ahead_ms) * MILLISECOND_NS > known_ns + wrong_ns:
                self._take(ahead_ms, at_ns, wrong_ns)
                self._jumped(at_ns)
                return
            if wrong_ns > known_ns:
                return
        self._take(ahead_ms, at_ns, wrong_ns)

    def adopt(self, measured_ms: int) -> None:
        """What another process measured against its wall clock says nothing here: `learn` alone counts."""

    def _take(self, ahead_ms: int, at_ns: int, wrong_ns: int) -> None:
        self._ahead_ms, self._at_ns, self._wrong_ns = ahead_ms, at_ns, wrong_ns
        self._measured()
