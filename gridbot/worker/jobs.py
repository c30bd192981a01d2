"""Runs REST jobs in the background, so that no strategy waits for an answer. A failed job affects nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from gridbot.exchange.failures import ExchangeError
from gridbot.worker.context import Alert

__all__ = ["Jobs"]

log = logging.getLogger(__name__)


class Jobs:
    """At most one job of a name at a time. `after` is called when a job has ended, however it ended."""

    def __init__(self, alert: Alert, after: Callable[[], object]) -> None:
        self._alert = alert
        self._after = after
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        """Run the job now; it is dropped if one of the same name is still running."""
        running = self._running.get(name)
        if running is not None and not running.done():
            coroutine.close()
            return
        self._running[name] = asyncio.create_task(self._guarded(name, coroutine), name=name)

    async def stop(self) -> None:
        """Cancel running jobs, and wait until they have ended."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _guarded(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        try:
            await coroutine
        except ExchangeError as error:
            log.warning("%s failed, the last known state stays: %s", name, error)
        except Exception as error:
            log.exception("%s failed", name)
            self._alert("error", f"job.{name}", f"{name} failed: {type(error).__name__}: {error}")
        finally:
            self._after()
