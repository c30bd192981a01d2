"""When to alert the operator that the database is behind or cannot be written, and that it has caught up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["DamageWatch", "StoreWatch"]

CAUGHT_UP_S = 5.0
WAITING = "the records wait in the journals"


class StoreWatch:
    """One alert for each time the database cannot be written or is more than `limit_s` seconds behind, one when that
    is over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._alerted = False
        self._error = ""

    def observe(self, report: Mapping[str, Any]) -> tuple[str, str] | None:
        """The (level, text) of the alert that a health report of the writer causes, if any."""
        lag_s, error = float(report.get("lag_s") or 0.0), str(report.get("error") or "")
        before, self._error = self._error, error
        if not self._alerted and error and error == before:  # twice in a row: not a single failure
            self._alerted = True
            return (
                "ERROR",
                f"the database cannot be written: {error}; trading goes on, {WAITING}",
            )
        if not self._alerted and lag_s >= self._limit_s:
            self._alerted = True
            return "WARNING", f"the database is {lag_s:.0f} s behind: {_cause(report)}"
        if self._alerted and lag_s < CAUGHT_UP_S and not report.get("held_by") and not error:
            self._alerted = False
            return "INFO", "the database has caught up"
        return None


class DamageWatch:
    """An alert when damage is found or becomes more, one when all of the file can be read again."""

    def __init__(self) -> None:
        self._damage = ""

    def observe(self, report: Mapping[str, Any]) -> tuple[str, str] | None:
        """As StoreWatch. A new writer that has not read all of the file yet tells nothing."""
        damage = str(report.get("damage") or "")
        if damage == self._damage or not (damage or report.get("scanned")):
            return None
        self._damage = damage
        return ("ERROR", damage) if damage else ("INFO", "all of the database can be read")


def _cause(report: Mapping[str, Any]) -> str:
    if report.get("held_by"):
        return (
            f"{report['held_by']} has had it open for {report.get('held_s') or 0.0:.0f} s; trading goes on and nothing "
            "is lost, close that program to let the writer in"
        )
    return f"the writer does not keep up with the records; trading goes on, {WAITING}"
