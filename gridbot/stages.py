"""Where the time of one decision goes: stamps along the hot path, off unless somebody measures.

`benchmarks/latency.py` switches them on; the cost when off is one attribute test per ticker.
"""

from __future__ import annotations

import time

__all__ = ["Stages"]


class Stages:
    """Nanosecond stamps (`time.monotonic_ns`, shared by all processes of a machine) of the newest decision."""

    def __init__(self) -> None:
        self.on = False
        self.stamps: dict[str, int] = {}
        self.taken: list[dict[str, int]] = []

    def begin(self, received_ns: int) -> None:
        """A ticker frame reached us at `received_ns` and its event is about to be decided on."""
        self.stamps = {"received": received_ns, "event": time.monotonic_ns()}

    def mark(self, stage: str) -> None:
        """The stage has just ended."""
        if self.on:
            self.stamps[stage] = time.monotonic_ns()

    def keep(self) -> None:
        """The decision's request is about to leave: keep its stamps."""
        if self.on and self.stamps:
            self.stamps["dispatched"] = time.monotonic_ns()
            self.taken.append(self.stamps)
            self.stamps = {}
