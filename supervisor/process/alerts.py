"""Alerts about children: to the log, to `status` for a while, and to the supervisor's records."""

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
        name = child.spec.name
        number = logging.getLevelNamesMapping().get(level, logging.WARNING)
        log.log(number, "%s: %s", name, text, extra={"account": child.spec.account})
        self._newest.append({"time": utc_now(), "level": level, "child": name, "text": text})
        if not recorded:
            self._journal.alert(level, name, text)
