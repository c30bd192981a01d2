"""The session loss limit: an account that has lost too much opens nothing until an operator resumes it. Pure.

The loss is counted from executions, fees and funding (and unrealised PnL when configured) since the latch was last
clear. Fees in other coins count at the price that the coin has now, where the wallet tells it. Baseline and latch are
saved, so they survive a restart (incidents L26, 5.2 no. 14)::

    clear ──Checked: the loss is above the limit──► latched ──Cleared: an operator resumes──► clear, new baseline

    event      state after                          effect
    Begun      clear, counting from `net`           none
    Restored   as an earlier run left it            none
    Unknown    latched                              Latched
    Checked    latched, if too much is lost         Latched, once
    Regrouped  as it was, and nothing more is lost  none
    Cleared    clear, counting from `net`           none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Self

from gridbot.core.limits import Limit
from gridbot.core.strict_numbers import saved_decimal

__all__ = [
    "Begun",
    "Checked",
    "Cleared",
    "Event",
    "Latched",
    "LossLimit",
    "LossState",
    "Regrouped",
    "Restored",
    "Unknown",
    "lost",
    "most_lost",
    "step",
    "unpriced",
]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class LossLimit:
    """What is configured: the limit (None: off), and whether losses of open positions count; what ends a latch."""

    limit: Limit | None
    includes_unrealised: bool
    resume: str = "an operator resumes the account"


@dataclass(frozen=True, slots=True)
class LossState:
    """`net` (USDT) when counting began; why the account opens nothing (empty while it may), and since when (ms UTC).

    `fees` are those in other coins when counting began, by coin; None when an earlier version did not say.
    """

    baseline: Decimal = ZERO
    latched: str = ""
    since_ms: int = 0
    fees: Mapping[str, Decimal] | None = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        fees = {} if self.fees is None else {"fees": {coin: str(fee) for coin, fee in self.fees.items()}}
        return {"baseline": str(self.baseline), "latched": self.latched, "since_ms": self.since_ms, **fees}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote, also without the time, as a1c99c4 wrote it.

        KeyError, TypeError, ValueError or ArithmeticError for anything else.
        """
        baseline, latched = Decimal(document["baseline"]), document["latched"]
        if not baseline.is_finite() or not isinstance(latched, str):
            raise ValueError(f"expected a finite baseline and the latch's reason as text, got {dict(document)!r}")
        fees = document.get("fees")
        known = None if fees is None else {str(coin): saved_decimal(fee) for coin, fee in dict(fees).items()}
        return cls(baseline, latched, int(document.get("since_ms", 0)), known)


@dataclass(frozen=True, slots=True)
class Begun:
    """There is no earlier run. `net` is what the live strategies made so far (USDT): realised less fees and funding."""

    net: Decimal
    fees: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Restored:
    """An earlier run left this."""

    state: LossState


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the account is latched: `reason` says why, and what lifts it. Then it is, since `now_ms`."""

    reason: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Checked:
    """The figures now, in USDT; `now_ms` is UTC."""

    net: Decimal
    wallet_balance: Decimal
    unrealised: Decimal
    now_ms: int
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    """All fees in other coins so far, by coin."""
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """What these coins are worth, in USDT."""


@dataclass(frozen=True, slots=True)
class Regrouped:
    """Other strategies count from now on: what they made so far (USDT) and paid in other coins, before and after."""

    net_before: Decimal
    net: Decimal
    fees_before: Mapping[str, Decimal] = field(default_factory=dict)
    fees: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleared:
    """An operator resumes the account."""

    net: Decimal
    fees: Mapping[str, Decimal] = field(default_factory=dict)


Event = Begun | Restored | Unknown | Checked | Regrouped | Cleared


@dataclass(frozen=True, slots=True)
class Latched:
    """The account is latched from now on."""

    reason: str


def step(state: LossState, event: Event, rule: LossLimit) -> tuple[LossState, Latched | None]:
    """Apply an event."""
    match event:
        case Begun(net, fees) | Cleared(net, fees):
            return LossState(net, fees=dict(fees)), None
        case Restored(state=restored):
            return restored, None
        case Unknown(reason=unknown, now_ms=now_ms):
            return replace(state, latched=unknown, since_ms=now_ms), Latched(unknown)
        case Regrouped():
            return _regrouped(state, event), None
    if state.fees is None:
        state = replace(state, fees=dict(event.fees))
    reason = "" if state.latched else _too_much(state, event, rule)
    return (replace(state, latched=reason, since_ms=event.now_ms), Latched(reason)) if reason else (state, None)


def _regrouped(state: LossState, event: Regrouped) -> LossState:
    fees = state.fees
    if fees is not None:
        coins = {**event.fees_before, **event.fees}
        moved = {coin: event.fees.get(coin, ZERO) - event.fees_before.get(coin, ZERO) for coin in coins}
        fees = {**fees, **{coin: fees.get(coin, ZERO) + by for coin, by in moved.items() if by}}
    return replace(state, baseline=state.baseline + event.net - event.net_before, fees=fees)


def unpriced(fees: Mapping[str, Decimal], prices: Mapping[str, Decimal], state: LossState) -> list[str]:
    """The coins in which fees were charged since counting began, and whose price is not known: they are left out."""
    before = state.fees or {}
    return sorted(coin for coin, fee in fees.items() if coin not in prices and fee != before.get(coin, ZERO))


def lost(state: LossState, now: Checked, rule: LossLimit) -> Decimal:
    """USDT lost since counting began, by this rule; negative for a gain."""
    before = state.fees or {}
    charged = ((fee - before.get(coin, ZERO)) * now.prices.get(coin, ZERO) for coin, fee in now.fees.items())
    result = now.net - state.baseline - sum(charged, ZERO)
    if rule.includes_unrealised:
        result += now.unrealised
    return -result


def most_lost(now: Checked, loss: Decimal, rule: LossLimit) -> Decimal | None:
    """How much may be lost (USDT); None while there is no limit, or no wallet is known.

    The wallet has shrunk by the loss already: the limit is a share of what it was.
    """
    if rule.limit is None or now.wallet_balance <= 0:
        return None
    return rule.limit.resolve(now.wallet_balance + max(loss, ZERO))


def _too_much(state: LossState, now: Checked, rule: LossLimit) -> str:
    """The latch's reason; empty while the loss is within the limit."""
    loss = lost(state, now, rule)
    limit = most_lost(now, loss, rule)
    if limit is None or loss <= limit:
        return ""
    return (
        f"lost {loss:.2f} USDT since the latch was clear, the session loss limit is {limit:.2f}; "
        f"nothing is opened until {rule.resume}"
    )
