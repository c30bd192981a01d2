"""Positions, prices, fills and ladders, as the records answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Fill", "Gap", "LadderRow", "Leg", "LegPoint", "PriceEnds", "PriceGap", "PricePoint", "StreamGap"]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg as it was before the span (`place` before) or at its end (last)."""

    place: str
    strategy: str
    symbol: str
    direction: str
    shadow: bool
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    liq_price: Decimal | None
    unrealised_pnl: Decimal | None


@dataclass(frozen=True, slots=True)
class LegPoint:
    """A position that is drawn; `distance` is how far its mark price may go until it is at the liquidation price, as a
    fraction of the mark price: below 0 where the mark is beyond it."""

    strategy: str
    symbol: str
    direction: str
    shadow: bool
    at_ms: int
    seq: int
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    liq_price: Decimal | None
    distance: float | None


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A price that is drawn."""

    symbol: str
    at_ms: int
    seq: int
    last_price: Decimal
    mark_price: Decimal | None


@dataclass(frozen=True, slots=True)
class PriceEnds:
    """First and last price of a symbol in the span, and how many rows there are and how many with a mark price."""

    symbol: str
    rows: int
    marks: int
    first_ms: int
    last_ms: int
    first_price: Decimal
    last_price: Decimal
    first_mark: Decimal | None = None
    last_mark: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Times without something: how many, how long together, the longest and when it began."""

    gaps: int
    missing_ms: int
    longest_ms: int
    longest_from_ms: int


@dataclass(frozen=True, slots=True)
class PriceGap(Gap):
    """Times without prices of a symbol."""

    symbol: str


@dataclass(frozen=True, slots=True)
class StreamGap(Gap):
    """Times in which a stream was not connected."""

    stream: str


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill that is drawn."""

    strategy: str
    symbol: str
    direction: str
    side: str
    shadow: bool
    at_ms: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class LadderRow:
    """A ladder; `levels` is the JSON of `grid_snapshots`."""

    strategy: str
    symbol: str
    at_ms: int
    anchor: Decimal | None
    levels: str
