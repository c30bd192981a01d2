"""Limits on failures and attempts: breakers, failure runs, rate caps. Pure; time is an argument, monotonic seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Breaker", "FailureRun", "RateCap"]

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Circuit:
    failures: deque[float] = field(default_factory=deque)
    open_until: float | None = None


class Breaker(Generic[K]):
    """`threshold` failures of one key within `window_s` open its circuit for `cooldown_s` (incident L8)."""

    def __init__(self, *, threshold: int = 3, window_s: float = 60.0, cooldown_s: float = 60.0) -> None:
        self._threshold, self._window_s, self._cooldown_s = threshold, window_s, cooldown_s
        self._circuits: dict[K, _Circuit] = {}

    def fail(self, key: K, now_s: float) -> bool:
        """Count a failure; True when this one opens the circuit."""
        circuit = self._circuits.setdefault(key, _Circuit())
        circuit.failures.append(now_s)
        while circuit.failures and now_s - circuit.failures[0] > self._window_s:
            circuit.failures.popleft()
        if len(circuit.failures) < self._threshold or self.is_open(key, now_s):
            return False
        circuit.open_until = now_s + self._cooldown_s
        circuit.failures.clear()
        return True

    def succeed(self, key: K) -> None:
        """Forget the failures of a key, and close its circuit."""
        self._circuits.pop(key, None)

    def is_open(self, key: K, now_s: float) -> bool:
        circuit = self._circuits.get(key)
        return circuit is not None and circuit.open_until is not None and now_s < circuit.open_until

    def open_until(self, now_s: float) -> dict[K, float]:
        """The open circuits and when each closes."""
        return {
            key: circuit.open_until
            for key, circuit in self._circuits.items()
            if circuit.open_until is not None and now_s < circuit.open_until
        }


class FailureRun:
    """`threshold` failures in a row (no success between) pause everything for `cooldown_s` (auth: incident L42)."""

    def __init__(self, *, threshold: int = 5, cooldown_s: float = 1800.0) -> None:
        self._threshold, self._cooldown_s = threshold, cooldown_s
        self._run = 0
        self._until: float | None = None
        self.cycles = 0

    def fail(self, now_s: float) -> bool:
        """Count a failure; True when it starts a cooldown."""
        self._run += 1
        if self._run < self._threshold or self.is_cooling(now_s):
            return False
        self._until, self._run = now_s + self._cooldown_s, 0
        self.cycles += 1
        return True

    def succeed(self) -> None:
        """End the run, and the cooldown if there is one."""
        self._run, self._until = 0, None

    def is_cooling(self, now_s: float) -> bool:
        return self._until is not None and now_s < self._until

    @property
    def until_s(self) -> float | None:
        """End of the last cooldown; None before the first and after a success."""
        return self._until


class RateCap:
    """At most `per_minute` orders in any 60 s; attempts count, not only successes.

    Source: docs/incidents-operations.md 5.2 no. 15.
    """

    def __init__(self, per_minute: int | None) -> None:
        self.per_minute = per_minute
        self._acts: deque[float] = deque()

    def used(self, now_s: float) -> int:
        while self._acts and now_s - self._acts[0] >= 60.0:
            self._acts.popleft()
        return len(self._acts)

    def allows(self, now_s: float) -> bool:
        return self.per_minute is None or self.used(now_s) < self.per_minute

    def count(self, now_s: float) -> None:
        self._acts.append(now_s)
