"""What becomes of a listing on command, as the state file keeps it, and which listings changed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from gridbot.paper.market.instruments import Listing, Phase

__all__ = ["ChangedListings", "terms_of", "with_terms"]


class ChangedListings:
    """Symbols that are not listed as they were configured (`symbols`), and what changed since it was last taken."""

    def __init__(self) -> None:
        self.symbols: set[str] = set()
        self.fresh: set[str] = set()
        self.has_news = False
        """Announcements changed."""

    def __bool__(self) -> bool:
        return bool(self.fresh) or self.has_news

    def changed(self, symbol: str) -> None:
        self.symbols.add(symbol)
        self.fresh.add(symbol)

    def announced(self) -> None:
        self.has_news = True

    def clear(self) -> None:
        """All of it is taken."""
        self.fresh.clear()
        self.has_news = False


def terms_of(listing: Listing) -> dict[str, Any]:
    """What can change of a listing, as JSON values."""
    instrument, price = listing.instrument, listing.delivery_price
    return {
        "status": instrument.status,
        "delivery_ms": instrument.delivery_ms or 0,
        "tick_size": str(instrument.tick_size),
        "qty_step": str(instrument.qty_step),
        "min_order_qty": str(instrument.min_order_qty),
        "launch_ms": listing.launch_ms,
        "phase": listing.auction_phase,
        "phases": [[phase.name, phase.start_ms, phase.end_ms] for phase in listing.phases],
        "settling_ms": listing.settling_ms,
        "delivery_price": None if price is None else str(price),
    }


def with_terms(listing: Listing, terms: Mapping[str, Any]) -> Listing:
    """A configured listing as it was changed to. Raises KeyError, TypeError, ValueError or ArithmeticError."""
    step, price, before = Decimal(terms["qty_step"]), terms["delivery_price"], listing.instrument
    least = before.min_order_qty if step == before.qty_step else step
    instrument = replace(
        listing.instrument,
        status=str(terms["status"]),
        delivery_ms=int(terms["delivery_ms"]),
        tick_size=Decimal(terms["tick_size"]),
        qty_step=step,
        min_order_qty=Decimal(terms.get("min_order_qty", least)),  # older files do not have it
    )
    return replace(
        listing,
        instrument=instrument,
        launch_ms=int(terms["launch_ms"]),
        auction_phase=str(terms["phase"]),
        phases=tuple(Phase(str(name), int(start_ms), int(end_ms)) for name, start_ms, end_ms in terms["phases"]),
        settling_ms=int(terms["settling_ms"]),
        delivery_price=None if price is None else Decimal(price),
    )
