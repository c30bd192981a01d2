"""Warnings on routes of `notify` that name accounts or labels which nobody has. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from gridbot.config.models import GridbotConfig

__all__ = ["route_warnings"]


def route_warnings(config: GridbotConfig) -> Iterator[str]:
    """One sentence for each name that fits no account: alerts that were meant for the route do not take it."""
    names = [account.name for account in config.accounts]
    labels = {label for account in config.accounts for label in account.groups}
    for route in config.notify.routes:
        for pattern in route.accounts:
            if not any(fnmatchcase(name, pattern) for name in names):
                yield f"notify route {route.name}: no account fits `{pattern}`, so no alert takes it for that"
        for label in route.groups:
            if label not in labels:
                yield f"notify route {route.name}: no account has the label `{label}`, so no alert takes it for that"
