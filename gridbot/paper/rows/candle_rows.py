"""Candles as Bybit sends them, made of minute candles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from gridbot.paper.market.market_history import Candle
from gridbot.paper.rows.row_numbers import plain

__all__ = ["INTERVALS", "candle_from", "candle_span", "group_candles", "kline_message", "kline_rows"]

MINUTES = (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)
DAY_MS = 86_400_000
INTERVALS = (*map(str, MINUTES), "D", "W", "M")
MONDAY_MS = 4 * DAY_MS  # the first one after the epoch


def candle_span(interval: str, at_ms: int) -> tuple[int, int]:
    """(first, last) millisecond of the candle that holds a time. Weeks begin on Monday, months on the first, in UTC."""
    if interval == "M":
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
        end = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
        return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000 - 1
    if interval == "W":
        first = (at_ms - MONDAY_MS) // (7 * DAY_MS) * 7 * DAY_MS + MONDAY_MS
        return first, first + 7 * DAY_MS - 1
    length = DAY_MS if interval == "D" else int(interval) * 60_000
    first = at_ms // length * length
    return first, first + length - 1


def group_candles(candles: Iterable[Candle], interval: str) -> list[Candle]:
    """Minute candles to longer ones, ascending."""
    groups: list[Candle] = []
    end = -1
    for candle in candles:
        if candle.start_ms > end:
            start, end = candle_span(interval, candle.start_ms)
            groups.append(
                Candle(start, candle.open, candle.high, candle.low, candle.close, candle.volume, candle.turnover)
            )
            continue
        group = groups[-1]
        group.high = max(group.high, candle.high)
        group.low = min(group.low, candle.low)
        group.close = candle.close
        group.volume += candle.volume
        group.turnover += candle.turnover
    return groups


def candle_from(candles: Sequence[Candle], interval: str, start_ms: int) -> Candle | None:
    """The longer candle that begins at a time, made of the newest minutes; None when there is none of them."""
    _, end = candle_span(interval, start_ms)
    minutes = takewhile(lambda candle: candle.start_ms >= start_ms, reversed(candles))
    groups = group_candles(reversed([candle for candle in minutes if candle.start_ms <= end]), interval)
    return groups[0] if groups else None


def kline_rows(candles: Sequence[Candle], *, start: int, end: int, limit: int) -> list[list[str]]:
    """Newest first."""
    rows = [candle for candle in reversed(candles) if start <= candle.start_ms <= end][:limit]
    return [
        [
            str(c.start_ms),
            format(c.open, "f"),
            format(c.high, "f"),
            format(c.low, "f"),
            format(c.close, "f"),
            plain(c.volume),
            plain(c.turnover),
        ]
        for c in rows
    ]


def kline_message(candle: Candle, interval: str, *, confirm: bool, updated_ms: int) -> dict[str, Any]:
    """The data of a kline topic; `confirm` says that the candle is over."""
    start, end = candle_span(interval, candle.start_ms)
    return {
        "start": start,
        "end": end,
        "interval": interval,
        "open": plain(candle.open),
        "close": plain(candle.close),
        "high": plain(candle.high),
        "low": plain(candle.low),
        "volume": plain(candle.volume),
        "turnover": plain(candle.turnover),
        "confirm": confirm,
        "timestamp": updated_ms,
    }
