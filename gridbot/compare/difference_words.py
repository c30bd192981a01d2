"""A difference in words: one line of a row of the table `compared`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from gridbot.doors.plain_text import one_line

__all__ = ["difference", "number"]

_KINDS: Final = {"only_here": "only here", "only_there": "only there"}
_WORDS: Final = {"place": "order", "cancel": "cancel", "fill": "fill"}


def difference(row: Mapping[str, Any]) -> str:
    """Such as `10:02:11 only here: order long Buy 0.01 BTCUSDT at 60000.1; refused there: max_notional`."""
    moment = min(filter(None, (row["here_at"], row["there_at"])))
    what = f"{_WORDS.get(row['what'], row['what'])} {row['direction']} {row['side']}".replace("  ", " ")
    outcome = str(row["outcome"])
    head = f"{_moment(moment)} {_KINDS.get(outcome, 'other ' + outcome)}: {what}"
    if outcome in _KINDS:
        qty = row["here_qty"] if row["here_at"] is not None else row["there_qty"]
        size = f" {number(qty)}" if qty is not None else ""
        reason = row["here_reason"] if row["here_at"] is not None else row["there_reason"]
        parts = [f"{head}{size} {row['symbol']} at {number(row['price'])}"]
        parts += [text for text in (reason, row["why"]) if text]
    else:
        parts = [f"{head} {row['symbol']} at {number(row['price'])}", *_apart(row)]
        parts += [row["why"]] if row["why"] else []
    return one_line("; ".join(parts))


def number(value: Decimal | float) -> str:
    """Without zeros at its end."""
    text = format(value if isinstance(value, Decimal) else Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _apart(row: Mapping[str, Any]) -> list[str]:
    parts = []
    if ticks := row["ticks_higher"]:
        ticks_text = f"{number(abs(ticks))} tick{'' if abs(ticks) == 1 else 's'} {'higher' if ticks > 0 else 'lower'}"
        parts.append(f"there at {number(row['there_price'])}, {ticks_text}")
    if row["size_percent"]:
        apart = number(round(row["size_percent"], 2))
        parts.append(f"{number(row['here_qty'])} here, {number(row['there_qty'])} there ({apart} % apart)")
    if late := row["late_s"]:
        parts.append(f"there {number(round(abs(late), 3))} s {'later' if late > 0 else 'earlier'}")
    return parts


def _moment(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds")
