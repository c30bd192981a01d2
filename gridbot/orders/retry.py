"""Further tries for requests that failed without being refused, under the same wire id.

At most `MAX_TRIES` within `WINDOW_S` seconds of the first failure, waiting 1, 2 and 4 s. Only transient failures
come here. "Insufficient balance" and "position is zero" never do: the strategy asks again when it still wants the order
(incidents L8, L9). Time is an argument, in seconds on any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_TRIES", "WAITS_S", "WINDOW_S", "RetryItem", "RetryQueue"]

MAX_TRIES = 3
WINDOW_S = 30.0
WAITS_S = (1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class RetryItem:
    """One order (or cancel) that waits for another try. `tries` counts those already made by this queue.

    `last_error` is the text of the failure that brought it here.
    """

    key: str
    is_cancel: bool
    tries: int
    first_s: float
    due_s: float
    last_error: str


class RetryQueue:
    """At most one entry per (order, kind); a newer failure of the same one continues its count."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, bool], RetryItem] = {}
        self._history: dict[tuple[str, bool], tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: str) -> bool:
        return (key, False) in self._items or (key, True) in self._items

    def items(self) -> list[RetryItem]:
        """What waits, in no particular order."""
        return list(self._items.values())

    def push(self, key: str, *, is_cancel: bool, now_s: float, error: str) -> bool:
        """Queue another try; False when its tries are used up or its window is over (then we give up)."""
        slot = (key, is_cancel)
        tries, first_s = self._history.get(slot, (0, now_s))
        if tries >= MAX_TRIES:
            self.forget(key)
            return False
        due_s = now_s + WAITS_S[tries]
        if due_s - first_s > WINDOW_S:
            self.forget(key)
            return False
        self._history[slot] = (tries, first_s)
        self._items[slot] = RetryItem(key, is_cancel, tries, first_s, due_s, error)
        return True

    def due(self, now_s: float) -> list[RetryItem]:
        """Take out what may be tried now, earliest first; each now counts as tried."""
        ready = sorted((item for item in self._items.values() if item.due_s <= now_s), key=lambda item: item.due_s)
        for item in ready:
            slot = (item.key, item.is_cancel)
            del self._items[slot]
            self._history[slot] = (item.tries + 1, item.first_s)
        return ready

    def forget(self, key: str) -> None:
        """The outcome is known: no further try, and a later failure starts a new count."""
        for slot in ((key, False), (key, True)):
            self._items.pop(slot, None)
            self._history.pop(slot, None)

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._history.clear()
