"""Hard limits: what is configured for one strategy, and the comparison with what is used. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.limits import Limit

__all__ = ["CapWatch", "Caps"]

WARN_AT = Decimal("0.8")


@dataclass(frozen=True, slots=True)
class Caps:
    """None means unlimited.

    `max_notional` limits the value of both legs and of resting opens (USDT); `max_margin` one leg's value, as a ratio
    to the wallet balance.
    """

    max_notional: Limit | None = None
    max_open_orders: int | None = None
    max_margin: Decimal | None = None


class CapWatch:
    """Compares with caps. `warn(key, text)` is called once when 80 % are used, and again after it was below."""

    def __init__(self, warn: Callable[[str, str], None]) -> None:
        self._warn = warn
        self._warned: set[str] = set()

    def exceeds(self, key: str, value: Decimal, limit: Decimal) -> bool:
        """Whether `value` is above `limit`; `key` names the cap."""
        if value >= limit * WARN_AT:
            if key not in self._warned:
                self._warned.add(key)
                self._warn(key, f"{key}: {value.normalize():f} of {limit.normalize():f} used")
        else:
            self._warned.discard(key)
        return value > limit
