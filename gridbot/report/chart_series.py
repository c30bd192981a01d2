"""What the charts draw: plain lists for the page's script, thinned so that every extreme stays. Pure.

A chart is {id, unit, x, series: [{label, kind, y}]}; `x` counts from the beginning of the span in `Scale.step_ms`. Here
figures become floats of nine digits: a screen shows four. Figures that are read as text never come from here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.report.money_facts import WalletPoint
from gridbot.report.position_facts import Fill, LadderRow, PricePoint
from gridbot.report.positions_over_time import ExposurePoint, Held
from gridbot.report.report_span import DAY_MS, Asked

__all__ = [
    "Scale",
    "equity_chart",
    "exposure_chart",
    "fall_chart",
    "ladder_of",
    "position_charts",
    "price_chart",
    "prices_with_fills",
    "thinned",
]

Point = TypeVar("Point")
FURTHEST: Final = 2.0
"""Distances to liquidation beyond this fraction of the price are drawn there: they are no danger."""
MOST_LADDERS: Final = 6000
"""Levels of all ladders of a chart together."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Times of a chart: whole steps since the beginning of the span."""

    from_ms: int
    step_ms: int

    @classmethod
    def of(cls, asked: Asked) -> Scale:
        """Milliseconds for up to three days, else seconds."""
        return cls(asked.from_ms, 1 if asked.length_ms <= 3 * DAY_MS else 1000)

    def at(self, ms: int) -> int:
        """Steps since the beginning."""
        return (ms - self.from_ms) // self.step_ms


def number(value: Decimal | float | None) -> float | int | None:
    """As JSON has it: nine digits, whole where it is whole."""
    if value is None:
        return None
    found = float(f"{value:.9g}")
    return int(found) if found == int(found) and abs(found) < 1e15 else found


def thinned(
    points: Sequence[Point], at: Callable[[Point], int], value: Callable[[Point], Any], most: int
) -> list[Point]:
    """At most about `most` points in the order of time: of each part of time the first, last, lowest and highest."""
    if len(points) <= most:
        return list(points)
    begin, end = at(points[0]), at(points[-1])
    width = max(1, -(-4 * (end - begin + 1) // most))
    kept: dict[int, Point] = {}
    buckets: dict[int, list[int]] = {}
    for index, point in enumerate(points):
        buckets.setdefault((at(point) - begin) // width, []).append(index)
    for inside in buckets.values():
        low = min(inside, key=lambda index: value(points[index]))
        high = max(inside, key=lambda index: value(points[index]))
        kept |= {index: points[index] for index in (inside[0], low, high, inside[-1])}
    return [kept[index] for index in sorted(kept)]


def _chart(chart_id: str, unit: str, x: Sequence[int], *series: tuple[str, str, Sequence[Any]]) -> dict[str, Any]:
    return {
        "id": chart_id,
        "unit": unit,
        "x": list(x),
        "series": [
            {"label": label, "kind": kind, "y": [number(y) for y in values]}
            for label, kind, values in series
            if any(y is not None for y in values)
        ],
    }


def equity_chart(
    scale: Scale, wallet: Sequence[WalletPoint], held: Sequence[tuple[int, Decimal]], capital: Decimal
) -> dict[str, Any]:
    """Equity beside holding and doing nothing."""
    held = thinned(held, lambda point: point[0], lambda point: point[1], 1200)
    times = sorted({point.at_ms for point in wallet} | {at for at, _ in held})
    return _chart(
        "equity",
        "USDT",
        [scale.at(ms) for ms in times],
        ("doing nothing", "nothing", [capital for _ in times]),
        ("holding the coins", "holding", _newest(times, held)),
        ("equity", "equity", _newest(times, [(point.at_ms, point.equity) for point in wallet])),
    )


def _newest(times: Sequence[int], points: Sequence[tuple[int, Any]]) -> list[Any]:
    """The newest value at each time; None before the first."""
    known = [at for at, _ in points]
    return [points[at - 1][1] if (at := bisect_right(known, ms)) else None for ms in times]


def fall_chart(scale: Scale, wallet: Sequence[WalletPoint]) -> dict[str, Any]:
    """Drawdown in percent of the highest equity so far, below zero."""
    falls = [
        -100 * point.drawdown / (point.equity + point.drawdown) if point.equity + point.drawdown > 0 else None
        for point in wallet
    ]
    return _chart("fall", "%", [scale.at(point.at_ms) for point in wallet], ("drawdown", "fall", falls))


def exposure_chart(scale: Scale, rows: Sequence[ExposurePoint]) -> dict[str, Any]:
    """Value of the positions and margins, in percent of the equity."""

    def of_equity(ratios: Iterable[Decimal | None]) -> list[Decimal | None]:
        return [None if ratio is None else 100 * ratio for ratio in ratios]

    return _chart(
        "exposure",
        "%",
        [scale.at(row.at_ms) for row in rows],
        ("value of positions", "exposure", of_equity(row.ratio for row in rows)),
        ("initial margin", "margin", of_equity(row.initial_ratio for row in rows)),
        ("maintenance margin", "maintenance", of_equity(row.maintenance_ratio for row in rows)),
    )


def prices_with_fills(prices: Sequence[PricePoint], fills: Sequence[Fill]) -> list[PricePoint]:
    """Prices by symbol and time. Before the first and after the last that is recorded, and where none is, of fills."""
    known: dict[str, tuple[int, int]] = {}
    for point in prices:
        first, last = known.get(point.symbol, (point.at_ms, point.at_ms))
        known[point.symbol] = (min(first, point.at_ms), max(last, point.at_ms))
    nowhere = (1, 0)
    others = [
        PricePoint(fill.symbol, fill.at_ms, 0, fill.price, None)
        for fill in fills
        for first, last in (known.get(fill.symbol, nowhere),)
        if not first <= fill.at_ms <= last
    ]
    return sorted([*others, *prices], key=lambda point: (point.symbol, point.at_ms, point.seq))


def price_chart(
    scale: Scale, chart_id: str, prices: Sequence[PricePoint], fills: Sequence[Fill], ladders: Sequence[LadderRow]
) -> dict[str, Any]:
    """The price with fills and ladder."""
    chart = _chart(
        chart_id,
        "USDT",
        [scale.at(point.at_ms) for point in prices],
        ("last price", "price", [point.last_price for point in prices]),
        ("mark price", "mark", [point.mark_price for point in prices]),
    )
    marks: dict[str, list[Any]] = {}
    for fill in fills:
        opens = (fill.side == "Buy") == (fill.direction == "long")
        name = f"{'buy' if fill.side == 'Buy' else 'sell'}-{'open' if opens else 'close'}"
        marks.setdefault(name, []).append([scale.at(fill.at_ms), number(fill.price)])
    chart["fills"] = marks
    chart["ladders"] = _ladders(scale, ladders)
    return chart


def ladder_of(row: LadderRow) -> tuple[list[Decimal], list[Decimal]]:
    """Prices at which a ladder buys and sells; both empty when its text is not a ladder."""
    sides: dict[str, list[Decimal]] = {"Buy": [], "Sell": []}
    try:
        for price, side in read_json(row.levels):
            if side in sides:
                sides[side].append(Decimal(price))
    except (JsonMistake, ArithmeticError, TypeError, ValueError):
        return [], []
    return sides["Buy"], sides["Sell"]


def _ladders(scale: Scale, rows: Sequence[LadderRow]) -> list[Any]:
    """[time, prices to buy, prices to sell] at each change that is drawn."""
    drawn: list[Any] = []
    levels = 0
    found = [(max(0, scale.at(row.at_ms)), *ladder_of(row)) for row in rows]
    total = sum(len(buys) + len(sells) for _, buys, sells in found)
    each = max(1, -(-total // MOST_LADDERS))
    for at, buys, sells in found[::each]:
        levels += len(buys) + len(sells)
        drawn.append([at, [number(price) for price in buys], [number(price) for price in sells]])
    return drawn


def position_charts(scale: Scale, name: str, rows: Sequence[Held], coin: str) -> list[dict[str, Any]]:
    """Sizes of both legs (short below zero), and their distances to liquidation in percent of the price."""
    x = [scale.at(row.at_ms) for row in rows]
    sizes = _chart(
        f"position-{name}",
        coin,
        x,
        ("long", "long", [row.long_size for row in rows]),
        ("short", "short", [-row.short_size for row in rows]),
    )
    distances = _chart(
        f"distance-{name}",
        "%",
        x,
        ("long", "long", [_drawn(row.long_distance) for row in rows]),
        ("short", "short", [_drawn(row.short_distance) for row in rows]),
    )
    return [sizes, distances]


def _drawn(distance: float | None) -> float | None:
    return None if distance is None else 100 * min(distance, FURTHEST)
