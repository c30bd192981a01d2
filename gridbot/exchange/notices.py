"""What the exchange announces: maintenance of its systems, and news about its contracts. Values, pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from gridbot.exchange.environment import Environment

__all__ = ["Announcement", "Maintenance", "MaintenanceState", "Notices", "concerns"]

FUTURES = 1
"""Of the products that a maintenance may be about."""
_ENVIRONMENTS = {Environment.MAINNET: 1, Environment.DEMO: 2}
"""What a notice calls them; testnet tells on its own address."""


class MaintenanceState(StrEnum):
    """Bybit's `state`; a word that is not here is `UNKNOWN`, and its times decide."""

    SCHEDULED = "scheduled"
    ONGOING = "ongoing"
    COMPLETED = "completed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> MaintenanceState:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Times in ms UTC, 0 when not told; `end_ms` is the expected end until it is over.

    `products`, `uid_digits` (last digits of the accounts concerned) and `env` are empty when it is about all.
    """

    notice_id: str
    title: str
    state: MaintenanceState
    begin_ms: int = 0
    end_ms: int = 0
    products: frozenset[int] = frozenset()
    uid_digits: frozenset[int] = frozenset()
    env: int | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """`kind` is Bybit's key, such as `delistings`. Times in ms UTC; dates are 0 unless they lie after publishing."""

    title: str
    kind: str
    published_ms: int
    description: str = ""
    url: str = ""
    start_ms: int = 0
    end_ms: int = 0

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return self.url or f"{self.published_ms} {self.title}"

    def names(self, symbol: str) -> bool:
        """Whether it speaks of the symbol, as a word of its own."""
        word = rf"(?<![A-Za-z0-9]){re.escape(symbol)}(?![A-Za-z0-9])"
        return bool(re.search(word, f"{self.title} {self.description}"))


@dataclass(frozen=True, slots=True)
class Notices:
    """All that was announced at the time of asking: every maintenance, and the newest announcements.

    `unreadable` says why a row of maintenance could not be read; "" when all could.
    """

    maintenance: tuple[Maintenance, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    unreadable: str = ""


def concerns(maintenance: Maintenance, environment: Environment, user_id: str) -> bool:
    """Whether it is about USDT perpetuals of an account. Where something is not known, it is."""
    env = _ENVIRONMENTS.get(environment)
    if env is not None and maintenance.env is not None and maintenance.env != env:
        return False
    if maintenance.products and FUTURES not in maintenance.products:
        return False
    last = user_id[-1:]
    return not (maintenance.uid_digits and last.isdecimal() and int(last) not in maintenance.uid_digits)
