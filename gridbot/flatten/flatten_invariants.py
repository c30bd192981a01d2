"""What must hold of flattening, whatever happens: named functions for tests and simulations. Pure.

Each returns the violations as plain sentences, so an empty list is what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from gridbot.flatten.flatten_report import remains
from gridbot.flatten.flatten_state import FlattenState, Stage
from gridbot.flatten.flatten_words import Cancel, Close, Effect, Finished, LegName

__all__ = ["of_effects"]

ZERO = Decimal(0)
LATCH_SLACK_S = 1e-9


def of_effects(state: FlattenState, effects: Iterable[Effect], now_s: float) -> list[str]:
    """What a step has decided, given the state it left: it only reduces, only what is wanted, and only ends for good.

    `state` is as it is after the step.
    """
    listed = list(effects)
    found = [*_of_closes(state, [one for one in listed if isinstance(one, Close)], now_s)]
    for cancel in listed:
        if isinstance(cancel, Cancel):
            found += [
                f"{row} was cancelled, and nobody wanted that" for row in cancel.rows if not state.wanted.has_to_go(row)
            ]
            if now_s < state.silent_until_s:
                found.append("a cancel left during a ban")
    for end in listed:
        if isinstance(end, Finished):
            if state.stage is not Stage.DONE or end is not listed[-1]:
                found.append("it went on after its end")
            if end.clean and (state.legs or state.resting or state.sent or remains(state, now_s)):
                found.append(f"it ended clean, and there is {remains(state, now_s)}")
            if end.clean and state.wanted.closes and (state.listed_s or 0) < (state.cleared_s or 0):
                found.append("it ended clean by a listing of legs older than that of orders")
    return found


def _of_closes(state: FlattenState, closes: list[Close], now_s: float) -> list[str]:
    terms, found = state.wanted.terms, []
    if closes and not state.latch_saved and now_s - state.began_s < terms.latch_wait_s - LATCH_SLACK_S:
        found.append("a close left before the latch")
    if closes and now_s < state.silent_until_s and not state.past_ban:
        found.append("a close left during a ban")
    total: dict[LegName, Decimal] = {}
    for close in closes:
        name = (close.symbol, close.direction)
        leg, market = state.legs.get(name), state.markets.get(close.symbol)
        total[name] = total.get(name, ZERO) + close.qty
        if leg is None or not state.wanted.closes_legs_of(close.symbol):
            found.append(f"{close} closes what is not to be closed")
            continue
        if total[name] > leg.size:
            found.append(f"{name}: {total[name]} are closed together, and it has {leg.size}")
        if not close.qty:
            continue
        if market is None:
            found.append(f"{close} names a quantity, and its rules are not known")
            continue
        rules = market.rules
        most = rules.max_order_qty if close.price is not None else rules.max_market_qty or rules.max_order_qty
        if close.qty % rules.qty_step or not rules.min_order_qty <= close.qty <= max(most, rules.min_order_qty):
            found.append(f"{close} is no quantity that the exchange takes")
        if close.price is not None and market.price is not None:
            if abs(close.price - market.price) > market.price * terms.band:
                found.append(f"{close} is outside the band around {market.price}")
            if close.price % rules.tick_size:
                found.append(f"{close} is at no whole tick")
    earlier = {(one.symbol, one.direction) for one in state.sent.values() if one not in closes}
    found += [f"{name}: a close left while another was not answered" for name in total.keys() & earlier]
    return found
