"""Alerts about children and the supervisor itself: to the log, to `status` for a while, and to its records."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Final

from supervisor.children.child import Child
from supervisor.store.supervisor_journal import SupervisorJournal
from supervisor.utc_time import utc_now

__all__ = ["Alerts"]

log = logging.getLogger("supervisor")

SHOWN: Final = 50
SELF: Final = "supervisor"


class Alerts:
    """The only way to raise an alert; keeps the newest ones for `status`."""

    def __init__(self, journal: SupervisorJournal) -> None:
        self._journal = journal
        self._newest: deque[dict[str, Any]] = deque(maxlen=SHOWN)

    @property
    def newest(self) -> list[dict[str, Any]]:
        """The last fifty, oldest first: time, level, child, text."""
        return list(self._newest)

    def add(self, child: Child, level: str, text: str, *, recorded: bool = False) -> None:
        """`level` is a logging level name. `recorded`: the child has put it into its own records already."""
        self._add(child.spec.name, child.spec.account, level, text)
        if not recorded:
            self._journal.alert(level, child.spec.name, text)

    def own(self, level: str, text: str) -> None:
        """About the supervisor itself."""
        self._add(SELF, "", level, text)
        self._journal.alert(level, SELF, text)

    def _add(self, name: str, account: str, level: str, text: str) -> None:
        number = logging.getLevelNamesMapping().get(level, logging.WARNING)
        log.log(number, "%s: %s", name, text, extra={"account": account})
        self._newest.append({"time": utc_now(), "level": level, "child": name, "text": text})
