"""A few daemon threads for calls that block.

The interpreter joins the threads of a `ThreadPoolExecutor` at exit: one request that hangs for its ten seconds would
keep a worker alive that has to end within two.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple

from gridbot.bybit.clocks import monotonic_s

__all__ = ["DaemonPool"]


class _Job(NamedTuple):
    future: Future[Any]
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    is_urgent: bool


_Inbox = SimpleQueue[_Job | None]
"""Where a thread gets its jobs; None ends it."""


class DaemonPool:
    """Threads that are started with the first job that needs them; jobs of a kind begin in the order they came.

    At most `size` ordinary jobs run at a time, however long they take. There are `urgent` more threads, so as many
    urgent jobs find a free one. An ordinary job goes to the thread that has been idle longest, which keeps all
    connections open; an urgent one to the thread that worked last, whose connection and caches are warm.
    """

    def __init__(self, size: int, name: str, *, urgent: int = 0) -> None:
        self._size = size
        self._urgent = urgent
        self._name = name
        self._idle: deque[_Inbox] = deque()
        """Idle threads, the one that worked last at the end."""
        self._ready: deque[_Job] = deque()
        """Jobs for the next thread that is free."""
        self._waiting: deque[_Job] = deque()
        """Ordinary jobs beyond `size`."""
        self._ordinary = 0
        """Ordinary jobs that are ready or run."""
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Queue an ordinary job. RuntimeError after `shutdown`."""
        job = _Job(Future(), fn, args, is_urgent=False)
        with self._lock:
            self._open_with(self._size)
            if self._ordinary == self._size:
                self._waiting.append(job)
            else:
                self._ordinary += 1
                self._hand_out(job)
        return job.future

    def submit_urgent(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:
        """Start a job that does not wait for ordinary ones. RuntimeError after `shutdown`."""
        job = _Job(Future(), fn, args, is_urgent=True)
        with self._lock:
            self._open_with(self._size + self._urgent)
            self._hand_out(job)
        return job.future

    def shutdown(self, *, wait_s: float = 0.0) -> bool:
        """Take no more jobs and fail those that wait (RuntimeError). A job under way runs to its end.

        Waits at most `wait_s` seconds for the threads; True when all have ended.

        A waiting job's future gets an exception instead of being cancelled: a task that awaits it would take that for
        its own cancellation.
        """
        with self._lock:
            self._closed = True
            dropped = [*self._ready, *self._waiting]
            self._ready.clear()
            self._waiting.clear()
            for inbox in self._idle:
                inbox.put(None)
            self._idle.clear()
        for job in dropped:
            if job.future.set_running_or_notify_cancel():  # False: nobody waits for it any more
                job.future.set_exception(RuntimeError(f"{self._name} is closed"))
        deadline_s = monotonic_s() + wait_s
        for thread in self._threads if wait_s else ():
            thread.join(max(0.0, deadline_s - monotonic_s()))
        return not any(thread.is_alive() for thread in self._threads)

    # ------------------------------------------------------------------ with the lock

    def _open_with(self, count: int) -> None:
        """See that `count` threads run. RuntimeError after `shutdown`."""
        if self._closed:
            raise RuntimeError(f"{self._name} is closed")
        while len(self._threads) < count:
            inbox: _Inbox = SimpleQueue()
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, args=(inbox,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
            self._idle.appendleft(inbox)

    def _hand_out(self, job: _Job) -> None:
        if not self._idle:
            self._ready.append(job)
        else:
            (self._idle.pop() if job.is_urgent else self._idle.popleft()).put(job)

    # ------------------------------------------------------------------ in a thread

    def _work(self, inbox: _Inbox) -> None:
        job: _Job | None
        while (job := inbox.get()) is not None:
            while job is not None:
                _carry_out(job)
                job = self._next_after(job, inbox)

    def _next_after(self, done: _Job, inbox: _Inbox) -> _Job | None:
        """The job that this thread takes next; None when it becomes idle, or has to end."""
        with self._lock:
            if not done.is_urgent:
                if self._waiting:
                    self._ready.append(self._waiting.popleft())
                else:
                    self._ordinary -= 1
            if self._ready:
                return self._ready.popleft()
            if self._closed:
                inbox.put(None)
            else:
                self._idle.append(inbox)
            return None


def _carry_out(job: _Job) -> None:
    if not job.future.set_running_or_notify_cancel():
        return
    try:
        result = job.fn(*job.args)
    except BaseException as exc:  # noqa: BLE001 - passed on through the future
        job.future.set_exception(exc)
    else:
        job.future.set_result(result)
