"""Figures as text for people: money with its sign, percentages, times UTC, lengths of time. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from gridbot.report.report_span import DAY_MS, HOUR_MS, MINUTE_MS

__all__ = [
    "amount",
    "count",
    "day",
    "duration",
    "moment",
    "money",
    "often",
    "percent",
    "price",
    "signed",
    "times",
    "tone",
]

MINUS: Final = "−"
NOTHING: Final = "–"
_NINE: Final = Context(prec=9)
_WIDE: Final = Context(prec=60)
"""Figures of any size are rounded, never refused: 38 digits and more before the point."""


def _rounded(value: Decimal, places: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=_WIDE)
    return abs(rounded) if rounded == 0 else rounded


def money(value: Decimal | None, places: int = 2) -> str:
    """USDT, with thousands apart: 1,234.50."""
    return NOTHING if value is None else f"{_rounded(value, places):,f}".replace("-", MINUS)


def signed(value: Decimal | None, places: int = 2) -> str:
    """USDT with + or −; nothing before 0."""
    if value is None:
        return NOTHING
    rounded = _rounded(value, places)
    return f"{rounded:+,f}".replace("-", MINUS) if rounded else f"{rounded:,f}"


def percent(ratio: Decimal | float | None, places: int = 2, *, sign: bool = False) -> str:
    """A fraction as 12.34 %."""
    if ratio is None:
        return NOTHING
    value = (Decimal(repr(ratio)) if isinstance(ratio, float) else ratio) * 100
    return f"{signed(value, places) if sign else money(value, places)} %"


def times(ratio: Decimal | None, places: int = 2) -> str:
    """A multiple, as 3.20×."""
    return NOTHING if ratio is None else f"{money(ratio, places)}×"


def price(value: Decimal | None) -> str:
    """A price or a size with the digits it has, nine at most before they are only of the arithmetic."""
    if value is None:
        return NOTHING
    digits = _NINE.create_decimal(value).normalize(_WIDE)
    exponent = digits.as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return money(value, places)


amount = price


def count(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def often(number: int) -> str:
    """once, 2 times."""
    return "once" if number == 1 else f"{count(number)} times"


def moment(ms: int | None, *, seconds: bool = False) -> str:
    """2026-11-01 12:30, UTC."""
    if ms is None:
        return NOTHING
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def day(ms: int) -> str:
    """2026-11-01."""
    return moment(ms)[:10]


def duration(ms: int | None) -> str:
    """The two largest units: 3 d 4 h, 12 min 5 s."""
    if ms is None:
        return NOTHING
    days, rest = divmod(ms, DAY_MS)
    hours, rest = divmod(rest, HOUR_MS)
    minutes, rest = divmod(rest, MINUTE_MS)
    words = [(days, "d"), (hours, "h"), (minutes, "min"), (rest // 1000, "s")]
    first = next((at for at, (number, _) in enumerate(words) if number), None)
    if first is None:
        return "under 1 s" if ms else "0 s"
    return " ".join(f"{number} {unit}" for number, unit in words[first : first + 2] if number)


def tone(value: Decimal | None) -> str:
    """The class of a figure that is good or bad news: up, down or nothing."""
    rounded = Decimal(0) if value is None else _rounded(value, 2)
    return "up" if rounded > 0 else "down" if rounded < 0 else ""
