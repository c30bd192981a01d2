"""What stands of an account that an operator has to know: the incidents that end when their state does.

Looked at once a second and after each command (`AccountRecords`). Most are told at once by whoever sets the state; here
they are seen to begin when nobody did (after a restart), and to end.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridbot.exchange.bans import Ban
from gridbot.exchange.order_entry import HTTP_ONLY, INCIDENT_S, EntryHealth
from gridbot.incidents import Name, Standing
from gridbot.risk.gate import Gate
from gridbot.risk.gate_checks import STALE_PRICE_S
from gridbot.risk.holds import Hold, Holds, Who
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.risk.symbol_state import Allows
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies

__all__ = ["CURE", "standing"]

CURE = "lower the leverage or the position, and confirm the new margin rate on Bybit"


def standing(
    gates: Iterable[Gate],
    strategies: Iterable[StrategyRiskState],
    *,
    passage: PassageWatch,
    ban: Ban | None,
    has_numbers: bool,
    now_s: float,
    refused: RefusedStrategies = NOBODY,
    order_entry: EntryHealth = HTTP_ONLY,
) -> dict[Name, Standing]:
    """Everything that stands at `now_s` (monotonic).

    `gates` are the account's and those of shadow strategies; `refused` are strategies that could not start. A
    standstill is not here: it is what none of these tells (`AccountRecords`).
    """
    found: dict[Name, Standing] = {}
    for gate in gates:
        found |= _of_gate(gate, now_s)
    if ban is not None and ban.is_on(now_s):
        found[Name("ip_ban")] = Standing("warning", str(ban))
    if order_entry.problem and order_entry.down_s >= INCIDENT_S:
        found[Name("order_entry")] = Standing("warning", order_entry.problem)
    if not has_numbers:
        text = "no number for a new order can be reserved: the disk does not take generation.json; make room there"
        found[Name("no_order_number")] = Standing("error", text)
    for one in refused:
        found[Name(one.key, one.strat_id)] = Standing("warning" if one.waits else "error", str(one))
        found |= _taken(one.symbol, one.strat_id, refused.holds(one.strat_id))
    for state in strategies:
        found |= _of_strategy(state, passage, now_s)
    return found


def _of_gate(gate: Gate, now_s: float) -> dict[Name, Standing]:
    found = {Name(f"cap.{key}"): Standing("warning", f"{key}: more than 80 % used") for key in gate.state.warned}
    if gate.latched:
        found[Name("latched")] = Standing("error", gate.latched)
    if gate.loss_latched:
        found[Name("session_loss_limit")] = Standing("error", gate.loss_latched)
    if why := gate.auth.why(now_s):
        found[Name("auth")] = Standing("error", why)
    return found


def _of_strategy(state: StrategyRiskState, passage: PassageWatch, now_s: float) -> dict[Name, Standing]:
    found = {}
    symbol = state.symbol_watch.state
    if symbol.text:
        level = "warning" if symbol.allows is Allows.ALL else "error"
        found[Name(f"listing.{state.symbol}", state.strat_id)] = Standing(level, symbol.text, symbol.word)
    cut = [str(direction) for direction, leg in state.legs.items() if leg.reduce_only]
    if cut:
        text = f"{state.symbol}: the exchange lets the {' and the '.join(cut)} only be reduced: {CURE}"
        found[Name(f"reduce_only.{state.symbol}", state.strat_id)] = Standing("error", text)
    may_trade = symbol.allows is not Allows.NOTHING
    if may_trade and state.price_s is not None and now_s - state.price_s > STALE_PRICE_S:
        text = f"{state.symbol}: no price for {STALE_PRICE_S:.0f} s; nothing is placed until one comes"
        found[Name(f"stale_price.{state.symbol}", state.strat_id)] = Standing("warning", text)
    blocked, terms = passage.blocked(state.book, state.strat_id), passage.terms.get(state.symbol)
    if blocked:
        found[Name(f"refused.{state.symbol}", state.strat_id)] = Standing(
            "error", blocked, passage.cause(state.book, state.strat_id)
        )
    elif terms:
        found[Name(f"terms.{state.symbol}", state.strat_id)] = Standing("warning", terms)
    if state.halted:
        text = f"{state.strat_id} is halted: {state.halted}"
        found[Name(f"halt.{state.symbol}", state.strat_id)] = Standing("error", text)
    return found | _taken(state.symbol, state.strat_id, state.holds)


def _taken(symbol: str, strat_id: str, holds: Holds) -> dict[Name, Standing]:
    """What the exchange did to a leg, for which the strategy is paused."""
    paused = holds.held.get(Hold.PAUSED)
    if paused is None or paused.who is Who.OPERATOR:
        return {}
    text = f"{symbol}: {paused.reason}; the strategy is paused"
    return {Name(f"reduced.{symbol}", strat_id): Standing("error", text)}
