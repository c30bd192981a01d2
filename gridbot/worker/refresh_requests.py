"""A mailbox of what has to be read from the exchange again.

Runners and order managers post; the clockwork and the orchestrator take. Neither side depends on the other. A request
is taken when its job starts, not before: what is asked for while that job runs is another request.
"""

from __future__ import annotations

import asyncio

from gridbot.orders.order import TrackedOrder
from gridbot.worker.schedule import NO_WISHES, Job, Wishes

__all__ = ["RefreshRequests"]


class RefreshRequests:
    """Posting never waits, and the same request posted twice is one request."""

    def __init__(self) -> None:
        self.wishes = NO_WISHES
        """All that is asked for, except look-ups; `NO_WISHES` itself for nothing. Changed here only."""
        self._gap_ms: int | None = None
        self._look_ups: asyncio.Queue[TrackedOrder] = asyncio.Queue()

    # ------------------------------------------------------------------ posting

    def look_up(self, order: TrackedOrder) -> None:
        """Ask the exchange for the state of this order."""
        self._look_ups.put_nowait(order)

    def refresh_positions(self, symbol: str) -> None:
        """Read both legs of the symbol, soon (not more often than every 10 s)."""
        self.wishes |= Wishes(positions=frozenset({symbol}))

    def read_terms(self, symbol: str) -> None:
        """Read what the exchange allows on the symbol and the account, soon (not more often than every 30 s)."""
        if symbol not in self.wishes.terms or not self.wishes.margin_mode:  # the one may have begun without the other
            self.wishes |= Wishes(terms=frozenset({symbol}), margin_mode=True)

    def read_margin_mode(self) -> None:
        """Read the account's margin mode, soon (not more often than every 30 s)."""
        if not self.wishes.margin_mode:
            self.wishes |= Wishes(margin_mode=True)

    def refresh_wallet(self) -> None:
        """Read the wallet, soon."""
        self.wishes |= Wishes(wallet=True)

    def set_dead_man(self) -> None:
        """Set the exchange's disconnect-cancel-all, soon."""
        self.wishes |= Wishes(dead_man=True)

    def check_money(self) -> None:
        """Compare what is recorded with the exchange's transaction log, soon: its lists do not say what was paid."""
        self.wishes |= Wishes(money=True)

    def reconcile(self, reason: str, *, since_ms: int | None = None) -> None:
        """Compare everything with the exchange, soon. Of several reasons the first is recorded.

        `since_ms`: since when (ms UTC) the stream may have kept executions from us.
        """
        self.wishes |= Wishes(reason)
        if since_ms is not None:
            self._gap_ms = since_ms if self._gap_ms is None else min(self._gap_ms, since_ms)

    # ------------------------------------------------------------------ taking

    def started(self, job: Job) -> None:
        """The request is served by this job, which starts now."""
        if self.wishes is not NO_WISHES:
            left = self.wishes.without([job])
            self.wishes = NO_WISHES if left == NO_WISHES else left

    @property
    def has_gap(self) -> bool:
        """Whether a gap waits for a pass to begin."""
        return self._gap_ms is not None

    def take_gap(self) -> int | None:
        """The start of the oldest gap since the last call, for the pass that begins."""
        gap_ms, self._gap_ms = self._gap_ms, None
        return gap_ms

    async def next_look_up(self) -> TrackedOrder:
        """Wait for the next order to look up."""
        return await self._look_ups.get()
