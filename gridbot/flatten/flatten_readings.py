"""What was read of the exchange, or is known by its streams, as flattening takes it in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.flatten.flatten_legs import size_seen
from gridbot.flatten.flatten_state import FlattenState, LegToClose, Market, Stage
from gridbot.flatten.flatten_words import Effect, Known, LegName, LegsListed, MarketRead, OrdersListed

__all__ = [
    "FAILED_S",
    "KNOWN",
    "LEGS",
    "ORDERS",
    "ROUND_S",
    "known",
    "legs_listed",
    "market_read",
    "orders_listed",
    "read_again",
    "rest",
]

ORDERS, LEGS, KNOWN = "orders", "legs", "known"
ROUND_S = 0.25
"""From the end of a round to the next one."""
FAILED_S = 1.0
"""The same after a question that was not answered."""


def orders_listed(state: FlattenState, event: OrdersListed, now_s: float) -> list[Effect]:
    """All open orders of the account."""
    if ORDERS not in state.waiting:
        return []
    state.waiting.discard(ORDERS)
    read_again(state)
    state.resting = tuple(row for row in event.rows if state.wanted.has_to_go(row))
    stay = [row.symbol for row in event.rows if state.wanted.tells_of(row.symbol) and row not in state.resting]
    state.left_orders = {symbol: stay.count(symbol) for symbol in sorted(set(stay))}
    state.under_way = event.under_way
    state.unreadable[ORDERS] = _of_ours(state, event.unreadable)
    is_clear = not (state.resting or event.under_way or state.unreadable[ORDERS])
    state.cleared_s = event.asked_s if is_clear else None
    if is_clear:
        state.stubborn.clear()
    return []


def legs_listed(state: FlattenState, event: LegsListed, now_s: float) -> list[Effect]:
    """All open legs of the account."""
    if LEGS not in state.waiting:
        return []
    state.waiting.discard(LEGS)
    read_again(state)
    state.listed_s = event.asked_s
    state.unreadable[LEGS] = {
        symbol: why for symbol, why in _of_ours(state, event.unreadable).items() if state.wanted.closes_legs_of(symbol)
    }
    state.left_legs = {
        name: size
        for name, size in event.sizes.items()
        if size > 0 and not state.wanted.closes_legs_of(name[0]) and state.wanted.tells_of(name[0])
    }
    _take_legs(state, event.sizes, event.one_way)
    return []


def known(state: FlattenState, event: Known, now_s: float) -> list[Effect]:
    """What the streams say of the legs during a ban."""
    if KNOWN not in state.waiting:
        return []
    state.waiting.discard(KNOWN)
    state.past_ban, state.seems_flat = event.sizes is not None, False
    if event.sizes is None:
        rest(state, now_s + FAILED_S)
    elif event.resting and now_s - state.began_s < state.wanted.terms.clear_s:
        rest(state, now_s + ROUND_S)
    else:
        _take_legs(state, {**{name: leg.size for name, leg in state.legs.items()}, **event.sizes})
        state.markets |= {symbol: Market(*market, now_s) for symbol, market in event.markets.items()}
        state.seems_flat = not state.legs
        state.stage = Stage.MARKETS
    return []


def market_read(state: FlattenState, event: MarketRead, now_s: float) -> list[Effect]:
    """Rules and price of a symbol."""
    state.waiting.discard(event.symbol)
    state.markets[event.symbol] = Market(event.rules, event.price, now_s)
    return []


def _take_legs(state: FlattenState, sizes: Mapping[LegName, Decimal], one_way: tuple[LegName, ...] = ()) -> None:
    wanted = {name: size for name, size in sizes.items() if size > 0 and state.wanted.closes_legs_of(name[0])}
    unreadable = state.unreadable.get(LEGS, {})
    for name in [name for name in state.legs if name not in wanted and name[0] not in unreadable]:
        del state.legs[name]
    for name, size in wanted.items():
        if name not in state.legs:
            state.legs[name] = LegToClose(size, size, one_way=name in one_way)
            state.closed.setdefault(name, size)
        size_seen(state.legs[name], size)


def _of_ours(state: FlattenState, unreadable: Mapping[str, str]) -> dict[str, str]:
    """Of our symbols; a row that does not even name its symbol may be of any of them."""
    found = dict.fromkeys(state.wanted.symbols, unreadable[""]) if "" in unreadable else {}
    return found | {symbol: why for symbol, why in unreadable.items() if symbol and state.wanted.takes(symbol)}


def read_again(state: FlattenState) -> None:
    """The exchange answers questions again."""
    state.read_problem, state.read_refused = None, 0


def rest(state: FlattenState, until_s: float) -> None:
    """No round begins before `until_s`."""
    state.stage, state.next_s = Stage.REST, max(state.next_s, until_s)
