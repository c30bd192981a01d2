"""The named invariants of the product's own rooms, around every step that a run makes of them.

order-rules       `orders/order_invariants`: the effects of each step, and the books in `of_moment`
reconcile-rules   `orders/reconcile_invariants`: each step, with the state before and after
leg-is-newest     a leg of the exchange's is never replaced by an older row of it
gate-rules        `risk/gate_invariants`: each order that the gate admits
bounded           `risk/gate_invariants`: what the gate remembers, after each refusal of the exchange
flatten-rules     `flatten/flatten_invariants`: each step
queue-rules       `execution/queue_invariants`, in `of_moment`

`checked` patches the places that call the steps; `of_moment` looks at a worker between two turns of its loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from gridbot.core import PositionEvent
from gridbot.core.exchange_sequence import is_outdated
from gridbot.execution.queue_invariants import lanes_bounded, nothing_forgotten, slots_add_up
from gridbot.flatten import flatten_drive
from gridbot.flatten.flatten_invariants import of_effects
from gridbot.flatten.flatten_state import FlattenState
from gridbot.orders import reconcile_invariants as reconciling
from gridbot.orders.life_effects import Effect
from gridbot.orders.order_invariants import never_sent_after_withdrawal, violations
from gridbot.orders.reconcile_state import Now, ReconcileState, View
from gridbot.orders.reconcile_words import Asked, Failed, Finished, LegsWanted
from gridbot.risk import gate as gate_module
from gridbot.risk.gate_invariants import close_is_covered, memory_is_bounded, money_is_there, nothing_passes_a_hold
from gridbot.risk.gate_state import GateState, Refused, Verdict
from gridbot.risk.refusals import Producer
from gridbot.worker import order_steps, reconciler
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.strategy_positions import StrategyPositions

__all__ = ["checked", "of_moment"]

Find = Callable[[str, str], None]
MAX_IN_FLIGHT = 4
"""Requests that an executor has under way at a time, as the assembly makes it."""


@contextlib.contextmanager
def checked(find: Find) -> Iterator[None]:
    """Check every step meanwhile; `find` is told the invariant and what is wrong."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(order_steps, "step", _order_step(find, vars(order_steps)["step"])))
        stack.enter_context(patch.object(reconciler, "step", _reconcile_step(find, vars(reconciler)["step"])))
        stack.enter_context(patch.object(flatten_drive, "step", _flatten_step(find, vars(flatten_drive)["step"])))
        stack.enter_context(patch.object(gate_module, "admit", _admit(find, vars(gate_module)["admit"])))
        stack.enter_context(patch.object(RefreshRequests, "reconcile", _post(find, RefreshRequests.reconcile)))
        stack.enter_context(patch.object(StrategyPositions, "update", _update(find, StrategyPositions.update)))
        stack.enter_context(patch.object(gate_module, "step", _gate_step(find, vars(gate_module)["step"])))
        yield


def of_moment(orchestrator: Orchestrator) -> list[tuple[str, str]]:
    """(invariant, what is wrong) of the books of the live strategies and of the executor's queue."""
    context, executor = orchestrator.context, orchestrator.context.executor
    waiting = context.retry.items()
    found = [
        ("order-rules", f"{runner.strat_id}: {text}")
        for runner in orchestrator.live.values()
        for text in violations(runner.book, waiting)
    ]
    lanes = {lane.kind: [order.key for order in lane.waiting] for lane in executor.queue.lanes}
    slots = slots_add_up(executor.queue.free, executor.under_way, MAX_IN_FLIGHT)
    waits = sum(lane.wanted for lane in executor.queue.lanes)
    forgotten = nothing_forgotten(waits, executor.under_way, int(executor.asks_again))
    return found + [("queue-rules", text) for text in (slots, lanes_bounded(lanes), forgotten) if text]


def _order_step(find: Find, step: Callable[..., list[Effect]]) -> Callable[..., list[Effect]]:
    def checked_step(*given: Any) -> list[Effect]:
        effects = step(*given)
        for text in never_sent_after_withdrawal(effects):
            find("order-rules", text)
        return effects

    return checked_step


def _flatten_step(find: Find, step: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def checked_step(state: FlattenState, event: Any, now_s: float) -> list[Any]:
        effects = step(state, event, now_s)
        for text in of_effects(state, effects, now_s):
            find("flatten-rules", text)
        return effects

    return checked_step


def _reconcile_step(find: Find, step: Callable[..., Any]) -> Callable[..., Any]:
    asked_s: dict[int, float] = {}
    """When each pass was asked for that is not answered yet, by ticket; those of a life that is over are given anew."""

    def checked_step(state: ReconcileState, event: Any, now: Now, view: View) -> Any:
        after, effects = step(state, event, now, view)
        if type(event) is Asked:
            asked_s[event.ticket] = now.mono_s
        elif type(event) is LegsWanted:
            asked_s.pop(event.ticket, None)
        late = reconciling.answered_by_a_later_pass(state, effects, asked_s)
        for text in (*reconciling.of_step(state, effects, after, view, now), *late):
            find("reconcile-rules", f"{type(event).__name__}: {text}")
        for effect in effects:
            if isinstance(effect, Finished | Failed):
                for ticket in effect.tickets:
                    asked_s.pop(ticket, None)
        return after, effects

    return checked_step


def _post(find: Find, post: Callable[..., None]) -> Callable[..., None]:
    def checked_post(requests: RefreshRequests, reason: str, *, since_ms: int | None = None) -> None:
        post(requests, reason, since_ms=since_ms)
        if not requests.wishes.reconcile or (since_ms is not None and not requests.has_gap):
            find("reconcile-rules", f"a pass that is asked for will not begin: {reason}")

    return checked_post


def _update(find: Find, update: Callable[..., None]) -> Callable[..., None]:
    def checked_update(legs: StrategyPositions, position: PositionEvent, source: str) -> None:
        before = legs._latest.get(position.direction)
        update(legs, position, source)
        after = legs._latest.get(position.direction)
        if source == "shadow" or before is None or after is None:
            return
        if is_outdated(after, before):
            find("leg-is-newest", f"{after.symbol} {after.direction}: {after.size} ({source}) was {before.size} before")
        if after is before and source == "rest" and before.seq and position.seq > before.seq:
            text = f"{before.size} stays, although {position.size} has the later number"
            find("leg-is-newest", f"{after.symbol} {after.direction}: {text}")

    return checked_update


def _admit(find: Find, admit: Callable[..., Verdict]) -> Callable[..., Verdict]:
    def checked_admit(
        state: GateState, account: Any, view: Any, proposal: Any, now_s: float, producer: Producer = Producer.STRATEGY
    ) -> Verdict:
        verdict = admit(state, account, view, proposal, now_s, producer)
        if verdict.refusal is None:
            for text in (
                *nothing_passes_a_hold(state, view, verdict, now_s, producer, opens=not proposal.reduce_only),
                *close_is_covered(view, proposal, verdict, producer),
                *money_is_there(state, verdict, now_s),
            ):
                find("gate-rules", text)
        return verdict

    return checked_admit


def _gate_step(find: Find, step: Callable[..., Any]) -> Callable[..., Any]:
    def checked_step(state: GateState, event: Any, now_s: float, now_ms: int) -> Any:
        after, effects = step(state, event, now_s, now_ms)
        if type(event) is Refused:
            for text in memory_is_bounded(after, now_s):
                find("bounded", text)
        return after, effects

    return checked_step
