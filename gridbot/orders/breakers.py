"""Limits on failures and attempts, as values: breakers, failure runs, rate caps. Pure; times in monotonic seconds.

Each method that changes something returns the value after the event. A circuit and a failure run go round like this::

    circuit of one key      closed ──(threshold failures within the window)──► open ──(cooldown, repair)──► closed
    failure run             counting ──(threshold failures in a row)──► cooling ──(cooldown over, success)──► counting

What fails while a circuit is open or a run cools was sent before, or is a cancel, which neither holds back. It counts
for nothing: the next round begins at zero.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, NamedTuple, Self, TypeVar

from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.remedies import key_pause

__all__ = ["Breaker", "Cause", "Circuit", "FailureRun", "RateCap"]

K = TypeVar("K", bound=Hashable)
MINUTE_S = 60.0


class Cause(StrEnum):
    """What a failure was."""

    REFUSED = "refused"
    MOVED = "moved"
    """The exchange gave the order another price (price band)."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Closed, with the times of its recent failures; or open until a time, and what the failure was that opened it."""

    failures: tuple[float, ...] = ()
    open_until: float | None = None
    cause: Cause = Cause.REFUSED


@dataclass(frozen=True, slots=True)
class Breaker(Generic[K]):
    """`threshold` failures of one key within `window_s` open its circuit for `cooldown_s` (incident L8).

    `circuits` has only those that are open or failed within the window, as of the last failure.
    """

    threshold: int = 3
    window_s: float = 60.0
    cooldown_s: float = 60.0
    circuits: Mapping[K, Circuit] = field(default_factory=dict)

    def failed(self, key: K, now_s: float, cause: Cause = Cause.REFUSED) -> tuple[Self, bool]:
        """Count a failure; True when this one opens the circuit."""
        if self.is_open(key, now_s):
            return self, False
        kept = {other: left for other, circuit in self.circuits.items() if (left := self._left(circuit, now_s))}
        failures = (*(kept[key].failures if key in kept else ()), now_s)
        opens = len(failures) >= self.threshold
        kept[key] = Circuit(open_until=now_s + self.cooldown_s, cause=cause) if opens else Circuit(failures)
        return replace(self, circuits=kept), opens

    def closed(self, keys: Collection[K]) -> Self:
        """Close these circuits and forget their failures: what they failed for is no more."""
        return replace(self, circuits={key: circuit for key, circuit in self.circuits.items() if key not in keys})

    def is_open(self, key: K, now_s: float) -> bool:
        circuit = self.circuits.get(key)
        return circuit is not None and circuit.open_until is not None and now_s < circuit.open_until

    def open_until(self, now_s: float) -> dict[K, float]:
        """The open circuits and when each closes."""
        return {
            key: circuit.open_until
            for key, circuit in self.circuits.items()
            if circuit.open_until is not None and now_s < circuit.open_until
        }

    def causes(self, now_s: float) -> dict[K, Cause]:
        """The open circuits and what opened each."""
        return {key: self.circuits[key].cause for key in self.open_until(now_s)}

    def _left(self, circuit: Circuit, now_s: float) -> Circuit | None:
        """What still counts of a circuit; None when nothing does."""
        if circuit.open_until is not None:
            return circuit if now_s < circuit.open_until else None
        recent = tuple(at_s for at_s in circuit.failures if now_s - at_s <= self.window_s)
        return Circuit(recent) if recent else None


@dataclass(frozen=True, slots=True)
class FailureRun:
    """`threshold` failures in a row (no success between) pause everything for `cooldown_s` (auth: incident L42).

    `until_s` is the end of the last cooldown, None before the first and after a success; `cycles` counts cooldowns.
    `error` is the newest failure of the row, or what the cooldown began with.
    """

    threshold: int = 5
    cooldown_s: float = 1800.0
    run: int = 0
    until_s: float | None = None
    cycles: int = 0
    error: ExchangeError | None = None

    def failed(self, error: ExchangeError, now_s: float) -> tuple[Self, bool]:
        """Count a failure; True when it starts a cooldown."""
        if self.is_cooling(now_s):
            return self, False
        if self.run + 1 < self.threshold:
            return replace(self, run=self.run + 1, error=error), False
        return replace(self, run=0, until_s=now_s + self.cooldown_s, cycles=self.cycles + 1, error=error), True

    @property
    def is_clear(self) -> bool:
        """Whether a success would change nothing."""
        return not self.run and self.until_s is None

    def succeeded(self) -> Self:
        """End the run, and the cooldown if there is one."""
        return self if self.is_clear else replace(self, run=0, until_s=None, error=None)

    def is_cooling(self, now_s: float) -> bool:
        return self.until_s is not None and now_s < self.until_s

    def why(self, now_s: float) -> str:
        """Why orders are paused now, with code and remedy; empty when they are not."""
        return key_pause(self.error) if self.error is not None and self.is_cooling(now_s) else ""


class RateCap(NamedTuple):
    """At most `per_minute` orders in any 60 s (None: no limit); attempts count, not only successes.

    `acts` has a time and how many orders were let through at it, `total` their sum: never more than `per_minute`, since
    older ones decide nothing. Source: docs/incidents-operations.md 5.2 no. 15.
    """

    per_minute: int | None
    acts: tuple[tuple[float, int], ...] = ()
    total: int = 0

    def used(self, now_s: float) -> int:
        """Orders of the last 60 s; those above the cap are not counted."""
        used = self.total
        for at_s, count in self.acts:
            if now_s - at_s < MINUTE_S:
                break
            used -= count
        return used

    def counted(self, now_s: float) -> RateCap:
        """One more order was let through."""
        if not self.per_minute:
            return self
        total = self.used(now_s)
        acts = self.acts if total == self.total else tuple(act for act in self.acts if now_s - act[0] < MINUTE_S)
        if total == self.per_minute:
            total -= 1
            at_s, count = acts[0]
            acts = ((at_s, count - 1), *acts[1:]) if count > 1 else acts[1:]
        if acts and acts[-1][0] == now_s:
            acts = (*acts[:-1], (now_s, acts[-1][1] + 1))
        else:
            acts = (*acts, (now_s, 1))
        return RateCap(self.per_minute, acts, total + 1)
