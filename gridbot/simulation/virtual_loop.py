"""An asyncio loop without a kernel: when nothing is ready, its clock jumps to the next timer.

Work costs no time. What runs belongs to a `Life` or to nobody: the context in which a task or timer was made says so,
and everything made from there inherits it. `kill` ends a life as kill -9 would: none of its code runs again.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import heapq
import itertools
import logging
import sys
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["LIFE", "Handle", "Stuck", "VirtualLoop"]

LIFE: contextvars.ContextVar[object] = contextvars.ContextVar("life", default=None)
"""Whose code runs now; None is the simulation's own."""
STEPS_AT_ONE_MOMENT = 20_000
CLOSES = 20


class Stuck(Exception):
    """Nothing is left to wait for, or time no longer passes."""


class Handle:
    """A call that is due."""

    __slots__ = ("args", "callback", "cancelled_", "context")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: contextvars.Context) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.cancelled_ = False

    def cancel(self) -> None:
        """Do not call."""
        self.cancelled_ = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.cancelled_


class VirtualLoop(asyncio.AbstractEventLoop):
    """One per run. `failures` are exceptions that nobody awaited, as the loop was told of them.

    With `fuse` set, `on_fuse` is called before that many further steps of `fused` have run: a death in the middle.
    What is `stall`ed runs nothing until its time has come; then all that was due meanwhile, in its order.
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self.now_s = start_s
        self.steps = 0
        self.failures: list[str] = []
        self.fuse = 0
        self.fused: object = None
        self.on_fuse: Callable[[], None] = lambda: None
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._numbers = itertools.count()
        self._tasks: dict[object, weakref.WeakKeyDictionary[asyncio.Task[Any], None]] = {}
        self._dead: list[asyncio.Task[Any]] = []
        self._ended: dict[object, None] = {}
        self._stalled: dict[object, float] = {}
        self._moment_steps = 0

    # ------------------------------------------------------------------ what asyncio calls

    def time(self) -> float:
        """Seconds; only grows."""
        return self.now_s

    def get_debug(self) -> bool:
        """No debug mode."""
        return False

    def is_running(self) -> bool:
        """Always: it only exists while a run goes on."""
        return True

    def is_closed(self) -> bool:
        """Never."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        """A task of the life in whose context it is made."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        life = (contextvars.copy_context() if context is None else context).get(LIFE)
        if life is not None:
            self._tasks.setdefault(life, weakref.WeakKeyDictionary())[task] = None
        return task

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Call in the next turn."""
        handle = self._handle(callback, args, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Call after `delay` seconds."""
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> Handle:
        """Call at a time; of calls at the same time the one asked for first goes first."""
        handle = self._handle(callback, args, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _handle(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> Handle:
        handle = Handle(callback, args, contextvars.copy_context() if context is None else context)
        if self._ended and handle.context.get(LIFE) in self._ended:
            handle.cancel()
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note an exception that would otherwise only be logged."""
        about = context.get("task") or context.get("future")
        name = getattr(about, "get_coro", lambda: None)()
        of = f" ({name.__qualname__})" if name is not None else ""
        self.failures.append(f"{context.get('message')}{of}: {context.get('exception')!r}")

    # ------------------------------------------------------------------ running

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        """Run until `main` has ended. Raises Stuck."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            task: asyncio.Task[Any] = asyncio.Task(main, loop=self, name="main")
            while not task.done():
                self._turn()
            return task.result()
        finally:
            asyncio._set_running_loop(before)

    def _turn(self) -> None:
        timers, ready = self._timers, self._ready
        while timers and timers[0][2].cancelled_:
            heapq.heappop(timers)
        if not ready:
            if not timers:
                raise Stuck("expected something to wait for, got nothing: every task waits for another")
            if timers[0][0] > self.now_s:
                self.now_s = timers[0][0]
                self._moment_steps = 0
        while timers and timers[0][0] <= self.now_s:
            ready.append(heapq.heappop(timers)[2])
        self._moment_steps += len(ready)
        if self._moment_steps > STEPS_AT_ONE_MOMENT:
            raise Stuck(f"expected time to pass, got {self._moment_steps} steps at one moment")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled_:
                continue
            if self._stalled and (until_s := self._stalled.get(handle.context.get(LIFE))) is not None:
                heapq.heappush(timers, (until_s, next(self._numbers), handle))
                continue
            if self.fuse and handle.context.get(LIFE) is self.fused:
                self.fuse -= 1
                if not self.fuse:
                    self.on_fuse()
                    continue
            self.steps += 1
            self._call(handle)

    def _call(self, handle: Handle) -> None:
        try:
            handle.context.run(handle.callback, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - told, as asyncio tells it
            self.call_exception_handler({"message": f"a callback failed ({handle.callback!r})", "exception": error})

    # ------------------------------------------------------------------ lives

    def stall(self, life: object, seconds: float) -> None:
        """Let nothing of a life run for so long, as SIGSTOP does; what happens to it meanwhile waits for it."""
        until_s = max(self.now_s + seconds, self._stalled.get(life, 0.0))
        self._stalled[life] = until_s
        self.call_at(until_s, self._go_on, life, context=contextvars.Context())

    def is_stalled(self, life: object) -> bool:
        """Whether a life stands still now."""
        return life in self._stalled

    def _go_on(self, life: object) -> None:
        if self._stalled.get(life, self.now_s + 1) <= self.now_s:
            del self._stalled[life]

    def tasks_of(self, life: object) -> list[asyncio.Task[Any]]:
        """Tasks of a life that have not ended."""
        return [task for task in self._tasks.get(life, ()) if not task.done()]

    def kill(self, life: object) -> None:
        """Let nothing of a life run again."""
        self._ended[life] = None
        for handle in self._ready:
            if handle.context.get(LIFE) is life:
                handle.cancel()
        for _, _, handle in self._timers:
            if handle.context.get(LIFE) is life:
                handle.cancel()
        for task in self._tasks.pop(life, ()):
            task._log_traceback = False  # nobody is left to ask for its exception
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                self._dead.append(task)

    def bury(self) -> None:
        """The last call: close the coroutines of the dead while their world is still there; they reach nothing.

        Python complains of coroutines that never ran or do not end at once: such is sudden death. Nobody hears what
        they log: an asynchronous generator that waits cannot be closed, which whoever reads from it takes for a fault.
        """
        for life in list(self._tasks):
            self.kill(life)
        self._ready.clear()
        self._timers.clear()
        if not self._dead:
            return
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        disabled = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)  # what their ends ask of a loop leads nowhere
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                for task in self._dead:
                    _close(task.get_coro())
                self._dead.clear()
                gc.collect()
        finally:
            asyncio._set_running_loop(before)
            logging.disable(disabled)
            sys.unraisablehook = hook


def _close(coroutine: Any) -> None:
    for _ in range(CLOSES):
        try:
            coroutine.close()
            return
        except BaseException:  # noqa: BLE001 - it waits again, or its world refuses it
            continue
