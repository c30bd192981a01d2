"""The time of a backtest: one heap of what is due, and the clock that it moves. Pure but for asyncio's `Task`.

The worker's own executor, jobs and reconciler wait by asyncio's futures and tasks. Here these are steps in the heap
like everything else: no selector, no socket, no thread, no real time. What is due at one moment runs in the order in
which it was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.backtest.touched import Symbols, Touched

__all__ = ["RunClock", "RunLoop", "Symbols"]

START_S: Final = 1000.0
"""What the monotonic clock shows when a run begins."""


class _Due:
    """A call that is due, unless it is cancelled."""

    __slots__ = ("about", "args", "call", "is_cancelled", "of_exchange", "only_reads")

    def __init__(
        self,
        call: Callable[..., object],
        args: tuple[Any, ...],
        of_exchange: bool = False,
        only_reads: bool = False,
        about: Symbols = None,
    ) -> None:
        self.call = call
        self.args = args
        self.of_exchange = of_exchange
        self.only_reads = only_reads
        self.about = about
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled


class RunLoop(asyncio.AbstractEventLoop):
    """Times are µs UTC. `failures` are exceptions that nobody awaited, in words."""

    def __init__(self, start_us: int) -> None:
        self.now_us = self.start_us = start_us
        self.failures: list[str] = []
        self.before_exchange: Callable[[], object] = lambda: None
        self.before_worker: Callable[[Symbols], object] = lambda about: None
        self.calls = 0
        """Of the present turn."""
        self.about: Symbols = None
        """What happens at present is about, and what it asks for to happen at once."""
        self.exchange_touched = Touched()
        """Of which symbols calls of the exchange did more than read."""
        self._heap: list[tuple[int, int, _Due]] = []
        self._count = 0

    # ------------------------------------------------------------------ for the run

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Be the running loop meanwhile, also within another one (a notebook has one)."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def at(
        self,
        when_us: int,
        call: Callable[..., object],
        *args: Any,
        of_exchange: bool = False,
        only_reads: bool = False,
        about: Symbols = None,
    ) -> _Due:
        """Call at a time; one that is over means now. What is not `of_exchange` is the worker's; it is `about` what it
        looks at and may change, or sees to the rest itself."""
        due = _Due(call, args, of_exchange, only_reads, about)
        self._count += 1
        heapq.heappush(self._heap, (when_us if when_us > self.now_us else self.now_us, self._count, due))
        return due

    def next_us(self) -> int | None:
        """When the next call is due; None when nothing is."""
        heap = self._heap
        while heap and heap[0][2].is_cancelled:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def turn(self, until_us: int) -> tuple[bool, bool]:
        """Go on to `until_us`, when the next call is due, and run all that is due then, also what it asks for.

        `before_exchange` is called before the first call of the exchange, `before_worker` before each of the worker's,
        with the symbols that it is about. Whether either had one, of the exchange one that does more than read.
        """
        self.now_us = until_us
        heap, pop = self._heap, heapq.heappop
        exchange = worker = moved = False
        self.calls = 0
        while heap and heap[0][0] <= until_us:
            due = pop(heap)[2]
            if not due.is_cancelled:
                self.calls += 1
                try:
                    if due.of_exchange:
                        if not moved:
                            moved = True
                            self.before_exchange()
                        if not due.only_reads:
                            exchange = True
                            self.exchange_touched.note(due.about)
                    else:
                        worker = True
                        self.about = due.about
                        self.before_worker(due.about)
                    due.call(*due.args)
                except DayRefusedHere:  # the run has no market to go on with
                    raise
                except Exception as error:  # noqa: BLE001 - told, as asyncio tells it
                    self.call_exception_handler({"message": f"a callback failed ({due.call!r})", "exception": error})
        return exchange, worker

    def end_tasks(self) -> None:
        """Cancel what still waits: whatever is under way at the end of a run stays unanswered."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.turn(self.now_us)

    def widen(self) -> None:
        """The worker's present call turns out to be about all symbols."""
        if self.about is not None:
            self.about = None
            self.before_worker(None)

    # ------------------------------------------------------------------ what asyncio calls

    def time(self) -> float:
        """Seconds; only grows."""
        return START_S + (self.now_us - self.start_us) / 1e6

    def get_debug(self) -> bool:
        """No debug mode."""
        return False

    def is_running(self) -> bool:
        """Always."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: object = None
    ) -> asyncio.Task[Any]:
        """A task, whose first step is due now, and about what the present call is about."""
        return asyncio.Task(coro, loop=self, name=name)

    def call_soon(self, callback: Callable[..., object], *args: Any, context: object = None) -> _Due:  # type: ignore[override]
        """Call now, after what is due now already; it is about what the present call is about."""
        return self.at(self.now_us, callback, *args, about=self.about)

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: object = None
    ) -> _Due:
        """Call after `delay` seconds."""
        return self.at(self.now_us + round(delay * 1e6), callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: object = None) -> _Due:  # type: ignore[override]
        """Call at a time of `time`."""
        return self.at(self.start_us + round((when - START_S) * 1e6), callback, *args)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep an exception that would otherwise only be logged."""
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")


class RunClock:
    """The loop's time as a worker's clock (`ports.Clock`)."""

    def __init__(self, loop: RunLoop) -> None:
        self._loop = loop
        self.monotonic_s = loop.time

    def monotonic_ns(self) -> int:
        return (self._loop.now_us - self._loop.start_us) * 1000

    def wall_ms(self) -> int:
        return self._loop.now_us // 1000

    def wall_us(self) -> int:
        return self._loop.now_us

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> _Due:
        return self._loop.call_later(delay_s, callback)
