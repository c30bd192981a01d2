"""Which record queue goes to which worker and whether the writer may read it.

A `multiprocessing` queue breaks when a process dies while it holds one of the queue's locks or has written half a
message; nothing repairs it, and nothing tells. A queue can be given to a process only when that is spawned. So:

    A queue is thrown away as soon as one of the two processes that use it ended out of order. Otherwise it is kept.

In order means: a writer with exit code 0; a worker that said, as its last word, that its queue's feeder thread has
ended (`{"type": "queue", "clean": true}`, see `process.entry_points.leave_queue`). What follows from the rule:

* A worker was killed, or left without that word: its account gets a new queue at once, and the writer is restarted in
  order to have it too (the other queues go on to the next writer, whose predecessor left them clean). It reads the
  journals meanwhile.
* The writer was killed: every queue it had is thrown away. It comes back without them and reads those accounts from
  their journals, which is as complete and at most a flush slower, until the worker is started anew for some reason.
* Neither is ever restarted for the sake of a queue alone, with one exception: a writer for a fresh queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["QueueLedger", "close_queue"]


_MOST_RETIRED = 256


def close_queue(queue: Any) -> None:
    """Close this process's two descriptors of a queue that no process will be given any more.

    The object must be kept for as long as a process that was given it may still be starting: when it is collected, the
    names of its semaphores go, and such a process could not open them.
    """
    queue.close()
    queue._writer.close()


@dataclass(slots=True)
class _Entry:
    queue: Any = None
    worker_alive: bool = False
    in_writer: bool = False


class QueueLedger:
    """The queue of each account. `make` and `close` are injected; the rest is bookkeeping."""

    def __init__(self, accounts: Iterable[str], make: Callable[[], Any], close: Callable[[Any], None]) -> None:
        self._make = make
        self._close = close
        self._entries = {account: _Entry() for account in accounts}
        self._retired: deque[Any] = deque(maxlen=_MOST_RETIRED)

    def for_worker(self, account: str) -> Any:
        """The queue for the next process of this account: the one at hand if clean, else a new one."""
        entry = self._entries[account]
        if entry.queue is None:
            entry.queue = self._make()
        entry.worker_alive = True
        return entry.queue

    def for_writer(self) -> dict[str, Any]:
        """The queues for the next writer. A worker that is not alive gets a new queue first, to save a restart."""
        queues = {}
        for account, entry in self._entries.items():
            if entry.queue is None and not entry.worker_alive:
                entry.queue = self._make()
            entry.in_writer = entry.queue is not None
            if entry.in_writer:
                queues[account] = entry.queue
        return queues

    def worker_ended(self, account: str, *, in_order: bool) -> None:
        entry = self._entries[account]
        entry.worker_alive = False
        if not in_order or entry.queue is None:
            self._discard(entry)
            entry.queue = self._make()

    def writer_ended(self, *, in_order: bool) -> None:
        for entry in self._entries.values():
            if entry.in_writer and not in_order:
                self._discard(entry)
            entry.in_writer = False

    def writer_outdated(self) -> bool:
        """Whether some usable queue is not in the hands of the writer that runs now."""
        return any(entry.queue is not None and not entry.in_writer for entry in self._entries.values())

    def usable(self, account: str) -> bool:
        """Whether this account's records go by queue; by its journal otherwise."""
        entry = self._entries[account]
        return entry.queue is not None and entry.in_writer

    def bury(self) -> None:
        """Forget the queues that were thrown away. Only when no process is starting, see `close_queue`."""
        self._retired.clear()

    def _discard(self, entry: _Entry) -> None:
        if entry.queue is not None:
            self._close(entry.queue)
            self._retired.append(entry.queue)
        entry.queue = None
        entry.in_writer = False
