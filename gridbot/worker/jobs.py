"""Runs REST jobs in the background, so that no strategy waits for an answer. A failed job affects nothing else.

What the exchange refuses is a line in the log; a fault of ours is reported, and halts the strategy whose job it was.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from gridbot import background
from gridbot.exchange.failures import ExchangeError
from gridbot.worker.faults import Faults

__all__ = ["Jobs"]

log = logging.getLogger(__name__)


class Jobs:
    """At most one job of a name at a time. `after` is called when a job has ended, however it ended."""

    def __init__(self, faults: Faults, after: Callable[[], object]) -> None:
        self._faults = faults
        self._after = after
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> frozenset[str]:
        """The names of the jobs under way."""
        return frozenset(name for name, task in self._running.items() if not task.done())

    def start(self, name: str, coroutine: Coroutine[None, None, None], symbol: str = "") -> None:
        """Run the job now; with `symbol` it belongs to that symbol's strategy. None of its name may be `running`."""
        if name in self.running:
            coroutine.close()
            raise ValueError(f"{name} is running; its wish has to wait")
        self._running[name] = background.start(self._guarded(name, coroutine, symbol), name=name)

    async def stop(self) -> None:
        """Cancel running jobs, and wait until they have ended."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _guarded(self, name: str, coroutine: Coroutine[None, None, None], symbol: str) -> None:
        try:
            await coroutine
        except ExchangeError as error:
            log.warning("%s failed, the last known state stays: %s", name, error)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self._faults.report(f"the job {name}", error, symbol)
        finally:
            self._after()
