"""What the exchange announces: contracts that will be delisted, and maintenance of its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

__all__ = ["Announcement", "Maintenance", "MaintenanceState", "Notices"]

ALL_SERVICES = (1, 2, 3, 4, 5)
"""Trading, by HTTP and by WebSocket, the private streams, market data."""


class MaintenanceState(StrEnum):
    SCHEDULED = "scheduled"
    ONGOING = "ongoing"
    COMPLETED = "completed"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Announcement:
    """The end of a contract, as published. Times are UTC milliseconds."""

    symbol: str
    ends_ms: int
    published_ms: int


@dataclass(frozen=True, slots=True)
class Maintenance:
    """`services` are numbers of Bybit's table. Begin and end are UTC milliseconds."""

    number: int
    title: str
    begin_ms: int
    end_ms: int
    services: tuple[int, ...] = ALL_SERVICES
    is_canceled: bool = False

    def state(self, now_ms: int) -> MaintenanceState:
        if self.is_canceled:
            return MaintenanceState.CANCELED
        if now_ms < self.begin_ms:
            return MaintenanceState.SCHEDULED
        return MaintenanceState.ONGOING if now_ms < self.end_ms else MaintenanceState.COMPLETED


class Notices:
    """Everything announced since the exchange began, newest first."""

    def __init__(self) -> None:
        self.announcements: list[Announcement] = []
        self.maintenances: list[Maintenance] = []
        self._told: dict[int, MaintenanceState] = {}

    def delisting(self, symbol: str, ends_ms: int, now_ms: int) -> None:
        self.announcements.insert(0, Announcement(symbol, ends_ms, now_ms))

    def maintain(self, title: str, begin_ms: int, end_ms: int, services: tuple[int, ...] = ALL_SERVICES) -> None:
        """Raise ValueError when it would end before it begins."""
        if end_ms <= begin_ms:
            raise ValueError(f"expected an end after the begin at {begin_ms}, got {end_ms}")
        self.maintenances.insert(0, Maintenance(len(self.maintenances) + 1, title, begin_ms, end_ms, services))

    def cancel_maintenance(self, now_ms: int) -> None:
        """Call off what has not ended yet."""
        ended = MaintenanceState.COMPLETED
        self.maintenances = [
            each if each.state(now_ms) is ended else replace(each, is_canceled=True) for each in self.maintenances
        ]

    def news(self, now_ms: int) -> list[Maintenance]:
        """Maintenances whose state is another one than at the last call."""
        changed = [each for each in self.maintenances if self._told.get(each.number) is not each.state(now_ms)]
        self._told |= {each.number: each.state(now_ms) for each in changed}
        return changed
