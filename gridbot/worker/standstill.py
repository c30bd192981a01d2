"""Whether nothing leaves though orders are wanted, as a step. Pure; times are monotonic seconds.

::

    moving ──orders are wanted──► waiting ──45 s without a create──► standing: an incident, and a reason against health
      ▲                              │                                  │
      └── a create leaves, or none is wanted ◄──────────────────────────┘

Whatever the cause (a ban, no numbers, no money, a breaker), it is told within a minute. Not counted is what an operator
has wanted so, and what has its own incident: pause, halt, loss limit and the caps; nor levels that need no order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gridbot.risk.refusals import Refusal

__all__ = ["EXPECTED", "STANDS_S", "Standstill", "step"]

STANDS_S = 45.0
EXPECTED = frozenset(
    {
        Refusal.LEVEL_TAKEN,
        Refusal.TOO_SMALL,
        Refusal.NOT_COVERED,
        Refusal.STOPPING,
        Refusal.PAUSED,
        Refusal.HALTED,
        Refusal.LOSS_LIMIT,
        Refusal.MAX_OPEN_ORDERS,
        Refusal.MAX_NOTIONAL,
        Refusal.ACCOUNT_MAX_NOTIONAL,
        Refusal.MAX_MARGIN,
    }
)
"""Refusals that are no standstill."""


@dataclass(frozen=True, slots=True)
class Standstill:
    """`why` is empty while orders leave or none is wanted.

    `sent` counts the creates that have left, `since_s` is when the last one did, or when orders were wanted after it.
    """

    since_s: float | None = None
    sent: int = 0
    why: str = ""


def step(state: Standstill, wanted: Mapping[str, int], sent: int, now_s: float) -> Standstill:
    """A second has passed. `wanted` counts orders by what they wait for."""
    if not wanted or sent != state.sent or state.since_s is None:
        return Standstill(now_s if wanted else None, sent)
    if now_s - state.since_s < STANDS_S:
        return Standstill(state.since_s, sent)
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(wanted.items()))
    return Standstill(state.since_s, sent, f"nothing was sent for {STANDS_S:.0f} s though orders are wanted: {causes}")
