"""Counts since the start of a worker that no other part has, for its report and the metrics (docs/metrics.md).

The supervisor adds up what one life after the other has counted (`supervisor/children/life_counts.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gridbot.orders.reconcile_state import Report
from gridbot.risk.refusals import Refusal

__all__ = ["Tallies"]


class Tallies:
    """One per account. `queries` is what counts the answers to them."""

    __slots__ = ("_queries", "passes", "reconciled", "refusals")

    def __init__(self, queries: Mapping[str, int] = MappingProxyType({})) -> None:
        self._queries = queries
        self.refusals: dict[str, Counter[str]] = {}
        """By strategy and reason, as often as refusals are recorded: the first of a series of a level."""
        self.passes: Counter[str] = Counter()
        self.reconciled: Counter[str] = Counter()
        """What passes found to be different from what we knew."""

    def refused(self, strategy: str, refusal: Refusal) -> None:
        """The gate begins to refuse a level."""
        reasons = self.refusals.get(strategy)
        if reasons is None:
            reasons = self.refusals[strategy] = Counter()
        reasons[refusal.value] += 1

    def compared(self, report: Report | None) -> None:
        """A pass has ended; None: it failed."""
        self.passes["failed" if report is None else "complete"] += 1
        if report is not None:
            self.reconciled["missed_executions"] += report.executions
            self.reconciled["adopted_orders"] += report.adopted
            self.reconciled["looked_up_orders"] += report.looked_up
            self.reconciled["foreign_orders"] += report.foreign_orders

    def document(self) -> dict[str, Any]:
        """For the report of the worker."""
        return {
            "refusals": {strategy: dict(reasons) for strategy, reasons in self.refusals.items()},
            "reconciles": dict(self.passes),
            "differences": dict(self.reconciled),
            "query_codes": dict(self._queries),
        }
