"""What must hold for every gate, whatever happens: named functions for tests and simulations. Pure.

Each returns the violations as plain sentences, so an empty list is what is wanted. They look at orders and legs one by
one and take nothing from the gate's own sums or checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.core import Direction
from gridbot.core.limits import Limit
from gridbot.orders.proposal import Proposal
from gridbot.risk.brake import Stops
from gridbot.risk.funds import FRESH_S
from gridbot.risk.gate_state import GateState, Promise, Verdict
from gridbot.risk.refusals import Producer
from gridbot.risk.strategy_state import StrategyRiskState

__all__ = [
    "caps_hold",
    "close_is_covered",
    "memory_is_bounded",
    "money_is_there",
    "nothing_passes_a_hold",
    "refusal_changes_nothing",
]

ZERO = Decimal(0)
CAPS_OF_A_STRATEGY = 5
"""Orders resting, orders per minute, margin of two legs, notional."""


def nothing_passes_a_hold(
    before: GateState,
    view: StrategyRiskState,
    verdict: Verdict,
    now_s: float,
    producer: Producer,
    *,
    opens: bool = False,
) -> list[str]:
    """While an account or a strategy is held, or its key cools, only an operator's close is admitted.

    Caps may stop what opens alone.
    """
    if verdict.refusal is not None or producer is Producer.CLOSE:
        return []
    found = [f"an order of a {producer} was admitted though it holds: {hold}" for hold in before.holds.held]
    found += [f"an order of a {producer} was admitted though it holds: {hold}" for hold in view.holds.held]
    if before.brake.stops is Stops.ALL or (before.brake.stops is Stops.OPENS and opens):
        found.append(f"an order of a {producer} was admitted though a cap stops it: {before.brake.reason}")
    if before.auth.until_s is not None and now_s < before.auth.until_s:
        found.append(f"an order of a {producer} was admitted though the key cools until {before.auth.until_s}")
    return found


def close_is_covered(view: StrategyRiskState, proposal: Proposal, verdict: Verdict, producer: Producer) -> list[str]:
    """An admitted close is no larger than its leg less the closes that rest. Ask before the order is in the book."""
    if verdict.refusal is not None or not proposal.reduce_only:
        return []
    legs = [order for order in view.book if order.direction is proposal.direction and order.reduce_only]
    resting = sum((order.open_qty for order in legs), ZERO)
    free = view.legs[proposal.direction].size - resting
    if producer is Producer.RETRY:
        free += proposal.qty  # its order is one of those
    if proposal.qty <= free and proposal.qty > 0:
        return []
    return [f"a close of {proposal.qty} {proposal.direction} was admitted, {free} can be closed"]


def money_is_there(before: GateState, verdict: Verdict, now_s: float) -> list[str]:
    """With a fresh balance, what is promised never grows beyond it; without one, only probes are let through."""
    margins = [change for change in verdict.changes if isinstance(change, Promise)]
    wallet, known_s = before.funds.wallet, before.funds.known_s
    available = None if wallet is None else wallet.available_balance
    fresh = available is not None and known_s is not None and now_s - known_s <= FRESH_S
    found = []
    for promise in margins:
        if verdict.refusal is not None:
            found.append(f"a refused order was promised {promise.margin}")
        if promise.is_probe is fresh:
            found.append(f"an order was admitted with is_probe {promise.is_probe}, the balance is fresh: {fresh}")
        promised = before.funds.promised + promise.margin
        if fresh and available is not None and promised > available:
            found.append(f"{promised} is promised, {available} is available")
    return found


def caps_hold(
    views: Mapping[str, StrategyRiskState],
    view: StrategyRiskState,
    proposal: Proposal,
    verdict: Verdict,
    *,
    wallet: Decimal,
    account: Limit | None,
    share: Decimal | None = None,
) -> list[str]:
    """An order that a strategy places keeps the caps, together with all that was admitted before it.

    Ask before the order is in the book, and for a strategy's own orders only.
    """
    if verdict.refusal is not None:
        return []
    found, caps = [], view.caps
    live = sum(1 for order in view.book if not order.state.is_final) + 1
    if caps.max_open_orders is not None and live > caps.max_open_orders:
        found.append(f"{live} orders rest, the cap is {caps.max_open_orders}")
    if proposal.reduce_only:
        return found
    mine = _value(view) + proposal.qty * proposal.price
    if caps.max_notional is not None and mine > caps.max_notional.resolve(wallet):
        found.append(f"{view.strat_id} is worth {mine}, the cap is {caps.max_notional}")
    total = sum((_value(other) for other in views.values()), proposal.qty * proposal.price)
    if account is not None and total > account.resolve(wallet):
        found.append(f"the account is worth {total}, the cap is {account}")
    if share is not None and total > share:
        found.append(f"the account is worth {total}, its share of the fleet's caps is {share}")
    leg = view.legs[proposal.direction]
    held = leg.size * (leg.entry_price or view.last_price or proposal.price) + _opens(view, proposal.direction)
    if caps.max_margin is not None and held + proposal.qty * proposal.price > caps.max_margin * wallet:
        found.append(f"the {proposal.direction} leg is worth {held} before the order, the cap is x{caps.max_margin}")
    return found


def refusal_changes_nothing(before: GateState, after: GateState, verdict: Verdict) -> list[str]:
    """A refused proposal changes no more than which caps have warned."""
    if verdict.refusal is None:
        return []
    return [
        f"a refusal ({verdict.refusal}) changed {name}: {old} -> {new}"
        for name, old, new in zip(GateState._fields, before, after, strict=True)
        if name != "warned" and old != new
    ]


def memory_is_bounded(state: GateState, now_s: float) -> list[str]:
    """What the gate remembers depends on its rules, and not on how long it runs. Ask right after a refusal."""
    breaker, found = state.breaker, []
    for level, circuit in breaker.circuits.items():
        if len(circuit.failures) >= breaker.threshold:
            found.append(f"{level}: {len(circuit.failures)} failures are kept, {breaker.threshold} open it")
        newest_s = circuit.failures[-1] if circuit.failures else circuit.open_until
        if newest_s is None or now_s - newest_s > breaker.window_s:
            found.append(f"{level}: kept though nothing happened since {newest_s}")
    for strategy, rate in state.rates.items():
        kept = sum(count for _, count in rate.acts)
        if kept > (rate.per_minute or 0) or kept != rate.total:
            found.append(f"{strategy}: {kept} attempts are kept, {rate.total} counted, the cap is {rate.per_minute}")
    if len(state.warned) > CAPS_OF_A_STRATEGY * len(state.rates) + 1:
        found.append(f"{len(state.warned)} warnings stand for {len(state.rates)} strategies")
    return found


def _opens(view: StrategyRiskState, direction: Direction) -> Decimal:
    opens = [order for order in view.book if order.direction is direction and not order.reduce_only]
    return sum((order.open_qty * order.price for order in opens), ZERO)


def _value(view: StrategyRiskState) -> Decimal:
    """USDT of both legs at the last price, else at their entries, and of resting opens."""
    return sum(
        (
            leg.size * (view.last_price or leg.entry_price or ZERO) + _opens(view, direction)
            for direction, leg in view.legs.items()
        ),
        ZERO,
    )
