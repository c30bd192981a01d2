"""Where the time of one order goes, from the frame that caused it to its request: stamps along the hot path.

Off unless somebody measures (`benchmarks/latency.py`), and then one test per mark. A ticker begins a decision; each
order that comes of it takes the decision's stamps along under its orderLinkId and adds its own::

    received   the frame reached our callback, in pybit's thread
    event      it is a `TickerEvent`, on the loop
    decided    the engine has answered
    admitted   sized, let through by the gate, recorded
    journalled its records are in the journal; what follows is the request
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum

__all__ = ["LatencyTrace", "Stage"]


class Stage(StrEnum):
    """Marks in the order in which an order passes them."""

    RECEIVED = "received"
    EVENT = "event"
    DECIDED = "decided"
    ADMITTED = "admitted"
    JOURNALLED = "journalled"


class LatencyTrace:
    """Stamps in ns of `time.monotonic_ns`, which all processes of a machine share. `traces` grows while `on`."""

    __slots__ = ("_decision", "on", "traces")

    def __init__(self) -> None:
        self.on = False
        self.traces: dict[str, dict[Stage, int]] = {}
        """Stamps by orderLinkId."""
        self._decision: dict[Stage, int] = {}

    def begin(self, received_ns: int) -> None:
        """A decision begins, because of a frame that came at `received_ns`."""
        if self.on:
            self._decision = {Stage.RECEIVED: received_ns, Stage.EVENT: time.monotonic_ns()}

    def decided(self) -> None:
        """The engine has answered."""
        if self.on:
            self._decision[Stage.DECIDED] = time.monotonic_ns()

    def admitted(self, link_id: str) -> None:
        """An order has come of the decision under way."""
        if self.on:
            self.traces[link_id] = {**self._decision, Stage.ADMITTED: time.monotonic_ns()}

    def journalled(self, link_ids: Iterable[str]) -> None:
        """Everything about these orders is in the journal; a further try of an order is not followed."""
        if self.on:
            now_ns = time.monotonic_ns()
            for link_id in link_ids:
                self.traces.get(link_id, {}).setdefault(Stage.JOURNALLED, now_ns)
