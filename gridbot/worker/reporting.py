"""The worker's report to its supervisor, each second, and sometimes a record of it.

A report must come whatever happens: 10 s without one and the supervisor kills a worker that trades well. So a figure
that cannot be made is left out, an alert says so, and the account counts as degraded (`health`). A report that cannot
be made at all says that instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gridbot import background
from gridbot.ports import Clock
from gridbot.worker.health import account_health, sample_of
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.schedule import Due

__all__ = ["Reporting"]

REPORT_S = 1.0


class Process(Protocol):
    """Figures of our own process (`OwnProcess`)."""

    pid: int

    def rss(self) -> int: ...


class Reporting:
    """`account` returns the running account, or None before and after. `send` must not block.

    `state` is starting, trading or stopping.
    """

    def __init__(
        self,
        name: str,
        account: Callable[[], Orchestrator | None],
        clock: Clock,
        process: Process,
        send: Callable[[dict[str, Any]], None],
        *,
        sample_interval_s: float,
    ) -> None:
        self.state = "starting"
        self._name = name
        self._account = account
        self._clock = clock
        self._process = process
        self._send = send
        self._sample_interval_s = sample_interval_s
        self._started_s = clock.monotonic_s()
        self._sampled = Due()

    def enter(self, state: str) -> None:
        """The worker is in another state now; the next report says so."""
        self.state = state

    async def run(self) -> None:
        """Report each second until cancelled."""
        while True:
            self.report_safely()
            await self._clock.sleep(REPORT_S)

    def report_safely(self) -> None:
        """`report`; what it raises is told, and the next one comes in a second."""
        try:
            self.report()
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            background.report("the report to the supervisor", error)

    def report(self) -> None:
        """Send one report now; every `sample_interval_s` it is recorded as well."""
        now_s = self._clock.monotonic_s()
        uptime_s = now_s - self._started_s
        orchestrator, pid = self._account(), self._process.pid
        bare: dict[str, Any] = {
            "type": "health",
            "account": self._name,
            "pid": pid,
            "state": self.state,
            "uptime_s": round(uptime_s, 1),
            "strategies": [],
        }
        if orchestrator is None:
            self._send(bare)
            return
        faults = orchestrator.context.faults
        try:
            rss = self._process.rss()
            report = account_health(orchestrator, state=self.state, uptime_s=uptime_s, pid=pid, rss=rss)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            faults.report("the report of the worker's health", error)
            report = {**bare, "health": "degraded", "reasons": ["the report of the worker's health failed"]}
        self._send(report)
        with faults.contained("the sample of the worker's health"):
            if self._sampled.take("sample", self._sample_interval_s, now_s):
                orchestrator.recorder.record(sample_of(report))
