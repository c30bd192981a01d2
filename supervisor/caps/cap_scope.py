"""Drawdown and loss of the accounts of one scope, and whom its latch holds, as a step. Pure; USDT, times in ms UTC.

    event       what it changes                                                      effect
    Reported    the accounts' figures; the peak may rise; a cap may be crossed,      Breached, for all accounts
                which holds all accounts of the scope
    Resumed     an operator lets an account trade again; with its next figures       -
                peak and loss are counted anew
    Adopted     a worker is held by this scope, of which we know nothing (our file   -
                was lost)

What holds an account stands by itself: one that is resumed trades while the others stay held, and what is lost from
there may hold it again. While all are held nothing is looked at.

An account whose worker says nothing counts with its last figures. One that is counted for the first time brings its
equity into the peak, and what it has lost so far into the base from which losses count, so neither is a gain or a loss.
So does one whose worker counts its own losses anew (`counted_from`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Self

from gridbot.config.fleet_models import FleetCaps
from gridbot.core.strict_numbers import saved_decimal
from gridbot.risk.drawdown import DrawdownRule, DrawdownState, Joined, Seen, Used, used
from gridbot.risk.drawdown import step as drawdown_step
from gridbot.risk.fleet_share import CapHold

__all__ = [
    "Adopted",
    "Breached",
    "CapScope",
    "Event",
    "Figures",
    "Parted",
    "Reported",
    "Resumed",
    "loss_used",
    "restored",
    "step",
]

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a worker says of its account: equity as the lower and the higher of two looks, balance, session's result.

    `counted_from` names the moment from which that counts.
    """

    low: Decimal
    high: Decimal
    wallet: Decimal
    result: Decimal
    counted_from: str

    def to_document(self) -> list[str]:
        return [str(self.low), str(self.high), str(self.wallet), str(self.result), self.counted_from]

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read what `to_document` wrote. TypeError or ValueError for anything else."""
        *money, counted_from = document
        low, high, wallet, result = map(saved_decimal, money)
        return cls(low, high, wallet, result, str(counted_from))


@dataclass(slots=True)
class CapScope:
    """The state, changed by `step` alone. `base` is the summed result from which losses count."""

    name: str
    caps: FleetCaps
    accounts: tuple[str, ...]
    figures: dict[str, Figures] = field(default_factory=dict)
    drawdown: DrawdownState = field(default_factory=DrawdownState)
    base: Decimal = ZERO
    held: dict[str, CapHold] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    """Accounts that were resumed, and with whose next figures counting begins anew."""

    @property
    def low(self) -> Decimal:
        return sum((each.low for each in self.figures.values()), ZERO)

    @property
    def high(self) -> Decimal:
        return sum((each.high for each in self.figures.values()), ZERO)

    @property
    def wallets(self) -> Decimal:
        return sum((each.wallet for each in self.figures.values()), ZERO)

    @property
    def rule(self) -> DrawdownRule:
        return DrawdownRule(self.caps.max_drawdown, "max_drawdown", "")

    def fallen(self) -> Used | None:
        """How much of `max_drawdown` is used; None without one."""
        return used(self.drawdown, self.high, self.rule)

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "accounts": list(self.accounts),
            "figures": {name: each.to_document() for name, each in self.figures.items()},
            "drawdown": self.drawdown.to_document(),
            "base": str(self.base),
            "held": {name: hold.to_document() for name, hold in self.held.items()},
            "again": sorted(self.again),
        }


@dataclass(frozen=True, slots=True)
class Reported:
    """How accounts are, by name: as its worker says, or of a whole fleet as its database has them."""

    figures: Mapping[str, Figures]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """An operator has resumed an account."""

    name: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A worker says that this scope holds its account."""

    name: str
    hold: CapHold


@dataclass(frozen=True, slots=True)
class Parted:
    """Another host of a fleet has the account now: what it has and has lost is no part of this scope any more."""

    name: str


Event = Reported | Resumed | Adopted | Parted


@dataclass(frozen=True, slots=True)
class Breached:
    """A cap was crossed: these accounts are held now and were not before."""

    reason: str
    names: tuple[str, ...]


def loss_used(scope: CapScope) -> Used | None:
    """What was lost, and how much may be; None without a limit or figures.

    The wallets have shrunk by the loss already: a limit that is a share of them is one of what they were.
    """
    limit = scope.caps.session_loss_limit
    if limit is None or not scope.figures:
        return None
    result = sum((each.result for each in scope.figures.values()), ZERO) - scope.base
    if scope.caps.session_loss_includes_unrealised:
        result += scope.high - scope.wallets
    loss = max(ZERO, -result)
    return Used(loss, limit.resolve(scope.wallets + loss))


def step(scope: CapScope, event: Event) -> Breached | None:
    """Apply an event. The state is changed in place, here and nowhere else."""
    match event:
        case Resumed(name):
            if scope.held.pop(name, None) is not None:
                scope.again.add(name)
            return None
        case Adopted(name, hold):
            scope.held.setdefault(name, hold)
            return None
        case Parted(name):
            scope.accounts = tuple(each for each in scope.accounts if each != name)
            scope.held.pop(name, None)
            scope.again.discard(name)
            if (left := scope.figures.pop(name, None)) is not None:
                scope.base -= left.result
                scope.drawdown, _ = drawdown_step(scope.drawdown, Joined(-left.low), scope.rule)
            return None
        case Reported(figures, now_ms):
            resumed = [name for name, each in figures.items() if _count(scope, name, each)]
            if resumed:
                scope.base = sum((each.result for each in scope.figures.values()), ZERO)
            return _look(scope, now_ms)


def _count(scope: CapScope, name: str, now: Figures) -> bool:
    """Whether peak and loss begin anew, with what all are now: the account was resumed."""
    before = scope.figures.get(name)
    scope.figures[name] = now
    if before is None:
        scope.base += now.result
        scope.drawdown, _ = drawdown_step(scope.drawdown, Joined(now.low), scope.rule)
    elif before.counted_from != now.counted_from:
        scope.base += now.result - before.result
    if name in scope.again:
        scope.again.discard(name)
        scope.drawdown = DrawdownState()
        return True
    return False


def _look(scope: CapScope, now_ms: int) -> Breached | None:
    if len(scope.held) == len(scope.accounts):
        return None
    state, fell = drawdown_step(scope.drawdown, Seen(scope.low, scope.high, now_ms), scope.rule)
    scope.drawdown = replace(state, latched="", since_ms=0)
    loss = loss_used(scope)
    if fell is not None:
        reason = fell.reason.removesuffix("; ")
        reason = f"summed {reason}"
    elif loss is not None and loss.fall > loss.most:
        reason = f"lost {loss.fall:.2f} USDT together, the session loss limit is {loss.most:.2f}"
    else:
        return None
    hold = CapHold(reason, now_ms, scope.caps.on_breach)
    names = tuple(name for name in scope.accounts if name not in scope.held)
    scope.held |= dict.fromkeys(names, hold)
    return Breached(reason, names)


def restored(name: str, caps: FleetCaps, accounts: Iterable[str], document: Mapping[str, Any]) -> CapScope:
    """What `to_document` wrote, for the accounts that the scope has now.

    KeyError, TypeError, ValueError, AttributeError or ArithmeticError for anything else. An account that is new in a
    scope that holds all others is held as they are.
    """
    scope = CapScope(name, caps, tuple(accounts))
    earlier = frozenset(str(each) for each in document["accounts"])
    figures = {str(each): Figures.from_document(row) for each, row in document["figures"].items()}
    held = {str(each): CapHold.from_document(row) for each, row in document["held"].items()}
    scope.drawdown = DrawdownState.from_document(document["drawdown"])
    scope.base = saved_decimal(document["base"])
    names = frozenset(scope.accounts)
    for gone in [each for each in figures if each not in names]:
        left = figures.pop(gone)
        scope.base -= left.result
        scope.drawdown, _ = drawdown_step(scope.drawdown, Joined(-left.low), scope.rule)
    scope.figures = figures
    scope.again = {str(each) for each in document["again"]} & names
    scope.held = {each: hold for each, hold in held.items() if each in names}
    if held and all(each in held for each in earlier):
        first = next(iter(held.values()))
        scope.held |= {each: first for each in scope.accounts if each not in earlier}
    return scope
