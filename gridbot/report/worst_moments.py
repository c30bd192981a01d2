"""The worst of the span: deepest falls of the equity, hours that lost most, positions nearest to liquidation. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.report.money_facts import HourOfEquity, WalletPoint
from gridbot.report.position_facts import LegPoint

__all__ = ["Fall", "HourChange", "deepest_falls", "hour_changes", "losing_hours", "nearest_to_liquidation"]


@dataclass(frozen=True, slots=True)
class Fall:
    """From a highest equity down to the lowest before it was reached again; `recovered_ms` None: it was not."""

    peak_ms: int
    trough_ms: int
    trough_equity: Decimal
    depth: Decimal
    recovered_ms: int | None

    @property
    def peak_equity(self) -> Decimal:
        """Equity before the fall, USDT."""
        return self.trough_equity + self.depth

    @property
    def ratio(self) -> Decimal | None:
        """Depth as a fraction of the peak."""
        return self.depth / self.peak_equity if self.peak_equity > 0 else None


def deepest_falls(curve: Sequence[WalletPoint], count: int = 5) -> list[Fall]:
    """The deepest, the deepest first. Depth and lowest equity are exact, the times those of recorded balances."""
    found: list[Fall] = []
    peak: WalletPoint | None = None
    low: WalletPoint | None = None
    for point in sorted(curve, key=lambda point: point.seq):
        if point.drawdown > 0:
            if low is None or point.drawdown > low.drawdown:
                low = point
            continue
        if low is not None:
            found.append(_fall(peak or low, low, point.at_ms))
        peak, low = point, None
    if low is not None:
        found.append(_fall(peak or low, low, None))
    return sorted(found, key=lambda fall: -fall.depth)[:count]


def _fall(peak: WalletPoint, low: WalletPoint, recovered_ms: int | None) -> Fall:
    return Fall(peak.at_ms, low.at_ms, low.equity, low.drawdown, recovered_ms)


@dataclass(frozen=True, slots=True)
class HourChange:
    """By how much the equity changed from the last balance before an hour to the last one in it."""

    hour_ms: int
    change: Decimal


def hour_changes(hours: Sequence[HourOfEquity]) -> list[HourChange]:
    """Each hour that has a balance. The first hour counts from its own first balance."""
    changes = []
    before: Decimal | None = None
    for hour in sorted(hours, key=lambda hour: hour.hour_ms):
        changes.append(HourChange(hour.hour_ms, hour.last_equity - (hour.first_equity if before is None else before)))
        before = hour.last_equity
    return changes


def losing_hours(hours: Sequence[HourOfEquity], count: int = 5) -> list[HourChange]:
    """The hours that lost most, the worst first; hours that lost nothing are not among them."""
    return sorted((hour for hour in hour_changes(hours) if hour.change < 0), key=lambda hour: hour.change)[:count]


def nearest_to_liquidation(points: Sequence[LegPoint], *, shadow: bool = False) -> list[LegPoint]:
    """Of each leg the moment at which its mark price was nearest to its liquidation price, the nearest first."""
    nearest: dict[tuple[str, str], LegPoint] = {}
    for point in points:
        if point.distance is None or point.shadow != shadow:
            continue
        key = (point.symbol, point.direction)
        if key not in nearest or point.distance < (nearest[key].distance or 0):
            nearest[key] = point
    return sorted(nearest.values(), key=lambda point: point.distance or 0)
