"""Which fault applies now: the plan of faults with a clock."""

from __future__ import annotations

import logging
import time

from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.faults.fault_plan import FaultPlan, OutFrame

__all__ = ["Faults"]

log = logging.getLogger("gridbot.paper")


class Faults:
    """A plan of faults and the time since the exchange started."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._started = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds since the exchange started."""
        return time.monotonic() - self._started

    def add(self, fault: FaultConfig) -> None:
        """Add a rule whose times count from now."""
        self.plan.add(fault, self.elapsed_s())

    def on_request(self, endpoint: str, account: str, *, operation: str = "") -> FaultConfig | None:
        """The fault that applies to a request (`FaultPlan.on_request`)."""
        plan = self.plan
        fault = plan.on_request(endpoint, account, self.elapsed_s(), operation=operation) if plan else None
        if fault is not None:
            log.warning("fault %s strikes %s of %s", fault.kind.value, endpoint, account or "nobody")
        return fault

    def frames(self, topic: str, account: str, frame: bytes) -> list[OutFrame]:
        return self.plan.on_frame(topic, account, frame, self.elapsed_s())

    def skew_ms(self) -> int:
        return self.plan.skew_ms(self.elapsed_s()) if self.plan else 0
