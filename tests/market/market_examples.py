"""Instruments and days for the tests of market data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from gridbot.core.instrument import Instrument, RiskTier
from gridbot.market.day import Day, day_start_ms, ticks_of

DAY = date(2026, 9, 1)
START_MS = day_start_ms(DAY)
TIERS = (
    RiskTier(Decimal(1000), Decimal("0.005"), Decimal("0.01")),
    RiskTier(Decimal(2000), Decimal("0.01"), Decimal("0.02"), Decimal(5), Decimal(50)),
)
INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    tick_size=Decimal("0.10"),
    qty_step=Decimal("0.001"),
    min_order_qty=Decimal("0.001"),
    max_order_qty=Decimal(100),
    tiers=TIERS,
    price_limit_x=Decimal("0.01"),
    untold=frozenset({"max_price"}),
)


def made_day(prices: Sequence[int] = (600_000, 600_001, 599_999), **changes: Any) -> Day:
    """A day with a tick each second."""
    times = [START_MS + 1000 * at for at in range(len(prices))]
    day = ticks_of(INSTRUMENT, times, prices, marks=[(START_MS, 6_000_010)], mark_unit=Decimal("0.01"))
    return replace(day, **changes)
