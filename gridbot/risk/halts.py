"""What holds orders back, as records: every change of a latch, pause, breaker, cooldown or ban, whoever caused it.

Nothing that sets or lifts a hold writes anything itself. Once a second, and right after an operator's command, what
holds now is compared with what held before, so that no way in or out can be forgotten, not even one that time opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gridbot.execution.executor import Executor
from gridbot.records.record_types import LatchRecord, UtcUs
from gridbot.risk.gate import Desk, Gate

__all__ = ["Hold", "HoldWatch", "Reason", "holds_of"]


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held: a strategy ("" is the account) and, for a breaker, the level."""

    strategy: str
    kind: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, and until when on the monotonic clock in seconds (None: until somebody lets go)."""

    text: str
    until_s: float | None = None


def holds_of(gate: Gate, executor: Executor, desks: Iterable[Desk], now_s: float) -> dict[Hold, Reason]:
    """Everything that holds orders of an account back at `now_s`, the monotonic clock."""
    found: dict[Hold, Reason] = {}
    if gate.loss_latched:
        found[Hold("", "session_loss")] = Reason(gate.loss_latched)
    if gate.auth.is_cooling(now_s):
        found[Hold("", "auth_cooldown")] = Reason("repeated authentication errors", gate.auth.until_s)
    banned = executor.ip_banned_until_s
    if banned is not None and now_s < banned:
        found[Hold("", "ip_ban")] = Reason("the exchange bans this address (403)", banned)
    for (strategy, direction, side, ticks), until_s in gate.breaker.open_until(now_s).items():
        desk = gate.desks[strategy]
        price = desk.book.instrument.price(ticks)
        hold = Hold(strategy, "breaker", f"{direction} {side} {price}")
        found[hold] = Reason("the exchange refused this level repeatedly", until_s)
    for desk in desks:
        if desk.halted:
            found[Hold(desk.strat_id, "halted")] = Reason(desk.halted)
        if desk.paused:
            found[Hold(desk.strat_id, "paused")] = Reason("")
    return found


class HoldWatch:
    """Remembers what held at the last look."""

    def __init__(self) -> None:
        self._held: Mapping[Hold, Reason] = {}

    def changes(self, held: Mapping[Hold, Reason], now_s: float, now_us: int) -> Iterator[LatchRecord]:
        """A record for each hold that is new, has another reason, or is gone. Times: monotonic s, and UTC µs."""
        before, self._held = self._held, dict(held)
        for hold in before.keys() - held.keys():
            yield LatchRecord(strategy=hold.strategy, kind=hold.kind, level=hold.level, is_set=False)
        for hold, reason in held.items():
            if before.get(hold) != reason:
                until_s = reason.until_s
                yield LatchRecord(
                    strategy=hold.strategy,
                    kind=hold.kind,
                    level=hold.level,
                    is_set=True,
                    reason=reason.text,
                    until=None if until_s is None else UtcUs(now_us + int((until_s - now_s) * 1e6)),
                )
