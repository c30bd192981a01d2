"""What the gate answers to an order, in words: with the figures that decide, and what changes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from gridbot.core import Direction
from gridbot.exchange.remedies import with_remedy
from gridbot.orders.breakers import Cause
from gridbot.orders.proposal import Proposal
from gridbot.risk.funds import PROBE_S, margin_needed
from gridbot.risk.gate_checks import STALE_PRICE_S
from gridbot.risk.gate_state import LevelKey
from gridbot.risk.holds import Hold
from gridbot.risk.refusals import Refusal
from gridbot.why.asked_about import Reason, Scene, Weight

__all__ = ["gate_reason", "leg_value", "money"]

MINUTE_S = 60.0
HELD, PASSING, NORMAL = Weight.HELD, Weight.PASSING, Weight.NORMAL

Words = Callable[[Scene, Proposal, float], Reason]


def gate_reason(scene: Scene, proposal: Proposal, refusal: Refusal, now_s: float) -> Reason:
    """Why the gate refuses `proposal` at `now_s`."""
    return _WORDS[refusal](scene, proposal, now_s)


def money(value: Decimal) -> str:
    """USDT with two decimals."""
    return f"{value:,.2f} USDT"


# ---------------------------------------------------------------------- what holds


def _stopping(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason("the worker is stopping: nothing is placed any more", HELD)


def _not_ready(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(f"not ready: {scene.view.holds.reason(Hold.NOT_READY)}; it begins by itself", PASSING)


def _loss_limit(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(scene.gate.holds.reason(Hold.SESSION_LOSS), HELD, lifted_by=scene.command(f"resume {scene.account}"))


def _latched(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    account = scene.gate.holds.reason(Hold.LATCHED)
    text = account or scene.view.holds.reason(Hold.LATCHED)
    lifted_by = scene.command(f"resume {scene.account}") if account else scene.resume
    return Reason(f"latched: {text}", HELD, lifted_by=lifted_by)


def _reducing(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(f"closes only: {scene.view.holds.reason(Hold.REDUCING)}", HELD, lifted_by=scene.resume)


def _halted(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(f"halted: {scene.view.holds.reason(Hold.HALTED)}", HELD, lifted_by=scene.resume)


def _paused(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(f"paused: {scene.view.holds.reason(Hold.PAUSED)}", HELD, lifted_by=scene.resume)


def _capped(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    brake = scene.gate.brake
    return Reason(brake.reason, HELD, lifted_by="" if brake.passes else scene.command(f"resume {scene.account}"))


def _auth(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    left_s = max(0.0, (scene.gate.auth.until_s or now_s) - now_s)
    return Reason(scene.gate.auth.why(now_s), HELD, left_s, scene.command(f"restart {scene.account}"))


def _stale(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    if scene.view.price_s is None:
        return Reason("no price of the symbol has come yet", PASSING)
    age_s = now_s - scene.view.price_s
    return Reason(
        f"the newest price is {age_s:.0f} s old: after {STALE_PRICE_S:.0f} s nothing is placed until one comes", HELD
    )


def _not_trading(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(scene.view.symbol_watch.state.text or "the symbol takes no orders now", HELD)


def _reduce_only(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    if scene.view.legs[proposal.direction].reduce_only:
        text = f"the exchange lets the {proposal.direction} only be reduced: lower the leverage or the position"
        return Reason(f"{text}, and confirm the new margin rate on Bybit", HELD)
    return Reason(scene.view.symbol_watch.state.text or "the symbol may only be reduced", HELD)


# ---------------------------------------------------------------------- the level


def _level_taken(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason("an order of ours has this level and leg until it is over", PASSING)


def _band(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    circuit = scene.gate.breaker.circuits.get(_key(scene, proposal))
    if circuit is not None and circuit.cause is Cause.MOVED and circuit.open_until is not None:
        text = "outside the exchange's price band: it has moved the orders of this level to other prices"
        return Reason(f"{text}; narrow the grid if that should not be", HELD, max(0.0, circuit.open_until - now_s))
    text = "outside the exchange's price band: it would move the order; placed when the price is nearer"
    return Reason(text, NORMAL)


def _breaker(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    until_s = scene.gate.breaker.open_until(now_s).get(_key(scene, proposal), now_s)
    said = scene.spoken.get((proposal.direction, proposal.ticks))
    why = with_remedy(said.error) if said is not None else "the alerts say what it answered"
    threshold = scene.gate.breaker.threshold
    return Reason(f"the exchange refused this level {threshold} times in a minute: {why}", HELD, until_s - now_s)


# ---------------------------------------------------------------------- the quantity


def _too_small(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    rules = scene.view.book.instrument
    text = "its quantity comes to 0"
    least = f"the least is {rules.min_order_qty} a piece and {rules.min_notional:f} USDT an order"
    if scene.gate.funds.wallet_balance <= 0:
        return Reason(f"{text}: the wallet has no USDT, or its balance is not known", HELD, lifted_by="add funds")
    return Reason(f"{text}: {least}", HELD, lifted_by="amount in the configuration")


def _not_covered(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    leg, resting = scene.view.legs[proposal.direction], scene.view.book.resting_close_qty(proposal.direction)
    if not leg.size:
        return Reason(f"nothing to close: there is no {proposal.direction} position", NORMAL)
    return Reason(
        f"nothing left to close: {resting:f} of the {proposal.direction} {leg.size:f} rest to be closed", NORMAL
    )


def _unsure(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    text = (
        f"the exchange contradicted the size of the {proposal.direction} (110017): closes wait until it is read again"
    )
    return Reason(text, PASSING)


# ---------------------------------------------------------------------- caps and money


def _max_open_orders(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    text = f"max_open_orders: {len(scene.view.book)} of {scene.view.caps.max_open_orders} are open"
    return Reason(text, HELD, lifted_by="caps.max_open_orders in the configuration")


def _per_minute(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    rate = scene.gate.rates[scene.view.strat_id]
    next_s = max(0.0, rate.acts[0][0] + MINUTE_S - now_s) if rate.acts else None
    text = f"max_orders_per_minute: {rate.used(now_s)} of {rate.per_minute} in the last minute"
    return Reason(text, HELD, next_s, "caps.max_orders_per_minute in the configuration")


def _max_notional(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    caps = scene.view.caps.max_notional
    limit = caps.resolve(scene.gate.funds.wallet_balance) if caps is not None else Decimal(0)
    used = f"{money(scene.view.notional())} of {money(limit)} are used"
    text = f"max_notional: {used}, this order is {money(proposal.notional)}"
    return Reason(text, HELD, lifted_by="caps.max_notional in the configuration")


def _account_max_notional(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    cap = scene.others.max_notional
    limit = cap.resolve(scene.gate.funds.wallet_balance) if cap is not None else Decimal(0)
    used = sum((each.notional() for each in scene.others.strategies.values()), Decimal(0))
    text = f"the account's max_notional: {money(used)} of {money(limit)} are used"
    text += f", this order is {money(proposal.notional)}"
    return Reason(text, HELD, lifted_by="max_notional of the account in the configuration")


def _fleet_max_notional(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    used = sum((each.notional() for each in scene.others.strategies.values()), Decimal(0))
    share = scene.gate.share or Decimal(0)
    text = f"max_notional of fleet or group: the account's share is {money(share)}, {money(used)} are used"
    text += f", this order is {money(proposal.notional)}; more is asked for four times a second"
    return Reason(text, HELD, lifted_by="fleet.caps.max_notional, or that of its group, in the configuration")


def _max_margin(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    wallet, most = scene.gate.funds.wallet_balance, scene.view.caps.max_margin
    if wallet <= 0:
        return Reason("max_margin: the wallet has no USDT, or its balance is not known", HELD, lifted_by="add funds")
    used = leg_value(scene, proposal.direction) / wallet
    text = f"max_margin: the {proposal.direction} is worth {used:.2f} of at most {most} wallets with what rests"
    return Reason(text, HELD, lifted_by="max_margin in the configuration")


def _funds(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    funds = scene.gate.funds
    need = margin_needed(proposal.direction, proposal.notional, scene.view.legs[proposal.direction].leverage)
    available = funds.fresh(now_s)
    if available is None:
        left_s = 0.0 if funds.probe_s is None else max(0.0, funds.probe_s + PROBE_S - now_s)
        return Reason(f"what is available is not known: one order in {PROBE_S:.0f} s is let through", HELD, left_s)
    promised = f", {money(funds.promised)} of it promised to orders" if funds.promised else ""
    text = f"not enough balance: it needs {money(need)}, {money(max(Decimal(0), available))} are available{promised}"
    return Reason(text, HELD, lifted_by="add funds, or lower amount or grid_count")


def _no_number(scene: Scene, proposal: Proposal, now_s: float) -> Reason:
    return Reason(
        "no number for an order can be reserved: the disk does not take generation.json", HELD, None, "make room"
    )


def leg_value(scene: Scene, direction: Direction) -> Decimal:
    """USDT of a leg at its entry, and of what rests to open it: what `max_margin` compares."""
    view = scene.view
    leg = view.legs[direction]
    return view.book.opening_notional(direction) + leg.size * (leg.entry_price or view.last_price or Decimal(0))


def _key(scene: Scene, proposal: Proposal) -> LevelKey:
    return scene.view.strat_id, proposal.direction, proposal.side, proposal.ticks


_WORDS: Mapping[Refusal, Words] = {
    Refusal.STOPPING: _stopping,
    Refusal.NOT_READY: _not_ready,
    Refusal.LOSS_LIMIT: _loss_limit,
    Refusal.LATCHED: _latched,
    Refusal.REDUCING: _reducing,
    Refusal.HALTED: _halted,
    Refusal.PAUSED: _paused,
    Refusal.AUTH_COOLDOWN: _auth,
    Refusal.STALE_PRICE: _stale,
    Refusal.CAP_LATCH: _capped,
    Refusal.ONLY_REDUCES: _capped,
    Refusal.NOT_TRADING: _not_trading,
    Refusal.REDUCE_ONLY: _reduce_only,
    Refusal.LEVEL_TAKEN: _level_taken,
    Refusal.PRICE_BAND: _band,
    Refusal.BREAKER_OPEN: _breaker,
    Refusal.TOO_SMALL: _too_small,
    Refusal.NOT_COVERED: _not_covered,
    Refusal.POSITION_UNSURE: _unsure,
    Refusal.MAX_OPEN_ORDERS: _max_open_orders,
    Refusal.MAX_ORDERS_PER_MINUTE: _per_minute,
    Refusal.MAX_NOTIONAL: _max_notional,
    Refusal.ACCOUNT_MAX_NOTIONAL: _account_max_notional,
    Refusal.FLEET_MAX_NOTIONAL: _fleet_max_notional,
    Refusal.MAX_MARGIN: _max_margin,
    Refusal.FUNDS: _funds,
    Refusal.NO_NUMBER: _no_number,
}
"""Words for each refusal there is (a test compares)."""
