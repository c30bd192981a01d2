"""Whether an order may leave: a pure question, whose answer says what it changes.

`admit` makes the checks of `CHECKS` from "may anything be sent at all" to "can it be paid for": the first reason is
also the first one an operator has to remove. Its `Verdict` has the changes as values; nothing has changed until
`gate_state.step` applies them. A refusal changes no more than the warnings of caps.

    check         refuses with                                                    strategy  retry  close
    _may_trade    what `holds` says, in its order; auth_cooldown, stale_price        ×        ×
    _brake        cap_latch, or for an open: only_reduces                          ×        ×
    _symbol       not_trading, or for an open: reduce_only                         ×        ×
    _level        level_taken                                                        ×
    _band         outside_price_band                                                 ×        ×
    _breaker      breaker_open, or where the exchange moves orders outside_price_band ×       ×
    _size         too_small, or for a close: not_covered, position_unsure            ×               ×
    _size_again   the same for an order that is in the book already                           ×
    _counts       max_open_orders, max_orders_per_minute                             ×
    _value        for opens: max_margin, max_notional, account_max_notional,        ×
                  fleet_max_notional
    _money        for opens: insufficient_balance                                    ×

A retry has its level and was counted and paid for; a close of an operator passes whatever holds the strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core import Direction
from gridbot.core.limits import Limit
from gridbot.orders.breakers import Cause
from gridbot.orders.proposal import Proposal
from gridbot.risk.brake import Stops
from gridbot.risk.caps import WARN_AT, warning
from gridbot.risk.funds import margin_needed
from gridbot.risk.gate_state import Change, GateState, Promise, Verdict
from gridbot.risk.holds import refusal_of
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.risk.symbol_state import Allows

__all__ = ["CHECKS", "STALE_PRICE_S", "AccountView", "Check", "admit"]

STALE_PRICE_S = 30.0
ZERO = Decimal(0)
_ALL, _NOTHING, _CLOSE, _REDUCING = Allows.ALL, Allows.NOTHING, Producer.CLOSE, Refusal.REDUCING
_FREE, _ALL_STOPPED = Stops.NOTHING, Stops.ALL
_MAX_MARGIN = {direction: f"max_margin.{direction}" for direction in Direction}


@dataclass(frozen=True, slots=True)
class AccountView:
    """What else the gate looks at: the account's cap, and all its strategies by name, whose values count towards it."""

    max_notional: Limit | None
    strategies: Mapping[str, StrategyRiskState]


Changes = list[Change]
Test = Callable[[GateState, AccountView, StrategyRiskState, Proposal, float, Changes], Refusal | None]


def admit(
    state: GateState,
    account: AccountView,
    view: StrategyRiskState,
    proposal: Proposal,
    now_s: float,
    producer: Producer = Producer.STRATEGY,
) -> Verdict:
    """Whether an order may leave. ValueError when an operator's close would open something.

    The same arguments always give the same answer; nothing is changed.
    """
    if producer is _CLOSE and not proposal.reduce_only:
        raise ValueError(f"expected a close to be reduce-only, got {proposal}")
    changes: Changes = []
    for test in (_CLOSING if proposal.reduce_only else _OPENING)[producer]:
        refusal = test(state, account, view, proposal, now_s, changes)
        if refusal is not None:
            return Verdict(refusal, changes=tuple(changes)) if changes else _REFUSED[refusal]
    return Verdict(None, view.strat_id, tuple(changes))


def _exceeds(
    state: GateState, changes: Changes, owner: str, name: str, value: Decimal | int, limit: Decimal | int
) -> bool:
    """Whether `value` is above `limit`, with the warning that this begins or ends; the cap is called `owner.name`."""
    if value < limit * WARN_AT and not state.warned:
        return False  # the usual case: nothing to say
    warned = warning(f"{owner}.{name}", value, limit, state.warned)
    if warned is not None:
        changes.append(warned)
    return value > limit


# ---------------------------------------------------------------------- the checks


def _may_trade(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    refusal = refusal_of(state.holds, view.holds)
    if refusal is not None and not (refusal is _REDUCING and proposal.reduce_only):
        return refusal
    if state.auth.is_cooling(now_s):
        return Refusal.AUTH_COOLDOWN
    if view.last_price is None or view.price_s is None or now_s - view.price_s > STALE_PRICE_S:
        return Refusal.STALE_PRICE
    return None


def _brake(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    """What the caps of the account, of its groups and of the fleet let through."""
    stops = state.brake.stops
    if stops is _FREE:
        return None  # the usual case
    if stops is _ALL_STOPPED:
        return Refusal.CAP_LATCH
    return None if proposal.reduce_only else Refusal.ONLY_REDUCES


def _symbol(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    """What the exchange lets one do with the symbol, and with a leg whose risk it has cut."""
    allows = view.symbol_watch.state.allows
    if allows is _NOTHING:
        return Refusal.NOT_TRADING
    if proposal.reduce_only or (allows is _ALL and not view.legs[proposal.direction].reduce_only):
        return None
    return Refusal.REDUCE_ONLY


def _level(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    return Refusal.LEVEL_TAKEN if view.book.has_live(proposal.direction, proposal.ticks) else None


def _band(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    """The exchange would move the price: the order would rest at no level of ours, or at that of another."""
    return Refusal.PRICE_BAND if view.band.is_beyond(proposal.side, proposal.price) else None


def _breaker(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    if not state.breaker.circuits:
        return None  # the usual case
    key = (view.strat_id, proposal.direction, proposal.side, proposal.ticks)
    if not state.breaker.is_open(key, now_s):
        return None
    return Refusal.PRICE_BAND if state.breaker.circuits[key].cause is Cause.MOVED else Refusal.BREAKER_OPEN


def _size(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    if proposal.qty > ZERO and not proposal.reduce_only:
        return None  # the usual case
    return _covered(view, proposal)


def _size_again(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    """A retry's order is among the resting closes itself."""
    return _covered(view, proposal, own=proposal.qty)


def _covered(view: StrategyRiskState, proposal: Proposal, *, own: Decimal = ZERO) -> Refusal | None:
    """`own` is what of the resting closes is the order itself."""
    if proposal.qty <= 0:
        return Refusal.NOT_COVERED if proposal.reduce_only else Refusal.TOO_SMALL
    if not proposal.reduce_only:
        return None
    leg = view.legs[proposal.direction]
    if leg.unsure:
        return Refusal.POSITION_UNSURE
    beside = view.book.resting_close_qty(proposal.direction) - own
    return None if leg.size >= proposal.qty + beside else Refusal.NOT_COVERED


def _counts(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    limit = view.caps.max_open_orders
    if limit is not None and _exceeds(state, changes, view.strat_id, "max_open_orders", len(view.book) + 1, limit):
        return Refusal.MAX_OPEN_ORDERS
    rate = state.rates[view.strat_id]
    if rate.per_minute is not None and _exceeds(
        state, changes, view.strat_id, "max_orders_per_minute", rate.used(now_s) + 1, rate.per_minute
    ):
        return Refusal.MAX_ORDERS_PER_MINUTE
    return None


def _value(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    caps, wallet, added = view.caps, state.funds.wallet_balance, proposal.notional
    if caps.max_margin is not None:
        if wallet <= 0:
            return Refusal.MAX_MARGIN
        leg = view.legs[proposal.direction]
        value = view.book.opening_notional(proposal.direction) + added
        if leg.size:
            value += leg.size * (leg.entry_price or view.last_price or proposal.price)
        name = _MAX_MARGIN[proposal.direction]
        if _exceeds(state, changes, view.strat_id, name, value / wallet, caps.max_margin):
            return Refusal.MAX_MARGIN
    if caps.max_notional is not None:
        limit = caps.max_notional.resolve(wallet)
        if _exceeds(state, changes, view.strat_id, "max_notional", view.notional() + added, limit):
            return Refusal.MAX_NOTIONAL
    if account.max_notional is None and state.share is None:
        return None
    total: Decimal = sum((other.notional() for other in account.strategies.values()), added)
    if account.max_notional is not None:
        limit = account.max_notional.resolve(wallet)
        if _exceeds(state, changes, "account", "max_notional", total, limit):
            return Refusal.ACCOUNT_MAX_NOTIONAL
    if state.share is not None and total > state.share:  # who lends the share warns of the cap
        return Refusal.FLEET_MAX_NOTIONAL
    return None


def _money(
    state: GateState, account: AccountView, view: StrategyRiskState, proposal: Proposal, now_s: float, changes: Changes
) -> Refusal | None:
    direction = proposal.direction
    need = margin_needed(direction, proposal.notional, view.legs[direction].leverage)
    available = state.funds.fresh(now_s)
    if need > available if available is not None else not state.funds.may_probe(now_s):
        return Refusal.FUNDS
    changes.append(Promise(need, available is None))
    return None


@dataclass(frozen=True, slots=True)
class Check:
    """One check: whose orders it holds for, and whether for opens only."""

    test: Test
    producers: frozenset[Producer]
    opens_only: bool = False

    def holds_for(self, producer: Producer, *, closes: bool) -> bool:
        return producer in self.producers and not (closes and self.opens_only)


_STRATEGY = frozenset({Producer.STRATEGY})
_TRADING = frozenset({Producer.STRATEGY, Producer.RETRY})

CHECKS = (
    Check(_may_trade, _TRADING),
    Check(_brake, _TRADING),
    Check(_symbol, _TRADING),
    Check(_level, _STRATEGY),
    Check(_band, _TRADING),
    Check(_breaker, _TRADING),
    Check(_size, frozenset({Producer.STRATEGY, Producer.CLOSE})),
    Check(_size_again, frozenset({Producer.RETRY})),
    Check(_counts, _STRATEGY),
    Check(_value, _STRATEGY, opens_only=True),
    Check(_money, _STRATEGY, opens_only=True),
)
"""All checks, in the order in which they are made."""

_OPENING = {who: tuple(check.test for check in CHECKS if check.holds_for(who, closes=False)) for who in Producer}
_CLOSING = {who: tuple(check.test for check in CHECKS if check.holds_for(who, closes=True)) for who in Producer}
_REFUSED = {refusal: Verdict(refusal) for refusal in Refusal}
