"""Where and when the profit came: by level, by hour of the day, by weekday (UTC). Pure, exact: Decimal, USDT."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from typing import Final

from gridbot.report.money_facts import HourOfMoney, Pairs
from gridbot.report.report_span import HOUR_MS
from gridbot.report.worst_moments import HourChange

__all__ = ["WEEKDAYS", "LevelBand", "TimeSlot", "by_hour", "by_level", "by_weekday"]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class LevelBand:
    """Matched pairs that were opened at one level, or at levels `low` to `high` next to each other."""

    low: Decimal
    high: Decimal
    levels: int
    pairs: int
    profit: Decimal
    fees: Decimal

    @property
    def net(self) -> Decimal:
        """After both fees."""
        return self.profit - self.fees


def by_level(pairs: Iterable[Pairs], most: int = 24) -> list[LevelBand]:
    """One strategy's leg, from the highest level down; neighbours together when there are over `most`."""
    rows = sorted((row for row in pairs if row.level is not None), key=lambda row: row.level or ZERO, reverse=True)
    levels = [(level, list(group)) for level, group in groupby(rows, key=lambda row: row.level or ZERO)]
    together = max(1, -(-len(levels) // most))
    bands = []
    for first in range(0, len(levels), together):
        band = levels[first : first + together]
        inside = [row for _, group in band for row in group]
        bands.append(
            LevelBand(
                low=band[-1][0],
                high=band[0][0],
                levels=len(band),
                pairs=sum(row.pairs for row in inside),
                profit=sum((row.profit for row in inside), ZERO),
                fees=sum((row.fees for row in inside), ZERO),
            )
        )
    return bands


@dataclass(frozen=True, slots=True)
class TimeSlot:
    """An hour of the day or a weekday. `net`: grid profit of pairs closed then, after fees."""

    name: str
    fills: int
    pairs: int
    net: Decimal
    equity_change: Decimal
    seen: bool
    """Whether any fill or balance fell into it."""


def by_hour(
    pairs: Sequence[Pairs], money: Sequence[HourOfMoney], equity: Sequence[HourChange], strategies: Collection[str]
) -> list[TimeSlot]:
    """The 24 hours of the day."""
    return _slots([f"{hour:02}:00" for hour in range(24)], _hour_of, pairs, money, equity, strategies)


def by_weekday(
    pairs: Sequence[Pairs], money: Sequence[HourOfMoney], equity: Sequence[HourChange], strategies: Collection[str]
) -> list[TimeSlot]:
    """The seven days of the week."""
    return _slots(WEEKDAYS, _weekday_of, pairs, money, equity, strategies)


def _hour_of(ms: int) -> int:
    return ms // HOUR_MS % 24


def _weekday_of(ms: int) -> int:
    return datetime.fromtimestamp(ms / 1000, UTC).weekday()


def _slots(
    names: Sequence[str],
    slot_of: Callable[[int], int],
    pairs: Sequence[Pairs],
    money: Sequence[HourOfMoney],
    equity: Sequence[HourChange],
    strategies: Collection[str],
) -> list[TimeSlot]:
    fills: dict[int, int] = defaultdict(int)
    closed: dict[int, int] = defaultdict(int)
    net: dict[int, Decimal] = defaultdict(Decimal)
    changes: dict[int, Decimal] = defaultdict(Decimal)
    for row in pairs:
        if row.hour_ms is not None and row.strategy in strategies:
            closed[slot_of(row.hour_ms)] += row.pairs
            net[slot_of(row.hour_ms)] += row.profit - row.fees
    for hour in money:
        if hour.strategy in strategies:
            fills[slot_of(hour.hour_ms)] += hour.fills
    for change in equity:
        changes[slot_of(change.hour_ms)] += change.change
    seen = {*fills, *changes}
    return [TimeSlot(name, fills[at], closed[at], net[at], changes[at], at in seen) for at, name in enumerate(names)]
