"""What was held when: both legs of a strategy, and the whole account's exposure against its equity. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from gridbot.report.money_facts import WalletPoint
from gridbot.report.position_facts import Leg, LegPoint

__all__ = ["ExposurePoint", "Held", "exposure", "held", "mean_exposure", "most_exposed"]

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Held:
    """Both legs of a symbol after a change; sizes in base coin, distances to liquidation as a fraction of the price."""

    at_ms: int
    long_size: Decimal
    short_size: Decimal
    long_distance: float | None
    short_distance: float | None


def held(points: Iterable[LegPoint], before: Iterable[Leg] = (), until_ms: int | None = None) -> list[Held]:
    """The legs of one strategy over time. `before`: what it held when the span began; `until_ms`: when it ended."""
    sizes = {"long": ZERO, "short": ZERO} | {leg.direction: leg.size for leg in before}
    distances: dict[str, float | None] = {}
    rows: list[Held] = []
    for point in sorted(points, key=lambda point: (point.at_ms, point.seq)):
        sizes[point.direction] = point.size
        distances[point.direction] = point.distance
        row = Held(point.at_ms, sizes["long"], sizes["short"], distances.get("long"), distances.get("short"))
        if rows and rows[-1].at_ms == row.at_ms:
            rows.pop()
        rows.append(row)
    if rows and until_ms is not None and rows[-1].at_ms < until_ms:
        rows.append(Held(until_ms, sizes["long"], sizes["short"], None, None))
    return rows


@dataclass(frozen=True, slots=True)
class ExposurePoint:
    """The account at one moment: value of all legs (long and short added, USDT), equity, margins."""

    at_ms: int
    notional: Decimal
    equity: Decimal
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None

    @property
    def ratio(self) -> Decimal | None:
        """Value of the positions as a multiple of the equity."""
        return self.notional / self.equity if self.equity > 0 else None

    @property
    def initial_ratio(self) -> Decimal | None:
        """Initial margin as a fraction of the equity."""
        return self._of_equity(self.initial_margin)

    @property
    def maintenance_ratio(self) -> Decimal | None:
        """Maintenance margin as a fraction of the equity; at 1 the exchange liquidates."""
        return self._of_equity(self.maintenance_margin)

    def _of_equity(self, margin: Decimal | None) -> Decimal | None:
        return None if margin is None or self.equity <= 0 else margin / self.equity


def exposure(wallet: Sequence[WalletPoint]) -> list[ExposurePoint]:
    """At each balance that is drawn, in the order of time: a clock that was set back makes another one of numbers."""
    return [
        ExposurePoint(row.at_ms, row.notional, row.equity, row.total_initial_margin, row.total_maintenance_margin)
        for row in sorted(wallet, key=lambda row: (row.at_ms, row.seq))
    ]


def most_exposed(rows: Sequence[ExposurePoint]) -> ExposurePoint | None:
    """The moment of the highest exposure; None when there is none."""
    return max((row for row in rows if row.ratio is not None), key=lambda row: row.ratio or ZERO, default=None)


def mean_exposure(rows: Sequence[ExposurePoint]) -> Decimal | None:
    """The mean over time of exposure to equity; None without a span."""
    total, weight = ZERO, 0
    for row, following in pairwise(rows):
        if row.ratio is not None:
            total += row.ratio * (following.at_ms - row.at_ms)
            weight += following.at_ms - row.at_ms
    return total / weight if weight else None
