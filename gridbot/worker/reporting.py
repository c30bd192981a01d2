"""The worker's report to its supervisor, each second, and a sample of it as a record from time to time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from gridbot.ports import Clock
from gridbot.worker.health import account_health, sample_of
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.schedule import Due

__all__ = ["Reporting"]

REPORT_S = 1.0


class Process(Protocol):
    """Our own process."""

    pid: int

    def rss(self) -> int: ...


class Reporting:
    """`account` gives the running account, or None before and after. `send` must not block.

    `state` is the word for what the worker is doing.
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
            self.report()
            await self._clock.sleep(REPORT_S)

    def report(self) -> None:
        """Send one report now; every `sample_interval_s` it is recorded as well."""
        now_s = self._clock.monotonic_s()
        uptime_s = now_s - self._started_s
        orchestrator, pid = self._account(), self._process.pid
        if orchestrator is None:
            self._send(
                {
                    "type": "health",
                    "account": self._name,
                    "pid": pid,
                    "state": self.state,
                    "uptime_s": round(uptime_s, 1),
                    "strategies": [],
                }
            )
            return
        report = account_health(orchestrator, state=self.state, uptime_s=uptime_s, pid=pid, rss=self._process.rss())
        self._send(report)
        if self._sampled.take("sample", self._sample_interval_s, now_s):
            orchestrator.recorder.record(sample_of(report))
