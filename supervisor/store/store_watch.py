"""When to tell the operator that the database falls behind or cannot be written, and when that is over. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["StoreWatch"]

CAUGHT_UP_S = 5.0
WAITING = "the records wait in the journals"


class StoreWatch:
    """One alert for each time the database cannot be written or is more than `limit_s` seconds behind, one when that
    is over."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._told = False
        self._error = ""

    def heard(self, report: Mapping[str, Any]) -> tuple[str, str] | None:
        """(level, text) that a health report of the writer gives rise to."""
        lag_s, error = float(report.get("lag_s") or 0.0), str(report.get("error") or "")
        before, self._error = self._error, error
        if not self._told and error and error == before:  # twice in a row: no passing trouble
            self._told = True
            return (
                "ERROR",
                f"the database cannot be written: {error}; trading goes on, the records wait in the journals",
            )
        if not self._told and lag_s >= self._limit_s:
            self._told = True
            return "WARNING", f"the database is {lag_s:.0f} s behind: {_cause(report)}"
        if self._told and lag_s < CAUGHT_UP_S and not report.get("held_by") and not error:
            self._told = False
            return "INFO", "the database has caught up"
        return None


def _cause(report: Mapping[str, Any]) -> str:
    if report.get("held_by"):
        return (
            f"{report['held_by']} has had it open for {report.get('held_s') or 0.0:.0f} s; trading goes on and nothing "
            "is lost, close that program to let the writer in"
        )
    return f"the writer does not keep up with the records; trading goes on, {WAITING}"
