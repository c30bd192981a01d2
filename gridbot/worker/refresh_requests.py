"""What the strategies of an account want to have read from the exchange again: a mailbox, nothing more.

Runners and order managers post; the orchestrator takes and reads when the time is right. Neither side knows the other.
"""

from __future__ import annotations

import asyncio

from gridbot.orders.order import TrackedOrder

__all__ = ["RefreshRequests"]


class RefreshRequests:
    """Posting never waits, and the same request posted twice is one request."""

    def __init__(self) -> None:
        self._positions: set[str] = set()
        self._wallet = False
        self._reconcile_reason: str | None = None
        self._look_ups: asyncio.Queue[TrackedOrder] = asyncio.Queue()

    # ------------------------------------------------------------------ posting

    def look_up(self, order: TrackedOrder) -> None:
        """Ask the exchange what became of this order."""
        self._look_ups.put_nowait(order)

    def refresh_positions(self, symbol: str) -> None:
        """Read both legs of the symbol, soon (not more often than every 10 s)."""
        self._positions.add(symbol)

    def refresh_wallet(self) -> None:
        """Read the wallet, soon."""
        self._wallet = True

    def reconcile(self, reason: str) -> None:
        """Compare everything with the exchange, soon. Of several reasons the first is recorded."""
        self._reconcile_reason = self._reconcile_reason or reason

    # ------------------------------------------------------------------ looking and taking

    @property
    def symbols(self) -> list[str]:
        """Symbols whose positions are wanted."""
        return sorted(self._positions)

    @property
    def wants_wallet(self) -> bool:
        return self._wallet

    @property
    def wants_reconcile(self) -> bool:
        return self._reconcile_reason is not None

    def take_positions(self, symbol: str) -> None:
        self._positions.discard(symbol)

    def take_wallet(self) -> None:
        self._wallet = False

    def take_reconcile(self) -> str:
        """Why everything is to be compared; empty when that was not requested."""
        reason, self._reconcile_reason = self._reconcile_reason, None
        return reason or ""

    async def next_look_up(self) -> TrackedOrder:
        """Wait for an order whose fate is unknown."""
        return await self._look_ups.get()
