"""How far equity may fall from its peak, of an account or of all accounts of a cap together: one step function. Pure.

The peak is the highest equity (USDT) since the latch was last clear. Peak and latch are saved, so they outlive it all::

    clear ──Seen: it has fallen by more than the limit──► latched ──Cleared: an operator resumes──► clear, a new peak

    event      state after                               effect
    Restored   as an earlier run left it                 none
    Unknown    latched                                   Latched
    Seen       the peak may rise; latched, if the fall   Latched, once
               is above the limit
    Joined     the peak is higher by capital that came   none
    Cleared    clear, the peak is that of the next Seen  none

What a fill changes comes in parts: the wallet has what was realised a moment before or after the leg is smaller. So a
`Seen` has two equities, the lower and the higher one of two looks in a row (`TwoLooks`): the peak follows the lower,
and a fall counts from the higher. One odd look moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple, Self

from gridbot.core.limits import DrawdownLimit
from gridbot.core.strict_numbers import saved_decimal

__all__ = [
    "Cleared",
    "DrawdownRule",
    "DrawdownState",
    "Event",
    "Joined",
    "Latched",
    "Restored",
    "Seen",
    "TwoLooks",
    "Unknown",
    "Used",
    "step",
    "used",
]

ZERO = Decimal(0)


class TwoLooks:
    """The last two looks at a figure, as the lower and the higher of both; the first counts as two."""

    def __init__(self) -> None:
        self._before: Decimal | None = None

    def take(self, value: Decimal) -> tuple[Decimal, Decimal]:
        """Another look."""
        before, self._before = value if self._before is None else self._before, value
        return min(before, value), max(before, value)


@dataclass(frozen=True, slots=True)
class DrawdownRule:
    """What is configured: the limit (None: off), whose it is, and what a latch leads to and what ends it, in words."""

    limit: DrawdownLimit | None
    name: str = "max_drawdown"
    then: str = "until an operator resumes the account"


@dataclass(frozen=True, slots=True)
class DrawdownState:
    """`peak` (USDT) is None until equity is known; why it is latched ("" while it is not), and since when (ms UTC)."""

    peak: Decimal | None = None
    latched: str = ""
    since_ms: int = 0

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        peak = None if self.peak is None else str(self.peak)
        return {"peak": peak, "latched": self.latched, "since_ms": self.since_ms}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote. KeyError, TypeError, ValueError or ArithmeticError for anything else."""
        peak, latched = document["peak"], document["latched"]
        if not isinstance(latched, str):
            raise ValueError(f"expected the latch's reason as text, got {dict(document)!r}")
        return cls(None if peak is None else saved_decimal(peak), latched, int(document["since_ms"]))


@dataclass(frozen=True, slots=True)
class Restored:
    """An earlier run left this."""

    state: DrawdownState


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it is latched: `reason` says why, and what lifts it. Then it is, since `now_ms`."""

    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Equity now (USDT), as the lower and the higher of two looks; `now_ms` is UTC."""

    low: Decimal
    high: Decimal
    now_ms: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Capital came that no trade has made, such as an account of the cap that was not counted before (USDT).

    Negative when it went.
    """

    equity: Decimal


@dataclass(frozen=True, slots=True)
class Cleared:
    """An operator resumes."""


Event = Restored | Unknown | Seen | Joined | Cleared


@dataclass(frozen=True, slots=True)
class Latched:
    """It is latched from now on."""

    reason: str


class Used(NamedTuple):
    """How far equity has fallen from its peak, and how far it may (USDT)."""

    fall: Decimal
    most: Decimal


def used(state: DrawdownState, equity: Decimal, rule: DrawdownRule) -> Used | None:
    """How much of the limit is used; None where there is none, or no peak yet."""
    if rule.limit is None or state.peak is None:
        return None
    return Used(max(ZERO, state.peak - equity), rule.limit.resolve(state.peak))


def step(state: DrawdownState, event: Event, rule: DrawdownRule) -> tuple[DrawdownState, Latched | None]:
    """Apply an event."""
    match event:
        case Restored(state=restored):
            return restored, None
        case Unknown(reason=unknown, now_ms=now_ms):
            return replace(state, latched=unknown, since_ms=now_ms), Latched(unknown)
        case Cleared():
            return DrawdownState(), None
        case Joined(equity=equity):
            return (state if state.peak is None else replace(state, peak=state.peak + equity)), None
    if state.latched:
        return state, None
    if state.peak is None or event.low > state.peak:
        state = replace(state, peak=event.low)
    now = used(state, event.high, rule)
    if now is None or now.fall <= now.most:
        return state, None
    fall = f"equity fell by {now.fall:.2f} USDT from its peak of {state.peak:.2f}"
    reason = f"{fall}, {rule.name} is {now.most:.2f}; {rule.then}"
    return replace(state, latched=reason, since_ms=event.now_ms), Latched(reason)
