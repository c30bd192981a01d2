"""What caps let an account send: all, only what reduces, or nothing. A value. Pure.

Several causes may brake one account: its own drawdown, its margin ratio, a cap of the fleet or a group. The strictest
counts, and of equal ones the first. What it means for an order is in `gate_checks`; an operator's close always passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["FREE", "Brake", "Stops", "strictest"]


class Stops(IntEnum):
    """What a brake stops, the least first."""

    NOTHING = 0
    OPENS = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Brake:
    """`reason` says why and what ends it; "" when nothing is stopped. `passes`: it ends by itself, no latch."""

    stops: Stops = Stops.NOTHING
    reason: str = ""
    passes: bool = False


FREE = Brake()


def strictest(brakes: Iterable[Brake]) -> Brake:
    """The one that counts."""
    return max(brakes, key=lambda brake: brake.stops, default=FREE)
