"""The one way to start something in the background, so that nothing ends without a word.

    started by                what it raises goes to
    `start`                   the loop's exception handler
    `awaited`                 whoever awaits the task
    the loop itself           the loop's exception handler: timers, readers, signals, calls from threads
    a thread                  `threading.excepthook`; also what it reports and goes on after (`report_in_thread`)

`watch` makes one function hear of all of them but `awaited`. No other module calls `create_task`
(`tests/house/test_background.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from gridbot.fault_words import in_words

__all__ = ["OnFault", "awaited", "report", "report_in_thread", "start", "watch"]

T = TypeVar("T")

OnFault = Callable[[str, BaseException], None]
"""Gets what failed, in words, and what it raised."""


def start(work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
    """Run `work` beside everything else on the running loop."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_ended)
    return task


def awaited(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run `work` beside its starter, which awaits it or asks for its result."""
    return asyncio.get_running_loop().create_task(work, name=name)


def report(part: str, error: BaseException) -> None:
    """From a part on the loop that goes on after it has failed: tell what `watch` was given."""
    _tell(asyncio.get_running_loop(), part, error)


def report_in_thread(part: str, error: BaseException) -> None:
    """From a thread that goes on after a part of it has failed: tell what `watch` was given."""
    told = RuntimeError(f"{part}: {in_words(error)}").with_traceback(error.__traceback__)
    threading.excepthook(threading.ExceptHookArgs((type(told), told, told.__traceback__, threading.current_thread())))


@contextlib.contextmanager
def watch(loop: asyncio.AbstractEventLoop, on_fault: OnFault) -> Iterator[None]:
    """Have `on_fault` called on `loop` with whatever nobody else catches, in this process's threads as well."""

    def in_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message") or "the event loop")
        on_fault(message, context.get("exception") or RuntimeError(message))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "?"
        if args.exc_value is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is at its end
                loop.call_soon_threadsafe(on_fault, f"the thread {name}", args.exc_value)

    handler, hook = loop.get_exception_handler(), threading.excepthook
    loop.set_exception_handler(in_loop)
    threading.excepthook = in_thread
    try:
        yield
    finally:
        loop.set_exception_handler(handler)
        threading.excepthook = hook


def _ended(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _tell(task.get_loop(), f"{task.get_name()} has ended", error)


def _tell(loop: asyncio.AbstractEventLoop, part: str, error: BaseException) -> None:
    loop.call_exception_handler({"message": part, "exception": error})
