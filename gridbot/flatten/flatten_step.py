"""Flattening as one step function: (state, event, time) -> effects. Pure.

::

    IDLE ──Begun──► LATCH ──LatchSaved, or 200 ms──► round ──► round ──► ... ──► DONE

    a round   ORDERS ─► CANCELS ─► LEGS ─► MARKETS ─► CLOSES ─► REST ─► the next one
              read      what       read    rules and  all legs
              by REST   rests      by REST prices     at once

A round reads everything afresh, so nothing that it decides depends on what became of an earlier request: a lost answer,
a late order, a death in the middle cost a round. Closes reduce only, name their leg and end at once, so whatever
arrives twice or late cannot open anything. It ends clean when a listing of orders and one of legs, both asked for after
every answer, show nothing; it gives up when what is left was refused again and again, or after `give_up_s`.

* Orders that do not go keep the closes waiting for `clear_s`, no longer: the legs are what costs money.
* Each leg has its own tries, waits and problems; one that is refused never keeps another waiting.
* During a ban nothing goes by HTTP. Where requests have another way (the trade socket), legs are closed by what the
  streams say of them; it ends clean only when REST has confirmed it, after the ban.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.exchange.failures import ErrorKind
from gridbot.flatten.flatten_legs import STUCK_AT, answered, pieces, refuses
from gridbot.flatten.flatten_readings import (
    FAILED_S,
    KNOWN,
    LEGS,
    ORDERS,
    ROUND_S,
    known,
    legs_listed,
    market_read,
    orders_listed,
    rest,
)
from gridbot.flatten.flatten_report import remains, report
from gridbot.flatten.flatten_state import FlattenState, Stage
from gridbot.flatten.flatten_words import (
    AskKnown,
    AskLegs,
    AskMarket,
    AskOrders,
    Begun,
    Cancel,
    CancelAnswered,
    Close,
    CloseAnswered,
    Effect,
    Event,
    Finished,
    KeepLatch,
    Known,
    LatchSaved,
    LegsListed,
    MarketRead,
    OrdersListed,
    Problem,
    ReadFailed,
    Time,
    Told,
    Warn,
    WithdrawKnown,
    Withdrawn,
)

__all__ = ["next_look_s", "step"]

FRESH_S = 0.5
"""A price of that age is read again before a limit is made of it."""


def step(state: FlattenState, event: Event, now_s: float) -> list[Effect]:
    """Apply an event, then the time. Nothing is done before `Begun` and after `Finished`."""
    if state.stage is Stage.DONE or (state.stage is Stage.IDLE and not isinstance(event, Begun)):
        return []
    effects = _ON[type(event)](state, event, now_s)
    return [*effects, *_go_on(state, now_s)]


def next_look_s(state: FlattenState, now_s: float) -> float:
    """Seconds until `Time` changes something, if nothing else happens before."""
    if state.stage is Stage.LATCH:
        return max(0.0, state.began_s + state.wanted.terms.latch_wait_s - now_s)
    terms = state.wanted.terms
    due_s = [state.began_s + terms.give_up_s]
    if not state.told:
        due_s.append(state.began_s + terms.told_after_s)
    if state.stage is Stage.REST:
        due_s.append(state.next_s if state.wanted.closes else max(state.next_s, state.silent_until_s))
    return max(0.0, min(due_s) - now_s)


# ---------------------------------------------------------------------- events


def _begun(state: FlattenState, event: Begun, now_s: float) -> list[Effect]:
    if state.stage is not Stage.IDLE:
        return []
    state.stage, state.began_s = Stage.LATCH, now_s
    return [KeepLatch()]


def _latch_saved(state: FlattenState, event: LatchSaved, now_s: float) -> list[Effect]:
    state.latch_saved = True
    return []


def _withdrawn(state: FlattenState, event: Withdrawn, now_s: float) -> list[Effect]:
    state.withdrawn += event.count
    return []


def _read_failed(state: FlattenState, event: ReadFailed, now_s: float) -> list[Effect]:
    if event.what not in state.waiting:
        return []
    state.waiting.discard(event.what)
    _heed(state, event.problem)
    if event.what in (ORDERS, LEGS):
        state.read_problem = event.problem
        state.read_refused = state.read_refused + 1 if refuses(event.problem) else 0
        rest(state, now_s + FAILED_S)
    else:
        for name, leg in state.legs.items():
            if name[0] == event.what:
                leg.problem = event.problem
    return []


def _cancel_answered(state: FlattenState, event: CancelAnswered, now_s: float) -> list[Effect]:
    if event.order_id not in state.waiting:
        return []
    state.waiting.discard(event.order_id)
    problem = event.problem
    if problem is None:
        state.cancelled.add(event.order_id)
        return []
    _heed(state, problem)
    if problem.kind is not ErrorKind.NOT_FOUND:  # it is over already, as the next listing shows
        before = state.stubborn.get(event.order_id, (0, problem))[0]
        state.stubborn[event.order_id] = (before + 1 if refuses(problem) else before, problem)
    return []


def _close_answered(state: FlattenState, event: CloseAnswered, now_s: float) -> list[Effect]:
    key = str(event.number)
    close = state.sent.pop(key, None)
    if close is None:
        return []
    state.waiting.discard(key)
    leg = state.legs.get((close.symbol, close.direction))
    if event.problem is not None:
        _heed(state, event.problem)
    if leg is not None:
        answered(leg, close, event.problem, now_s)
    return []


def _time(state: FlattenState, event: Time, now_s: float) -> list[Effect]:
    return []


_ON: dict[type[Any], Callable[[FlattenState, Any, float], list[Effect]]] = {
    Begun: _begun,
    LatchSaved: _latch_saved,
    Withdrawn: _withdrawn,
    OrdersListed: orders_listed,
    LegsListed: legs_listed,
    Known: known,
    MarketRead: market_read,
    ReadFailed: _read_failed,
    CancelAnswered: _cancel_answered,
    CloseAnswered: _close_answered,
    Time: _time,
}


def _heed(state: FlattenState, problem: Problem) -> None:
    """A ban silences everything until its end."""
    if problem.until_s is not None:
        state.silent_until_s = max(state.silent_until_s, problem.until_s)


# ---------------------------------------------------------------------- what follows


def _go_on(state: FlattenState, now_s: float) -> list[Effect]:
    """What is to be done now: the next stage as soon as all of this one is answered."""
    effects: list[Effect] = []
    while state.stage is not Stage.DONE:
        if state.stage is Stage.LATCH:
            if not _latch_is_over(state, now_s, effects):
                return effects
        elif state.waiting or (then := _NEXT[state.stage](state, now_s)) is None:
            break
        else:
            effects += then
    return [*effects, *_look_at_the_clock(state, now_s)]


def _latch_is_over(state: FlattenState, now_s: float, effects: list[Effect]) -> bool:
    wait_s = state.wanted.terms.latch_wait_s
    if not state.latch_saved and now_s - state.began_s < wait_s:
        return False
    if not state.latch_saved:
        effects.append(
            Warn(f"the disk has not taken what stops orders within {wait_s * 1000:.0f} ms: going on without")
        )
    if not state.wanted.terms.opens_only:  # a strategy that only reduces has withdrawn what opens by itself
        effects.append(WithdrawKnown())
    state.stage = Stage.REST
    return True


def _begin_round(state: FlattenState, now_s: float) -> list[Effect] | None:
    if state.read_refused >= STUCK_AT:
        return _finish(state, now_s)
    is_banned = now_s < state.silent_until_s
    if now_s < state.next_s or (is_banned and not state.wanted.closes):
        return None
    if is_banned:
        state.stage = Stage.KNOWN
        state.waiting.add(KNOWN)
        return [AskKnown()]
    state.past_ban, state.seems_flat = None, False
    state.stage, state.asked_s = Stage.ORDERS, now_s
    state.waiting.add(ORDERS)
    return [AskOrders()]


def _after_orders(state: FlattenState, now_s: float) -> list[Effect]:
    state.stage = Stage.CANCELS
    if not state.resting:
        return []
    state.waiting |= {row.order_id for row in state.resting}
    return [Cancel(state.resting)]


def _after_cancels(state: FlattenState, now_s: float) -> list[Effect]:
    """On to the legs, when nothing rests or it takes too long."""
    is_clear = state.cleared_s is not None
    if not state.wanted.closes:
        if is_clear:
            return _finish(state, now_s) if _has_settled(state) else _let_settle(state, now_s)
        return _end_round(state, now_s)
    if not is_clear and now_s - state.began_s < state.wanted.terms.clear_s:
        return _end_round(state, now_s)
    state.stage = Stage.LEGS
    if now_s < state.silent_until_s:
        return _end_round(state, now_s)
    state.waiting.add(LEGS)
    return [AskLegs()]


def _after_legs(state: FlattenState, now_s: float) -> list[Effect]:
    if not state.legs and not state.unreadable.get(LEGS):
        if state.cleared_s is not None:
            return _finish(state, now_s) if _has_settled(state) else _let_settle(state, now_s)
        return _end_round(state, now_s)
    state.stage = Stage.MARKETS
    symbols = sorted({name[0] for name, leg in state.legs.items() if leg.next_s <= now_s})
    wanted: list[Effect] = [AskMarket(symbol) for symbol in symbols if not _is_fresh(state, symbol, now_s)]
    state.waiting |= {effect.symbol for effect in wanted if isinstance(effect, AskMarket)}
    return wanted


def _after_markets(state: FlattenState, now_s: float) -> list[Effect]:
    """Close every leg that is due, in as many pieces as it takes."""
    state.stage = Stage.CLOSES
    if now_s < state.silent_until_s and not state.past_ban:
        return []
    effects: list[Effect] = []
    for (symbol, direction), leg in sorted(state.legs.items()):
        if leg.next_s > now_s:
            continue
        market = state.markets.get(symbol)
        for qty, price in pieces(leg, market, state.wanted.terms, direction.close_side, now_s):
            state.last_number += 1
            close = Close(state.last_number, symbol, direction, qty, price, leg.one_way)
            state.sent[str(close.number)] = close
            state.waiting.add(str(close.number))
            effects.append(close)
    state.closes_sent += len(effects)
    return effects


def _end_round(state: FlattenState, now_s: float) -> list[Effect]:
    if _is_hopeless(state):
        return _finish(state, now_s)
    rest(state, now_s + ROUND_S)
    return []


def _let_settle(state: FlattenState, now_s: float) -> list[Effect]:
    """Nothing is left: the next look is the one that counts. A look each round would be 16 requests in 2 s for nothing,
    and the rescues of a whole fleet share one address."""
    rest(state, max(now_s + ROUND_S, state.began_s + state.wanted.terms.settle_s))
    return []


_NEXT: dict[Stage, Callable[[FlattenState, float], list[Effect] | None]] = {
    Stage.REST: _begin_round,
    Stage.ORDERS: _after_orders,
    Stage.CANCELS: _after_cancels,
    Stage.LEGS: _after_legs,
    Stage.MARKETS: _after_markets,
    Stage.CLOSES: _end_round,
}


def _is_fresh(state: FlattenState, symbol: str, now_s: float) -> bool:
    market = state.markets.get(symbol)
    return market is not None and now_s - market.read_s <= FRESH_S


def _has_settled(state: FlattenState) -> bool:
    """Whether what was sent before it began has landed by the time this round's orders were asked for."""
    return state.asked_s - state.began_s >= state.wanted.terms.settle_s


def _is_hopeless(state: FlattenState) -> bool:
    """Whether all that is left was refused again and again: an operator has to look."""
    if state.wanted.closes and state.listed_s is None:
        return False
    legs_stuck = all(leg.refused >= STUCK_AT for leg in state.legs.values())
    orders_stuck = all(state.stubborn.get(row.order_id, (0, None))[0] >= STUCK_AT for row in state.resting)
    something_left = bool(state.legs or state.resting or any(state.unreadable.values()))
    return something_left and legs_stuck and orders_stuck and not state.under_way


def _finish(state: FlattenState, now_s: float) -> list[Effect]:
    state.stage = Stage.DONE
    return [Finished(not remains(state, now_s), report(state, now_s))]


def _look_at_the_clock(state: FlattenState, now_s: float) -> list[Effect]:
    if state.stage is Stage.DONE:
        return []
    terms, passed_s = state.wanted.terms, now_s - state.began_s
    if passed_s >= terms.give_up_s:
        return _finish(state, now_s)
    is_long = passed_s >= terms.told_after_s
    if state.silent_until_s - state.began_s > terms.told_after_s:  # a ban: at once, or when it seems to be done
        is_long |= not state.wanted.closes or state.past_ban is False or state.seems_flat
    if is_long and not state.told:
        state.told = True
        return [Told(f"{report(state, now_s)}; it goes on")]
    return []
