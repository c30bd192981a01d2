"""The dynamic band that limit prices have to lie in (docs/bybit.md 3.13). Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core.price_limits import PREMIUM_WINDOW_MS, RollingMean, price_limits
from gridbot.paper.market.instruments import Listing

__all__ = ["PriceBand"]

ZERO = Decimal(0)


class PriceBand:
    """Follows the premium, which is the middle of the book less the mark price, over the trades of 30 seconds."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._premium = RollingMean(PREMIUM_WINDOW_MS)
        self._made_of: tuple[Decimal, Decimal, int] | None = None  # mark, index, premium the limits were computed from
        self._limits = ZERO, ZERO

    def change_rules(self, listing: Listing) -> None:
        """Go on under other rules."""
        self._listing, self._made_of = listing, None

    def note(self, premium: Decimal, now_ms: int) -> None:
        """The premium (USDT) at a trade."""
        self._premium.add(premium, now_ms)

    def limits(self, mark: Decimal, index: Decimal) -> tuple[Decimal, Decimal]:
        """(highest buy, lowest sell) allowed now, on the tick."""
        made_of = mark, index, self._premium.changes
        if self._made_of == made_of:
            return self._limits
        self._made_of = made_of
        listing, premium = self._listing, self._premium.value
        tick = listing.instrument.tick_size
        self._limits = price_limits(mark, index, premium, x=listing.price_limit_x, y=listing.price_limit_y, tick=tick)
        return self._limits
