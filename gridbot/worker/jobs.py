"""Runs REST jobs in the background, so that no strategy waits for an answer. A failed job affects nothing else.

What the exchange refuses is a line in the log, and told when it lasts (`JobWatch`); a fault of ours is reported, and
halts the strategy whose job it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping

from gridbot import background
from gridbot.exchange.failures import ExchangeError
from gridbot.ports import Clock
from gridbot.worker.faults import Faults
from gridbot.worker.job_watch import JobWatch, Reading
from gridbot.worker.schedule import Job, JobKind

__all__ = ["WORDS", "Jobs"]

log = logging.getLogger(__name__)

WORDS: Mapping[JobKind, str] = {
    JobKind.RECONCILE: "comparing everything with the exchange",
    JobKind.POSITIONS: "reading the positions",
    JobKind.MARGIN_MODE: "reading the account's margin mode",
    JobKind.TERMS: "reading instrument, position mode and leverage",
    JobKind.CLOCK: "measuring the exchange's clock",
    JobKind.WALLET: "reading the wallet",
    JobKind.MONEY: "comparing the records with the exchange's transaction log",
    JobKind.NOTICES: "reading the exchange's announcements",
    JobKind.DEAD_MAN: "setting the exchange's disconnect-cancel-all",
}


class Jobs:
    """At most one job of a name at a time. `after` is called when a job has ended, however it ended."""

    def __init__(self, faults: Faults, watch: JobWatch, clock: Clock, after: Callable[[], object]) -> None:
        self._faults = faults
        self._watch = watch
        self._clock = clock
        self._after = after
        self._running: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, Job] = {}

    @property
    def running(self) -> frozenset[str]:
        """The names of the jobs under way."""
        self._running = {name: task for name, task in self._running.items() if not task.done()}
        return frozenset(self._running)

    @property
    def failed(self) -> frozenset[Job]:
        """The jobs whose last run the exchange let fail."""
        return frozenset(self._failed.values())

    @property
    def has_failed(self) -> bool:
        """Whether there are any of these."""
        return bool(self._failed)

    def start(self, job: Job, coroutine: Coroutine[None, None, None]) -> None:
        """Run the job now. None of its name may be `running`."""
        name = job.name
        task = self._running.get(name)
        if task is not None and not task.done():
            coroutine.close()
            raise ValueError(f"{name} is running; its wish has to wait")
        self._running[name] = background.start(self._guarded(job, coroutine), name=name)

    async def stop(self) -> None:
        """Cancel running jobs, and wait until they have ended."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _guarded(self, job: Job, coroutine: Coroutine[None, None, None]) -> None:
        try:
            await coroutine
            self._ended(job, None)
        except ExchangeError as error:
            log.warning("%s failed, the last known state stays: %s", job.name, error)
            self._ended(job, error)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self._faults.report(f"the job {job.name}", error, job.symbol)
        finally:
            self._after()

    def _ended(self, job: Job, error: ExchangeError | None) -> None:
        if error is None:
            self._failed.pop(job.name, None)
        else:
            self._failed[job.name] = job
        self._watch.ended(Reading(job.kind, WORDS[job.kind], job.symbol), error, self._clock.monotonic_s())
