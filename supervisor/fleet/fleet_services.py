"""What one host at a time does for the whole fleet, by a lease of its own: listens to a Telegram bot, tells people of
alerts. Pure.

Such a lease is a row of the table `lease` like any account's, with a name that no account can have. A host says which
services it could do among what it offers. Who has one keeps it while it lives and does not drain; else it goes to the
first by name of those that offer it. Hosts with different bots do not share a lease: its name has the bot's number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View

__all__ = ["NOTIFY", "bot_service", "holder_of", "is_service", "service_home", "told_s"]

MARK: Final = "@"
NOTIFY: Final = f"{MARK}notify"
"""The lease of who tells people of alerts."""


def bot_service(bot: str) -> str:
    """The lease of who listens to the Telegram bot of this number."""
    return f"{MARK}telegram:{bot}"


def is_service(name: str) -> bool:
    """Whether a lease is that of a service, and of no account."""
    return name.startswith(MARK)


def holder_of(view: View, name: str) -> LeaseSeen | None:
    """The lease of a service that a living host holds."""
    living = {(row.name, row.instance) for row in view.hosts if row.alive}
    found = (each for each in view.leases if each.account == name and each.held)
    return next((each for each in found if (each.host, each.instance) in living), None)


def service_home(view: View, name: str) -> str:
    """The host that is to have a service; "" while none that lives offers it."""
    able = [row for row in view.hosts if row.alive and name in row.offers]
    keeps = holder_of(view, name)
    holder = next((row for row in able if keeps is not None and row.name == keeps.host), None)
    if holder is not None and not holder.draining:
        return holder.name
    return _first(row for row in able if not row.draining) or (holder.name if holder is not None else _first(able))


def told_s(view: View, name: str, ttl_s: float) -> float | None:
    """How long ago, at the time of the view, the holder of a service has surely lived; None without a holder."""
    found = holder_of(view, name)
    return None if found is None else max(0.0, ttl_s - found.left_s)


def _first(rows: Iterable[HostRow]) -> str:
    return min((row.name for row in rows), default="")
