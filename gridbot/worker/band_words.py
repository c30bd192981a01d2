"""What is said of levels that wait at the exchange's price band: which, why, and what can be done. Pure.

The band is known beforehand by the exchange's rule and our own tickers (`risk/band_watch.py`), or it is learnt: the
exchange has moved orders of a level again and again, so its band is another one than the rule says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gridbot.core import Direction, Instrument
from gridbot.orders.breakers import Breaker, Cause
from gridbot.risk.gate_state import LevelKey
from gridbot.risk.refusals import Refusal

__all__ = ["band_words", "learnt_words"]

NAMED = 3
REMEDY = "narrow the grid if that should not be"


def learnt_words(strategy: str, instrument: Instrument, breaker: Breaker[LevelKey], now_s: float) -> str:
    """Of levels whose orders the exchange has moved; empty when there are none."""
    levels = [
        f"{direction} {side} {instrument.price(ticks)}"
        for (name, direction, side, ticks), cause in breaker.causes(now_s).items()
        if name == strategy and cause is Cause.MOVED
    ]
    if not levels:
        return ""
    return (
        f"{strategy}: {_count(levels)} at the exchange's price band ({_some(levels)}): it has moved their orders to "
        f"other prices; they are tried again each minute, until the price is nearer; {REMEDY}"
    )


def band_words(
    strategy: str, instrument: Instrument, refused: Mapping[tuple[Direction, int], Refusal], learnt: str
) -> str:
    """Of all levels that wait there; `refused` is why each level has no order, `learnt` what `learnt_words` says."""
    if learnt:
        return learnt
    levels = [
        f"{direction} {instrument.price(ticks)}"
        for (direction, ticks), why in refused.items()
        if why is Refusal.PRICE_BAND
    ]
    if not levels:
        return ""
    return (
        f"{strategy}: {_count(levels)} at the exchange's price band ({_some(levels)}): it would move their orders to "
        f"other prices; they are placed when the price is nearer; {REMEDY}"
    )


def _count(levels: list[str]) -> str:
    return "1 level waits" if len(levels) == 1 else f"{len(levels)} levels wait"


def _some(levels: Iterable[str]) -> str:
    names = sorted(levels)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
