"""Where the time of one order goes, from the frame that caused it to its request: time stamps along the hot path.

Off except in a measurement (`benchmarks/latency.py`); when off, a mark costs one test. A ticker begins a decision;
each order that results from it copies the decision's stamps, under its orderLinkId, and adds its own::

    received   the library of its connection has told the frame
    event      it is a `TickerEvent`
    decided    the engine has answered
    admitted   sized, let through by the gate, recorded
    journalled its records are in the journal; what follows is the request
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from gridbot.execution.send_lane import Entry

__all__ = ["LatencyTrace", "Stage"]


class Stage(StrEnum):
    """Marks in the order in which an order passes them."""

    RECEIVED = "received"
    EVENT = "event"
    DECIDED = "decided"
    ADMITTED = "admitted"
    JOURNALLED = "journalled"


class LatencyTrace:
    """Stamps in ns of the monotonic clock, which all processes of a machine share. `traces` grows while `on`."""

    __slots__ = ("_decided_ns", "_event_ns", "_now_ns", "frame_ns", "on", "traces")

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self.on = False
        self.frame_ns = 0
        """When the frame of the newest decision came, also when off."""
        self.traces: dict[str, dict[Stage, int]] = {}
        """Stamps by orderLinkId."""
        self._event_ns = self._decided_ns = 0

    def begin(self, received_ns: int) -> None:
        """A decision begins, because of a frame that came at `received_ns`."""
        self.frame_ns = received_ns
        if self.on:
            self._event_ns = self._now_ns()

    def decided(self) -> None:
        """The engine has answered."""
        if self.on:
            self._decided_ns = self._now_ns()

    def admitted(self, link_id: str) -> None:
        """The current decision has resulted in an order."""
        if self.on:
            self.traces[link_id] = {
                Stage.RECEIVED: self.frame_ns,
                Stage.EVENT: self._event_ns,
                Stage.DECIDED: self._decided_ns,
                Stage.ADMITTED: self._now_ns(),
            }

    def journalled(self, entries: Iterable[Entry]) -> None:
        """Everything about these orders is in the journal; further tries of an order are not traced."""
        if self.on:
            now_ns = self._now_ns()
            for order, _ in entries:
                self.traces.get(order.link_id, {}).setdefault(Stage.JOURNALLED, now_ns)
