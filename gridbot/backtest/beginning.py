"""How an account stands when a run begins: flat and new, or as its records say that it stood then. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.core.vocabulary import Direction

__all__ = ["NEW", "Beginning"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """`wallet`: balance in USDT, None for the configuration's. `legs`: (size in base coin, average entry in USDT) by
    symbol and direction. `states`: what each strategy saved (of a grid its ladder), by its id. Nothing rests: the first
    price has the strategies place what they want."""

    wallet: Decimal | None = None
    legs: Mapping[tuple[str, Direction], tuple[Decimal, Decimal]] = field(default_factory=dict)
    states: Mapping[str, Any] = field(default_factory=dict)


NEW = Beginning()
