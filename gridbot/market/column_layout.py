"""Which columns of a file are what: the layouts that are known, and those that somebody describes. Pure.

| kind | columns |
|---|---|
| `trades` | a time, `side`, `size` or `volume`, `price`; an id where there is one |
| `candles` | a time and `open`, `high`, `low`, `close`; `volume` where there is one |
| `marks` | as candles, of the mark price, or a time and `mark_price` |
| `fundings` | a time and a funding rate |
| `tickers` | a time and `last_price`, as we record them; `mark_price` where there is one |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gridbot.doors.plain_text import shown

__all__ = ["KINDS", "PARTS_OF", "Layout", "LayoutRefused", "layout_of"]

KINDS: Final = ("trades", "candles", "marks", "fundings", "tickers")
TIMES: Final = ("timestamp", "start", "startTime", "date", "open_time", "time", "exchange_ts", "ts", "T")
FUNDING_TIMES: Final = ("fundingRateTimestamp", "funding_time", "execTime", *TIMES)
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "symbol": ("symbol", "s"),
    "side": ("side", "S"),
    "price": ("price", "p"),
    "size": ("size", "volume", "qty", "v"),
    "id": ("trdMatchID", "trade_id", "execId", "id", "i"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "day": ("day",),
    "clock": ("clock",),
    "last": ("last_price", "lastPrice"),
    "mark": ("mark_price", "markPrice"),
    "rate": ("fundingRate", "funding_rate", "rate"),
}
PARTS_OF: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "trades": (("time", "side", "price", "size"), ("id", "symbol")),
    "candles": (("time", "open", "high", "low", "close"), ("volume", "symbol")),
    "marks": (("time", "open", "high", "low", "close"), ("symbol",)),
    "fundings": (("time", "rate"), ("symbol",)),
    "tickers": (("time", "last"), ("mark", "symbol")),
}
"""What each kind must have, and what it may have."""
OURS: Final = ("strategy", "order_link_id", "orderLinkId", "order_id", "orderId", "exec_id")
"""Columns of orders and fills, which have a side, a price and a size as well."""
ORDER: Final = ("candles", "trades", "tickers", "fundings")
PRICES: Final = ("open", "high", "low", "close")


class LayoutRefused(ValueError):
    """Columns are of no layout that we know; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns`: the name in the file of each of our parts. MetaTrader's days and times may be in two columns."""

    kind: str
    columns: Mapping[str, str] = field(default_factory=dict)
    clock: str | None = None

    def __contains__(self, part: str) -> bool:
        return part in self.columns


def layout_of(names: Sequence[str], kind: str | None = None, given: Mapping[str, str] | None = None) -> Layout:
    """The layout of columns. `kind` and `given` (our part: name in the file) are what somebody says of the file.

    Raise LayoutRefused.
    """
    if ours := [name for name in OURS if name in names]:
        raise LayoutRefused(
            f"expected what traded on the market, got orders or fills of an account ({', '.join(ours)})"
        )
    described = given or {}
    for part, name in described.items():
        known = {"time", *NAMES} - {"day", "clock"}
        if part not in known:
            raise LayoutRefused(f"expected one of {', '.join(sorted(known))}, got a column for {shown(part)}")
        if name not in names:
            raise LayoutRefused(f"expected the column {shown(name)} for {part}, got {_listed(names)}")
    for tried in (kind,) if kind else ORDER:
        found = _try(tried, names, described)
        if found is not None:
            return found
    raise LayoutRefused(f"expected {_wanted(kind)}, got the columns {_listed(names)}")


def _try(kind: str, names: Sequence[str], given: Mapping[str, str]) -> Layout | None:
    needed, more = PARTS_OF[kind]
    columns: dict[str, str] = {}
    for part in (*needed, *more):
        name = given.get(part) or _found(part, kind, names)
        if name is not None:
            columns[part] = name
    if kind == "marks" and not all(part in columns for part in PRICES) and "mark" not in columns:
        mark = given.get("mark") or _found("mark", kind, names)
        if mark is not None:  # single prices: a candle of one price
            columns |= dict.fromkeys(PRICES, mark)
    if "time" not in columns and "day" in names and "clock" in names:
        return _try_clock(kind, names, given)
    return Layout(kind, columns) if all(part in columns for part in needed) else None


def _try_clock(kind: str, names: Sequence[str], given: Mapping[str, str]) -> Layout | None:
    found = _try(kind, names, {**given, "time": "day"})
    return None if found is None else Layout(kind, found.columns, clock="clock")


def _found(part: str, kind: str, names: Sequence[str]) -> str | None:
    aliases = (FUNDING_TIMES if kind == "fundings" else TIMES) if part == "time" else NAMES[part]
    return next((name for name in aliases if name in names), None)


def _wanted(kind: str | None) -> str:
    if kind:
        return f"{kind} ({', '.join(PARTS_OF[kind][0])})"
    kinds = "; ".join(f"{name} ({', '.join(PARTS_OF[name][0])})" for name in ORDER)
    return f"a time and more of one of these kinds: {kinds}; or say which column is what (--column)"


def _listed(names: Sequence[str]) -> str:
    return shown(", ".join(names), 300) if names else "none"
