"""Ids in the layout of before, `<16 hex digits>-<generation>`: recognised while orders made under it may rest or fill.

The 16 digits are a hash of the order's own terms, its price in ticks among them. So such an id is ours when the order's
terms of now give the same hash: in today's tick size, or in another one, which may have been that of then. A price that
a hand has moved gives another hash: then only our records can tell (`reconcile.owns`).
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal

from gridbot.core import Direction, Instrument, Side
from gridbot.core.exact import WIDE

__all__ = ["has_layout", "hash_of", "made"]

_LAYOUT = re.compile(r"([0-9a-f]{16})-[0-9a-z]+", re.ASCII)
# Tick sizes (USDT) that the exchange has for its contracts: 1, 2, 2.5 and 5 times a power of ten.
OTHER_TICKS = tuple(Decimal(digits).scaleb(power) for power in range(-10, 3) for digits in ("1", "2", "2.5", "5"))


def hash_of(strat_id: str, symbol: str, side: Side, ticks: int, direction: Direction) -> str:
    """What an id of this level begins with. The recipe must not change: orders are found by it (incident L4)."""
    text = f"{strat_id}_{symbol}_{side}_{ticks}_{direction}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_layout(link_id: str) -> bool:
    """Whether an id has the layout of before, whoever made it."""
    return _LAYOUT.fullmatch(link_id) is not None


def made(strat_id: str, instrument: Instrument, link_id: str, side: Side, direction: Direction, price: Decimal) -> bool:
    """Whether an id is one that a strategy gave to an order at `price` (USDT), under today's tick size or another.

    The hash has 64 bits: that one of so few tries meets a foreign id by chance is out of the question.
    """
    found = _LAYOUT.fullmatch(link_id)
    if found is None:
        return False
    levels = [instrument.ticks(price)]
    levels += [int(WIDE.divide_int(price, tick)) for tick in OTHER_TICKS if WIDE.remainder(price, tick) == 0]
    return any(found[1] == hash_of(strat_id, instrument.symbol, side, ticks, direction) for ticks in levels)
