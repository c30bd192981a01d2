"""What holds orders back, as records: every change of a latch, pause, breaker, cooldown or ban, whoever caused it.

Nothing that sets or lifts a hold writes anything itself. Once a second, and right after an operator's command, what
holds now is compared with what held before, so that no way in or out can be forgotten, not even one that time opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gridbot.execution.executor import Executor
from gridbot.records.record_types import LatchRecord, UtcUs
from gridbot.risk.gate import Gate, StrategyRiskState

__all__ = ["Halt", "HaltWatch", "Reason", "halts_of"]


@dataclass(frozen=True, slots=True)
class Halt:
    """What is held: a strategy ("" is the account) and, for a breaker, the level."""

    strategy: str
    kind: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, and until when on the monotonic clock in seconds (None: until somebody lets go)."""

    text: str
    until_s: float | None = None


def halts_of(
    gate: Gate, executor: Executor, risk_states: Iterable[StrategyRiskState], now_s: float
) -> dict[Halt, Reason]:
    """Everything that holds orders of an account back at `now_s`, the monotonic clock."""
    found: dict[Halt, Reason] = {}
    if gate.loss_latched:
        found[Halt("", "session_loss")] = Reason(gate.loss_latched)
    if gate.auth.is_cooling(now_s):
        found[Halt("", "auth_cooldown")] = Reason("repeated authentication errors", gate.auth.until_s)
    banned = executor.ip_banned_until_s
    if banned is not None and now_s < banned:
        found[Halt("", "ip_ban")] = Reason("the exchange bans this address (403)", banned)
    for (strategy, direction, side, ticks), until_s in gate.breaker.open_until(now_s).items():
        risk_state = gate.strategies[strategy]
        price = risk_state.book.instrument.price(ticks)
        hold = Halt(strategy, "breaker", f"{direction} {side} {price}")
        found[hold] = Reason("the exchange refused this level repeatedly", until_s)
    for risk_state in risk_states:
        if risk_state.halted:
            found[Halt(risk_state.strat_id, "halted")] = Reason(risk_state.halted)
        if risk_state.paused:
            found[Halt(risk_state.strat_id, "paused")] = Reason("")
    return found


class HaltWatch:
    """Remembers what held at the last look."""

    def __init__(self) -> None:
        self._held: Mapping[Halt, Reason] = {}

    def changes(self, held: Mapping[Halt, Reason], now_s: float, now_us: int) -> Iterator[LatchRecord]:
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
