"""Whether nothing leaves though orders are wanted, as a step. Pure; times are monotonic seconds.

::

    moving ──orders are wanted──► waiting ──45 s without a create──► standing: an incident, and a reason against health
      ▲                              │                                  │
      └── a create leaves, or none is wanted ◄──────────────────────────┘

Not counted is what an operator has wanted so (`EXPECTED`: a pause; `CAPS` that leave room for some order), what the
symbol does not allow and an incident of its own tells, nor levels that need no order. Whatever else the cause (a ban,
no numbers, no money, a breaker, caps below one order), health has a reason within a minute. One cause is one incident:
`untold` leaves out the orders whose obstacle another open incident names (`TOLD_BY`), so the incident `standstill` is
about what no other one tells. Reason and incident are two states of this step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from gridbot.core.quick_values import quick_value
from gridbot.incidents import Name
from gridbot.risk.refusals import Refusal

__all__ = ["CAPS", "EXPECTED", "STANDS_S", "TOLD_BY", "WAITING", "Standstill", "Wishes", "hinders", "step", "untold"]

STANDS_S = 45.0
WAITING = "waiting to be sent"
"""What an order waits for that the gate has admitted."""
Wishes = Mapping[tuple[str, str], int]
"""Orders that are wanted, counted by strategy ("": the account's queue) and by what they wait for."""
EXPECTED = frozenset(
    {
        Refusal.LEVEL_TAKEN,
        Refusal.TOO_SMALL,
        Refusal.NOT_COVERED,
        Refusal.STOPPING,
        Refusal.LATCHED,
        Refusal.PAUSED,
        Refusal.REDUCING,
        Refusal.HALTED,
        Refusal.LOSS_LIMIT,
        Refusal.NOT_TRADING,
        Refusal.REDUCE_ONLY,
        Refusal.CAP_LATCH,
        Refusal.ONLY_REDUCES,
    }
)
"""Refusals that are no standstill."""
CAPS = frozenset(
    {
        Refusal.MAX_OPEN_ORDERS,
        Refusal.MAX_NOTIONAL,
        Refusal.ACCOUNT_MAX_NOTIONAL,
        Refusal.FLEET_MAX_NOTIONAL,
        Refusal.MAX_MARGIN,
    }
)
"""Refusals that are none while some order of the strategy rests: then the cap is used, not in the way of everything."""
TOLD_BY: Mapping[str, str] = {
    WAITING: "ip_ban",
    Refusal.AUTH_COOLDOWN: "auth",
    Refusal.NO_NUMBER: "no_order_number",
    Refusal.STALE_PRICE: "stale_price",
    # What the exchange has refused in a row (`risk/passage.py`) holds the levels back, and may be for want of money.
    Refusal.BREAKER_OPEN: "refused",
    Refusal.FUNDS: "refused",
}
"""The first word of the incident that tells why such orders wait: of their strategy, or of the account."""


@quick_value(frozen=True, slots=True)
class Standstill:
    """`why` is empty while orders leave or none is wanted.

    `sent` counts the creates that have left, `since_s` is when the last one did, or when orders were wanted after it.
    """

    since_s: float | None = None
    sent: int = 0
    why: str = ""


def hinders(refusal: str, *, rests: bool) -> bool:
    """Whether a refusal counts; `rests` is whether the strategy has an order at all."""
    return refusal not in EXPECTED and not (rests and refusal in CAPS)


def untold(wanted: Wishes, standing: Collection[Name]) -> Wishes:
    """The wishes whose obstacle no incident names that stands."""
    told = {(name.where, name.key.partition(".")[0]) for name in standing}
    return {
        (strategy, why): count
        for (strategy, why), count in wanted.items()
        if told.isdisjoint({(strategy, TOLD_BY.get(why, "")), ("", TOLD_BY.get(why, ""))})
    }


def step(state: Standstill, wanted: Wishes, sent: int, now_s: float) -> Standstill:
    """A second has passed; `sent` creates have left by now."""
    if not wanted or sent != state.sent or state.since_s is None:
        return Standstill(now_s if wanted else None, sent)
    if now_s - state.since_s < STANDS_S:
        return Standstill(state.since_s, sent)
    counts = Counter[str]()
    for (_, why), count in wanted.items():
        counts[why] += count
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(counts.items()))
    return Standstill(state.since_s, sent, f"nothing was sent for {STANDS_S:.0f} s though orders are wanted: {causes}")
