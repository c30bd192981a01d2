"""How an account stands when a run begins: flat and new, or as its records say that it stood then. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import Direction, Side

__all__ = ["NEW", "Beginning", "Resting"]


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that rests when a run begins: what is left of it, base coin, at a price in USDT. Its id says whose it
    is (`gridbot.orders.ids`)."""

    link_id: str
    symbol: str
    direction: Direction
    side: Side
    price: Decimal
    qty: Decimal
    closes: bool


@dataclass(frozen=True, slots=True)
class Beginning:
    """`wallet`: balance in USDT, None for the configuration's. `legs`: (size in base coin, average entry in USDT) by
    symbol and direction. `states`: what each strategy saved (of a grid its ladder), by its id. `resting` stands at the
    end of the queues of its prices, which nobody has recorded."""

    wallet: Decimal | None = None
    legs: Mapping[tuple[str, Direction], tuple[Decimal, Decimal]] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)
    resting: Sequence[Resting] = ()


NEW = Beginning()
