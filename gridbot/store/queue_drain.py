"""Empties a worker's record queue in a thread, into bounded memory."""

from __future__ import annotations

import logging
import queue as queues
import threading
from collections import deque
from typing import Any, Final

from gridbot.records.recorder import Batch

__all__ = ["QueueDrain"]

log = logging.getLogger("gridbot.store")

WAITING_LIMIT: Final = 8 * 1024 * 1024
_POLL_S: Final = 0.2


class QueueDrain:
    """Thread that empties one queue into bounded memory, so that a stuck queue does not hold up the other accounts.

    What does not fit is dropped: the journal has it.
    """

    def __init__(self, account: str, queue: Any) -> None:
        self._queue = queue
        self._waiting: deque[Batch] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"queue-{account}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                batch = self._queue.get(timeout=_POLL_S)
            except queues.Empty:
                continue
            except (OSError, EOFError, ValueError):
                return
            except Exception as exc:  # noqa: BLE001 - a producer killed in mid-write leaves any garbage to unpickle
                log.warning("unreadable batch on a record queue (%s); its journal is read instead", exc)
                return
            with self._lock:
                if self._bytes <= WAITING_LIMIT:
                    self._waiting.append(batch)
                    self._bytes += len(batch[4])

    def take(self) -> list[Batch]:
        """Everything that has arrived."""
        with self._lock:
            batches, self._waiting, self._bytes = list(self._waiting), deque(), 0
        return batches

    def stop(self, timeout_s: float) -> bool:
        """Leave the queue's locks free. False when the thread is stuck in a half-written message."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()
