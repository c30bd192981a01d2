"""Faults of the supervisor's own: each is a traceback in the log and an alert, once per cause; everything goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gridbot.fault_words import cause_of, in_words, sentence
from supervisor.process.child_alerts import Alerts

__all__ = ["Faults"]

log = logging.getLogger("supervisor")


class Faults:
    """One per supervisor."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def report(self, part: str, error: BaseException) -> None:
        """`part`, in words, has failed. The same fault again is the same incident, until a while without it."""
        times = self._tell(sentence(part, error), cause_of(part, error))
        if times == 1:
            log.error("%s failed", part, exc_info=error)
        elif times & (times - 1) == 0:  # 2, 4, 8 ...
            log.error("%s failed for the %dth time: %s", part, times, in_words(error))

    def _tell(self, text: str, cause: str) -> int:
        """An alert comes to log and `status` first; when it cannot be recorded, this is not told as another fault."""
        try:
            return self._alerts.own("ERROR", text, cause)
        except Exception:
            log.exception("an alert could not be recorded")
            return 1

    def attempt(self, part: str, call: Callable[[], object]) -> bool:
        """Call it; False, and a report, when it raised."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self.report(part, error)
            return False
        return True
