"""What came of flattening, in words: what was closed and cancelled, what remains and why. Pure."""

from __future__ import annotations

from decimal import Decimal

from gridbot.flatten.flatten_state import FlattenState, LegToClose
from gridbot.flatten.flatten_words import LegName, Problem

__all__ = ["left_alone", "remains", "report"]

NOT_READ = "not read yet"


def report(state: FlattenState, now_s: float) -> str:
    """One line for the operator: `flat: closed ...` or `NOT flat: ... is still open (why)`."""
    left = remains(state, now_s)
    done = []
    if state.wanted.closes:
        closed = [name for name in state.closed if name not in state.legs]
        done.append(f"closed {_legs(state.closed, closed)}" if closed else "no leg was closed")
    done.append(f"{state.withdrawn + len(state.cancelled)} orders cancelled")
    seconds = f"in {max(0.0, now_s - state.began_s):.1f} s"
    word = "flat" if state.wanted.closes else _cancelled(state)
    stays = left_alone(state)
    if not left:
        return f"{word}, confirmed by REST: {', '.join(done)} {seconds}{stays}"
    return f"NOT {word}: {'; '.join(left)}; {', '.join(done)} {seconds}{stays}"


def left_alone(state: FlattenState) -> str:
    """What stays on symbols that are not named, as the end of a report; empty when nothing does."""
    there = [_legs(state.left_legs, [name]) for name in sorted(state.left_legs)]
    there += [f"{count} order{'' if count == 1 else 's'} of {symbol}" for symbol, count in state.left_orders.items()]
    if not there:
        return ""
    return f"; LEFT ALONE, as no strategy of this account trades it: {', '.join(there)} (--foreign takes it, too)"


def remains(state: FlattenState, now_s: float) -> list[str]:
    """What is not as it should be by now, each with the reason; empty when REST has confirmed that all is done."""
    found = []
    if state.cleared_s is None and not state.unreadable.get("orders"):
        found.append(_orders(state))
    if state.wanted.closes and state.listed_s is None:
        found.append(f"the legs are {NOT_READ}")
    found += [f"{leg.size} {name[1]} of {name[0]} is open ({_why(leg)})" for name, leg in sorted(state.legs.items())]
    found += [
        f"{symbol}: a row of the listed {what} cannot be read ({why})"
        for what, rows in state.unreadable.items()
        for symbol, why in rows.items()
    ]
    if found and state.silent_until_s > now_s:
        seems = "; by the streams all legs are closed, which REST confirms then" if state.seems_flat else ""
        found.append(f"the exchange bans this address for {state.silent_until_s - now_s:.0f} s more{seems}")
    elif found and state.read_problem is not None:
        found.append(f"reading the exchange failed: {state.read_problem.text}")
    return found


def _cancelled(state: FlattenState) -> str:
    return "nothing that opens rests" if state.wanted.terms.opens_only else "nothing rests"


def _orders(state: FlattenState) -> str:
    if not state.resting:
        late = f"{state.under_way} requests may still land" if state.under_way else NOT_READ
        return f"whether orders rest is not known ({late})"
    reasons = {problem.text for _, problem in state.stubborn.values()}
    why = "; ".join(sorted(reasons)) or "their end is not confirmed"
    symbols = ", ".join(sorted({row.symbol for row in state.resting}))
    return f"{len(state.resting)} orders of {symbols} rest ({why})"


def _why(leg: LegToClose) -> str:
    if leg.problem is not None:
        dust = "less than the exchange takes as an order; " if leg.by_whole else ""
        return dust + _text(leg.problem)
    if leg.idle > 1:
        return f"{leg.idle} closes were accepted and none has executed: nobody takes the other side"
    return "its close is not sent yet" if leg.since_s is None else "its close is under way"


def _text(problem: Problem) -> str:
    return f"refused: {problem.text}"


def _legs(sizes: dict[LegName, Decimal], names: list[LegName]) -> str:
    return ", ".join(f"{sizes[name]} {name[1]} of {name[0]}" for name in sorted(names))
