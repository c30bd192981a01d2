"""What a host of a fleet (`fleet_host`) needs of its supervisor and of the keeper of its leases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gridbot.config.host_config import FleetSettings

__all__ = ["HostHands", "Keeper"]

Json = dict[str, Any]


class Keeper(Protocol):
    """The part that gets and keeps leases (`fleet.lease_keeper`)."""

    def want(self, accounts: frozenset[str]) -> None:
        """All the accounts that this host is to have."""

    def quiet(self, account: str, *, answered: bool) -> None:
        """Its worker has ended; `answered`: in order, and nothing that it sent is without an answer."""

    def bar(self, account: str) -> None:
        """Leave it alone until it was not wanted here for once; its lease runs out by itself."""


@dataclass(frozen=True, slots=True)
class HostHands:
    """What the supervisor does for its fleet. `bring` and `remove` change which accounts are here: `remove` ends a
    worker, leaves its orders, and says whether it ended in order. `reload` raises Busy, and ValueError when it was
    refused."""

    bring: Callable[[FleetSettings, str], Any]
    remove: Callable[[str], Any]
    reload: Callable[[FleetSettings, bool], Any]
    status: Callable[[], Json]
    alert: Callable[[str, str], object]
    fault: Callable[[str, BaseException], object]
    stop: Callable[[str], object]
    is_stopping: Callable[[], bool]
    caps: Callable[[], object]
    """Hears that a cap over hosts holds other accounts than before."""
    answer: Callable[[str], Any]
    """Has the commands for this addressee answered that wait in the database."""
