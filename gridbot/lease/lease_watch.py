"""Whether this worker may send now: the one owner of its lease, asked last before bytes leave.

The order is: take the exchange's time into the request, then ask `may_send`, then hand the bytes over. So whatever
holds the process up in between, its request only grows older, and the exchange refuses it before another holder sends.
"""

from __future__ import annotations

from collections.abc import Callable

from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.lease.anchored_clock import AnchoredClock
from gridbot.lease.lease_term import LeaseTerm

__all__ = ["RECV_WINDOW_MS", "LeaseWatch"]

RECV_WINDOW_MS = 2_000
"""How old a request may be when the exchange takes it; the waits of `supervisor/fleet` count on it."""
SECOND_NS = 1_000_000_000


class LeaseWatch:
    """One per worker of a fleet. `boot_ns` reads CLOCK_BOOTTIME; `clock` has the exchange's time by it."""

    def __init__(self, term: LeaseTerm, boot_ns: Callable[[], int], wall_ms: Callable[[], int]) -> None:
        self.epoch = term.epoch
        self.superseded_by = 0
        """The higher epoch of this account that was seen at the exchange; 0 while none was."""
        self._boot_ns = boot_ns
        self._term = term
        self._doubted_ns = 0
        """Terms whose request was sent before this say nothing: our clock did not count all that passed."""
        self._may_until_ns = 0
        self.clock = AnchoredClock(boot_ns, wall_ms, jumped=self._doubt, measured=self._reckon)
        self._reckon()

    def may_send(self) -> bool:
        """Whether the lease holds, and the exchange's time is known to half a second. One reading of a clock."""
        return self._boot_ns() < self._may_until_ns

    def extend(self, term: LeaseTerm) -> None:
        """A renewal. One of another epoch is not this worker's; an older one changes nothing."""
        if term.epoch == self.epoch and term.until_ns > self._term.until_ns:
            self._term = term
            self._reckon()

    def supersede(self, epoch: int) -> None:
        """A later holder has sent orders for the account: nothing leaves any more, for good."""
        self.superseded_by = max(self.superseded_by, epoch)
        self._reckon()

    def left_s(self) -> float:
        """Seconds until the lease ends, whatever the clock is worth; negative afterwards."""
        until_ns = 0 if self._is_void else self._term.until_ns
        return (until_ns - self._boot_ns()) / SECOND_NS

    def why_not(self) -> str:
        """Why nothing may be sent, in words; empty when something may."""
        now_ns = self._boot_ns()
        if self.superseded_by:
            return (
                f"another holder has sent orders for this account (epoch {self.superseded_by}, ours is {self.epoch}): "
                "nothing is sent any more"
            )
        if self._is_void:
            return "the clock of this machine has jumped: nothing is sent until the lease was renewed after that"
        if now_ns >= self._term.until_ns:
            return "this host has no lease of the account: nothing is sent until it is renewed"
        if now_ns >= self.clock.good_until_ns():
            return "the exchange's time is not known to half a second: nothing is sent until it was measured again"
        return ""

    def refusal(self) -> ExchangeError:
        """The error of a request that was not sent; without effect, so nobody needs to look it up."""
        return make_error(f"not sent: {self.why_not() or 'the lease has ended'}", ErrorKind.NO_LEASE)

    # ------------------------------------------------------------------ inside

    @property
    def _is_void(self) -> bool:
        return self._term.sent_ns < self._doubted_ns

    def _doubt(self, at_ns: int) -> None:
        self._doubted_ns = at_ns
        self._reckon()

    def _reckon(self) -> None:
        """Until when something may be sent, so that `may_send` need not reckon."""
        is_none = self.superseded_by or self._is_void
        self._may_until_ns = 0 if is_none else min(self._term.until_ns, self.clock.good_until_ns())
