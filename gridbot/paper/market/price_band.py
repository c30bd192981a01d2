"""The dynamic band that limit prices have to lie in (docs/bybit.md 3.13). Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.market_history import RollingMean

__all__ = ["PriceBand"]

ZERO = Decimal(0)
PREMIUM_WINDOW_MS = 30_000


class PriceBand:
    """Follows the premium, which is the middle of the book less the mark price, over 30 seconds."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._premium = RollingMean(PREMIUM_WINDOW_MS)
        self._made_of: tuple[Decimal, Decimal, int] | None = None  # mark, index, premium the limits were computed from
        self._limits = ZERO, ZERO

    def change_rules(self, listing: Listing) -> None:
        """Go on under other rules."""
        self._listing, self._made_of = listing, None

    def note(self, premium: float, now_ms: int) -> None:
        self._premium.add(premium, now_ms)

    def limits(self, mark: Decimal, index: Decimal) -> tuple[Decimal, Decimal]:
        """(highest buy, lowest sell) allowed now, on the tick."""
        made_of = mark, index, self._premium.changes
        if self._made_of == made_of:
            return self._limits
        x, y = self._listing.price_limit_x, self._listing.price_limit_y
        premium = Decimal(self._premium.value)
        highest = min(mark * (1 + y), max(index, mark * (1 + x) + max(ZERO, premium)))
        lowest = max(mark * (1 - y), min(index, mark * (1 - x) + min(ZERO, premium)))
        tick = self._listing.instrument.tick_size
        self._made_of = made_of
        self._limits = (
            (highest / tick).to_integral_value(ROUND_FLOOR) * tick,
            (lowest / tick).to_integral_value(ROUND_CEILING) * tick,
        )
        return self._limits
