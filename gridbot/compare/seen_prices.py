"""Whether two sides ordered at other levels because they saw other prices in one moment. Pure.

A price takes its time to each of them. One that sees it a moment later has decided by the price of before, and where
the market jumps over a level in that moment, the two ladders want other orders: that is latency, with no order late.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

__all__ = ["NEAR_MS", "Placed", "saw_another_price"]

NEAR_MS: Final = 1_000
"""Two sides that see the same market decide within this; what is further apart are two decisions."""


class Placed(NamedTuple):
    """An order that a side decided on: when (ms UTC), at which price, and the last price that it saw then (USDT)."""

    at_ms: int
    price: Decimal
    seen: Decimal | None


def saw_another_price(order: Placed, others: Sequence[Placed]) -> str | None:
    """In words, where the side that lacks `order` ordered elsewhere in that moment, by another price; else None.

    `others`: what that side decided on in the same leg and to the same side, sorted by time.
    """
    at = bisect_left(others, order.at_ms, key=lambda each: each.at_ms)
    near = min(others[max(at - 1, 0) : at + 1], key=lambda each: abs(each.at_ms - order.at_ms), default=None)
    if near is None or abs(near.at_ms - order.at_ms) > NEAR_MS or near.seen is None or order.seen is None:
        return None
    if near.seen == order.seen or any(
        each.price == order.price for each in others if abs(each.at_ms - order.at_ms) <= NEAR_MS
    ):
        return None
    seen, price, theirs = (f"{each.normalize():f}" for each in (near.seen, near.price, order.seen))
    return f"it saw {seen} and ordered at {price}, where the other side saw {theirs}"
