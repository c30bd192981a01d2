"""Further tries for requests that failed without being refused, under the same wire id.

At most `MAX_TRIES` within `WINDOW_S` seconds of the first failure, waiting 1, 2 and 4 s. Only transient failures
come here. "Insufficient balance" and "position is zero" never do: the strategy asks again when it still wants the order
(incidents L8, L9). The count belongs to the order (`Tries`); the queue only knows what is due when. Time is an
argument, in seconds on any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["MAX_TRIES", "NO_TRIES", "WAITS_S", "WINDOW_S", "RetryItem", "RetryQueue", "Tries"]

MAX_TRIES = 3
WINDOW_S = 30.0
WAITS_S = (1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Tries:
    """The further tries of one request: how many were made, since when it fails, and when the next one is due.

    `due_s` is None while none waits; `first_s` is None before the first failure.
    """

    made: int = 0
    first_s: float | None = None
    due_s: float | None = None

    def after_failure(self, now_s: float) -> Tries | None:
        """With another try waiting; None when all are used up or the window is over (then we give up)."""
        if self.made >= MAX_TRIES:
            return None
        first_s = now_s if self.first_s is None else self.first_s
        due_s = now_s + WAITS_S[self.made]
        return None if due_s - first_s > WINDOW_S else Tries(self.made, first_s, due_s)

    def begun(self) -> Tries:
        """With the waiting try made."""
        return replace(self, made=self.made + 1, due_s=None)


NO_TRIES = Tries()


@dataclass(frozen=True, slots=True)
class RetryItem:
    """One order (or cancel) that waits for another try. `tries` counts those already made.

    `last_error` is the text of the failure that brought it here.
    """

    key: str
    is_cancel: bool
    tries: int
    due_s: float
    last_error: str


class RetryQueue:
    """At most one entry per (order, kind). One per account; each strategy's orders put theirs in and take them out."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, bool], RetryItem] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: str) -> bool:
        return (key, False) in self._items or (key, True) in self._items

    def items(self) -> list[RetryItem]:
        """What waits, in no particular order."""
        return list(self._items.values())

    def push(self, item: RetryItem) -> None:
        """Let a request wait for its next try, instead of any that waits already."""
        self._items[item.key, item.is_cancel] = item

    def due(self, now_s: float) -> list[RetryItem]:
        """Take out what may be tried now, earliest first."""
        ready = sorted((item for item in self._items.values() if item.due_s <= now_s), key=lambda item: item.due_s)
        for item in ready:
            del self._items[item.key, item.is_cancel]
        return ready

    def forget(self, key: str) -> None:
        """No further try of this order, nor of its cancel."""
        self._items.pop((key, False), None)
        self._items.pop((key, True), None)
