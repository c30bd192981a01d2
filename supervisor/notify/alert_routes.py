"""Which routes an alert takes: by its level, its account and the account's groups. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from supervisor.notify.alert_notices import Notice, rank

__all__ = ["Route", "fits"]


@dataclass(frozen=True, slots=True)
class Route:
    """`lines` are its addresses, by name; `keeps_quiet`: whether the quiet hours hold for it."""

    name: str
    lines: tuple[str, ...]
    level: str = "WARNING"
    accounts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    fleet: bool = True
    summary: bool = True
    keeps_quiet: bool = True
    services: tuple[str, ...] = field(default=())
    """What each address is of, such as `tgram`: all that may be shown of it."""


def fits(route: Route, notice: Notice, groups: Mapping[str, Sequence[str]]) -> bool:
    """Whether the route is for such an alert; `groups` has the labels of each account."""
    if rank(notice.level) < rank(route.level):
        return False
    if not notice.account:
        return route.fleet
    if not (route.accounts or route.groups):
        return True
    by_name = any(fnmatchcase(notice.account, pattern) for pattern in route.accounts)
    return by_name or any(group in route.groups for group in groups.get(notice.account, ()))
