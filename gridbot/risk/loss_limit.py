"""The session loss limit: an account that has lost too much opens nothing until an operator resumes it. Pure.

The loss is counted from executions, fees and funding (and unrealised PnL when configured) since the latch was last
clear. Baseline and latch are saved, so they survive a restart (incidents L26, 5.2 no. 14)::

    clear ──Checked: the loss is above the limit──► latched ──Cleared: an operator resumes──► clear, new baseline

    event      state after                          effect
    Begun      clear, counting from `net`           none
    Restored   as it was written                    none
    Checked    latched, if too much is lost         Latched, once
    Cleared    clear, counting from `net`           none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from gridbot.core.limits import Limit

__all__ = ["Begun", "Checked", "Cleared", "Event", "Latched", "LossLimit", "LossState", "Restored", "step"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class LossLimit:
    """What is configured: the limit (None: off), and whether losses of open positions count."""

    limit: Limit | None
    includes_unrealised: bool


@dataclass(frozen=True, slots=True)
class LossState:
    """`net` (USDT) when counting began, and why the account opens nothing; empty while it may."""

    baseline: Decimal = ZERO
    latched: str = ""

    def to_document(self) -> dict[str, Any]:
        """What `Restored` needs, JSON-able."""
        return {"baseline": str(self.baseline), "latched": self.latched}


@dataclass(frozen=True, slots=True)
class Begun:
    """There is no earlier run. `net` is what the live strategies made so far (USDT): realised less fees and funding."""

    net: Decimal


@dataclass(frozen=True, slots=True)
class Restored:
    """An earlier run left this document."""

    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Checked:
    """The figures now, in USDT."""

    net: Decimal
    wallet_balance: Decimal
    unrealised: Decimal


@dataclass(frozen=True, slots=True)
class Cleared:
    """An operator resumes the account."""

    net: Decimal


Event = Begun | Restored | Checked | Cleared


@dataclass(frozen=True, slots=True)
class Latched:
    """The account is latched from now on."""

    reason: str


def step(state: LossState, event: Event, rule: LossLimit) -> tuple[LossState, Latched | None]:
    """Apply an event. KeyError, TypeError or ArithmeticError for a document that `to_document` did not write."""
    match event:
        case Begun(net=net) | Cleared(net=net):
            return LossState(net), None
        case Restored(document=document):
            return LossState(Decimal(document["baseline"]), str(document["latched"])), None
    reason = "" if state.latched else _too_much(state.baseline, event, rule)
    return (replace(state, latched=reason), Latched(reason)) if reason else (state, None)


def _too_much(baseline: Decimal, now: Checked, rule: LossLimit) -> str:
    """The latch's reason; empty while the loss is within the limit."""
    if rule.limit is None or now.wallet_balance <= 0:
        return ""
    result = now.net - baseline
    if rule.includes_unrealised:
        result += now.unrealised
    # The wallet has shrunk by the loss already: the limit is a share of what it was.
    limit = rule.limit.resolve(now.wallet_balance - min(result, ZERO))
    if -result <= limit:
        return ""
    return (
        f"lost {-result:.2f} USDT since the latch was clear, the session loss limit is {limit:.2f}; "
        "nothing is opened until `resume`"
    )
