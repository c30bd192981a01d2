"""Records of what stops orders: every change of a latch, brake, pause, halt, breaker, cooldown or ban, from any cause.

The code that sets or lifts one of them records nothing. Once a second, and right after an operator's command, what
stops orders now is compared with what stopped them before. So no change is missed, not even one caused by time. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gridbot.exchange.bans import Ban
from gridbot.orders.breakers import Cause
from gridbot.records.record_types import LatchRecord, UtcUs
from gridbot.risk.brake import Stops
from gridbot.risk.gate import Gate
from gridbot.risk.holds import Hold
from gridbot.risk.strategy_state import StrategyRiskState

__all__ = ["Obstacle", "ObstacleWatch", "Reason", "obstacles_of", "of_account"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What is stopped: a strategy ("" is the account) and, for a breaker, the level."""

    strategy: str
    kind: str
    level: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, and until when on the monotonic clock in seconds (None: until an operator ends it)."""

    text: str
    until_s: float | None = None

    def told(self, now_s: float) -> str:
        """As an operator reads it at `now_s`: with how long it lasts, where that is known."""
        return self.text if self.until_s is None else f"for {max(0.0, self.until_s - now_s):.0f} s more: {self.text}"


_BROKEN_BY = {
    Cause.REFUSED: "the exchange refused this level repeatedly",
    Cause.MOVED: "the exchange moved the orders of this level to other prices (price band)",
}


def of_account(gate: Gate, ban: Ban | None, now_s: float) -> dict[Obstacle, Reason]:
    """What stops every order that goes through a gate at `now_s` (monotonic).

    Their reasons are all that is told of them: by health, status, alerts and records.
    """
    found: dict[Obstacle, Reason] = {}
    if gate.latched:
        found[Obstacle("", "latched")] = Reason(gate.latched)
    if gate.loss_latched:
        found[Obstacle("", "session_loss")] = Reason(gate.loss_latched)
    if gate.brake.reason:
        kind = "cap_latch" if gate.brake.stops is Stops.ALL else "only_reduces"
        found[Obstacle("", kind)] = Reason(gate.brake.reason)
    if why := gate.auth.why(now_s):
        found[Obstacle("", "auth_cooldown")] = Reason(why, gate.auth.until_s)
    if ban is not None and ban.is_on(now_s):
        found[Obstacle("", "ip_ban")] = Reason(str(ban), ban.until_s)
    return found


def obstacles_of(
    gate: Gate, ban: Ban | None, risk_states: Iterable[StrategyRiskState], now_s: float
) -> dict[Obstacle, Reason]:
    """Everything that stops orders of an account at `now_s` (monotonic)."""
    found = of_account(gate, ban, now_s)
    causes = gate.breaker.causes(now_s)
    for level, until_s in gate.breaker.open_until(now_s).items():
        strategy, direction, side, ticks = level
        risk_state = gate.strategies[strategy]
        price = risk_state.book.instrument.price(ticks)
        obstacle = Obstacle(strategy, "breaker", f"{direction} {side} {price}")
        found[obstacle] = Reason(_BROKEN_BY[causes[level]], until_s)
    for risk_state in risk_states:
        for hold in (Hold.LATCHED, Hold.HALTED, Hold.PAUSED, Hold.REDUCING):
            if hold in risk_state.holds.held:
                found[Obstacle(risk_state.strat_id, str(hold))] = Reason(risk_state.holds.reason(hold))
    return found


class ObstacleWatch:
    """Remembers what stopped orders at the last look."""

    def __init__(self) -> None:
        self._before: Mapping[Obstacle, Reason] = {}

    def changes(self, obstacles: Mapping[Obstacle, Reason], now_s: float, now_us: int) -> Iterator[LatchRecord]:
        """A record for each obstacle that is new, has another reason, or is over. Times: monotonic s, and UTC µs."""
        before, self._before = self._before, dict(obstacles)
        for obstacle in before.keys() - obstacles.keys():
            yield LatchRecord(strategy=obstacle.strategy, kind=obstacle.kind, level=obstacle.level, is_set=False)
        for obstacle, reason in obstacles.items():
            if before.get(obstacle) != reason:
                until_s = reason.until_s
                yield LatchRecord(
                    strategy=obstacle.strategy,
                    kind=obstacle.kind,
                    level=obstacle.level,
                    is_set=True,
                    reason=reason.text,
                    until=None if until_s is None else UtcUs(now_us + int((until_s - now_s) * 1e6)),
                )
