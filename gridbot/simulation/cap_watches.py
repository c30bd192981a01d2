"""What caps on drawdown and margin ratio mean for a run: what opens though it may not (`verdict`).

A latch is what the worker tells; that the ratio is too high is the exchange's own figure.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.simulation.network import Network

__all__ = ["MarginWatch"]

FAR_ABOVE = Decimal("1.3")
"""Between two frames of the wallet the worker works the ratio out itself."""
KNOWN_S = 3.0
"""Until a ratio that is so high is known, two looks have been taken, and what was under way is over."""


class MarginWatch:
    """Since when the exchange's margin ratio is far above the limit."""

    def __init__(self, limit: Decimal | None, network: Network) -> None:
        self._limit = limit
        self._network = network
        self._since_s: float | None = None

    def look(self, maintenance: Decimal, balance: Decimal, now_s: float) -> None:
        """Once a second; what the exchange says of the account (USDT)."""
        is_high = self._limit is not None and maintenance > balance * self._limit * FAR_ABOVE
        self._since_s = (self._since_s or now_s) if is_high else None

    def is_known(self, sent_s: float) -> bool:
        """Whether nothing may be opened by then: nothing has gone wrong for as long, and the ratio is too high."""
        if self._since_s is None:
            return False
        return sent_s > max(self._since_s, self._network.trouble_s) + KNOWN_S

    def forget(self) -> None:
        """The worker is gone: the next one has to see it first."""
        self._since_s = None
