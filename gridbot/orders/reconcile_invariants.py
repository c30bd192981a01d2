"""What is always true of the reconciler. Each function returns plain sentences, one for each violation. Pure.

`of_step` has what every step must hold: it compares the state before with the effects and the state after. `is_covered`
and `equals_listing` need what the exchange knows, `answered_by_a_later_pass` who asked when; unit tests and the
simulator have that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.core.exchange_sequence import is_before
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.orders.ids import parse
from gridbot.orders.order import OrderState
from gridbot.orders.reconcile import owns
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S, known_of
from gridbot.orders.reconcile_state import (
    Now,
    Part,
    Pass,
    Phase,
    ReconcileState,
    View,
    Who,
)
from gridbot.orders.reconcile_words import (
    Adopt,
    Alert,
    ApplyExecution,
    Effect,
    EndUnseen,
    Finding,
    Finished,
    LookedUp,
    RestsUnfollowed,
    Revive,
    Settle,
)

__all__ = [
    "answered_by_a_later_pass",
    "applied_once_in_order",
    "asked_before_given_up",
    "bounded",
    "equals_listing",
    "everything_goes_on",
    "is_covered",
    "nothing_foreign_is_touched",
    "of_step",
    "watermark_never_moves_back",
]


def of_step(
    before: ReconcileState, effects: Sequence[Effect], after: ReconcileState, view: View, now: Now
) -> list[str]:
    """What can be said of one step. `view` as the step saw it: before its effects were carried out."""
    return [
        *applied_once_in_order(effects, view.ledger),
        *nothing_foreign_is_touched(effects, view),
        *asked_before_given_up(before, effects, view),
        *watermark_never_moves_back(before, after),
        *bounded(after, view, now),
    ]


def applied_once_in_order(effects: Sequence[Effect], ledger: Ledger) -> list[str]:
    """Executions are counted once each, and within an answer as the exchange made them."""
    rows = [effect.execution for effect in effects if isinstance(effect, ApplyExecution)]
    ids = [row.exec_id for row in rows if row.exec_id]
    wrong = [
        f"{row.exec_id} is applied and was counted before"
        for row in rows
        if not ledger.is_new(row.exec_id, row.exchange_ts)
    ]
    if len(set(ids)) < len(ids):
        wrong.append(f"an execution is applied twice: {ids}")
    newest: dict[str, ExecutionEvent] = {}
    for row in rows:
        before = newest.get(row.symbol)
        if before is not None and is_before(row, before):
            wrong.append(f"{row.exec_id} is applied after {before.exec_id}, and was made before it")
        newest[row.symbol] = row
    return wrong


def nothing_foreign_is_touched(effects: Sequence[Effect], view: View) -> list[str]:
    """Only orders of ours (by id or record) are adopted; only orders of a book are revived, ended or given up.

    What has ended unseen is in our records, and in no book.
    """
    wrong = []
    for effect in effects:
        match effect:
            case Adopt(row):
                held = view.strategies.get(row.symbol)
                if held is None or not owns(row, held.owner, held.instrument, view.by_record):
                    wrong.append(f"{row.order_id} is adopted and is not ours")
            case Revive(row):
                held = view.strategies.get(row.symbol)
                if held is None or not (held.book.get(row.order_link_id) or held.book.get(row.order_id)):
                    wrong.append(f"{row.order_id} is revived and was never ours")
            case EndUnseen(key):
                told = view.recorded.get(key)
                held = None if told is None else view.strategies.get(told.symbol)
                if told is None or (held is not None and held.book.get(key) is not None):
                    wrong.append(f"{key} has ended unseen, and is {'in a book' if told else 'not in our records'}")
            case RestsUnfollowed(row):
                link = parse(row.order_link_id)
                if link is None or link.account != view.account_tag or row.symbol in view.strategies:
                    wrong.append(f"{row.order_id} is recorded as resting, and is not ours or is followed")
            case LookedUp(symbol, key) | Settle(symbol, key):
                held = view.strategies.get(symbol)
                if held is None or held.book.get(key) is None:
                    wrong.append(f"{key} is ended and is in no book")
    return wrong


def asked_before_given_up(before: ReconcileState, effects: Sequence[Effect], view: View) -> list[str]:
    """No order ends, and no execution is given up, but by the answer to a question about that very order.

    And no order of which something was heard after the question had left.
    """
    wrong = []
    alerts = {effect.key for effect in effects if isinstance(effect, Alert)}
    for effect in effects:
        match effect:
            case LookedUp(symbol, key, finding) if finding is not Finding.STILL_OPEN:
                looking = before.looking.get(key)
                order = view.strategies[symbol].book.get(key)
                if looking is None or looking.due_s is not None:
                    wrong.append(f"{key} is {finding} and was not asked for")
                elif order is not None and looking.known != known_of(order):
                    wrong.append(f"{key} is {finding} although it was heard of since the question")
            case Settle(_, key):
                missing = before.missing.get(key)
                if missing is None or missing.due_s is not None:
                    wrong.append(f"{key} is given up and its executions were not asked for")
                elif f"unsettled.{key}" in alerts and missing.asked_s - missing.since_s <= SETTLE_AFTER_S:
                    wrong.append(f"{key} is given up too early")
    return wrong


def answered_by_a_later_pass(
    before: ReconcileState, effects: Sequence[Effect], asked_s: Mapping[int, float]
) -> list[str]:
    """Whoever asks for a pass, hears of one that began after he asked. `asked_s` are the times by ticket."""
    began_s = before.run.started_s if before.run is not None else 0.0
    return [
        f"a pass asked for at {asked_s[ticket]} is answered by that of {began_s}"
        for effect in effects
        if isinstance(effect, Finished)
        for ticket in effect.tickets
        if began_s < asked_s.get(ticket, 0.0)
    ]


def watermark_never_moves_back(before: ReconcileState, after: ReconcileState) -> list[str]:
    """What is complete stays complete."""
    if after.complete_to_ms >= before.complete_to_ms:
        return []
    return [f"the watermark moved back from {before.complete_to_ms} to {after.complete_to_ms}"]


def bounded(state: ReconcileState, view: View, now: Now) -> list[str]:
    """Nothing is kept of an order that no book has; what waits is due later."""
    wrong = []
    for what, entries in (("looked up", state.looking), ("missing executions", state.missing)):
        for key, entry in entries.items():
            held = view.strategies.get(entry.symbol)
            if held is None or held.book.get(key) is None:
                wrong.append(f"{key} is {what} and is in no book")
            if entry.due_s is not None and entry.due_s <= now.mono_s:
                wrong.append(f"{key} is {what} and was due at {entry.due_s}")
    due_s = state.ends.next_due_s
    if due_s is not None and due_s <= now.mono_s:
        wrong.append(f"an end was to be asked for at {due_s}")
    if state.run is None and state.wish is not None:
        wrong.append("a pass is wished for and none runs")
    return wrong


def everything_goes_on(state: ReconcileState, under_way: Collection[Who]) -> list[str]:
    """Whatever was started has a question under way, or is due: a pass, a look-up, a reading of legs."""
    waits = [Who(Part.ORDER, key, entry.number) for key, entry in state.looking.items() if entry.due_s is None]
    waits += [Who(Part.MISSING, key, entry.number) for key, entry in state.missing.items() if entry.due_s is None]
    waits += [Who(Part.LEGS, str(ticket), legs.number) for ticket, legs in state.legs.items()]
    wrong: list[str] = []
    ends = state.ends.number
    if ends and not any(who.part is Part.END and who.number == ends for who in under_way):
        wrong.append(f"ends wait for an answer to no question ({ends})")
    run = state.run
    if run is not None and (run.phase in (Phase.EXECUTIONS, Phase.LISTING) or _waits_for_wallet(run)):
        waits.append(Who(Part.PASS, "", run.number))
    wrong += [f"{who} waits for an answer to no question" for who in waits if who not in under_way]
    if run is not None and run.phase is Phase.ORDERS:
        asked = {key for key, entry in state.looking.items() if entry.due_s is None}
        wrong += [f"the pass waits for {key}, which is not asked for" for key in sorted(run.waiting - asked)]
    if run is not None and run.legs - set(state.legs):
        wrong.append("the pass waits for legs that nobody reads")
    if run is not None and run.phase is Phase.FIGURES and run.has_wallet and not run.legs:
        wrong.append("the pass has all figures and does not end")
    return wrong


def _waits_for_wallet(run: Pass) -> bool:
    return run.phase is Phase.FIGURES and not run.has_wallet


def is_covered(state: ReconcileState, made: Iterable[ExecutionEvent], ledger: Ledger) -> list[str]:
    """Every execution that is not counted yet is still to be paged: none lies behind the watermark and its overlap, or
    behind where the exchange's clock was set back to.
    """
    begin_ms = state.set_back.begin_ms(state.complete_to_ms) - OVERLAP_MS
    return [
        f"{row.exec_id} at {row.exchange_ts} is not counted, and paging begins at {begin_ms}"
        for row in made
        if row.exchange_ts < begin_ms and ledger.is_new(row.exec_id, row.exchange_ts)
    ]


def equals_listing(view: View, listing: Iterable[OrderUpdateEvent]) -> list[str]:
    """After a pass without change meanwhile, books and exchange have the same orders, with as much executed."""
    wrong = []
    rows = list(listing)
    for symbol, held in view.strategies.items():
        ours = {order.key: order.cum_exec_qty for order in held.book if not order.state.is_final}
        mine = [row for row in rows if row.symbol == symbol]
        theirs = {
            row.order_link_id or row.order_id: row.cum_exec_qty
            for row in mine
            if owns(row, held.owner, held.instrument, view.by_record)
        }
        wrong += [f"{key} rests and is in no book" for key in sorted(theirs.keys() - ours.keys())]
        wrong += [f"{key} is in the book and does not rest" for key in sorted(ours.keys() - theirs.keys())]
        wrong += [
            f"{key} has {ours[key]} executed, the exchange says {theirs[key]}"
            for key in sorted(ours.keys() & theirs.keys())
            if ours[key] != theirs[key]
        ]
        waiting = [order.key for order in held.book if order.state in (OrderState.PENDING, OrderState.UNRESOLVED)]
        wrong += [f"{key} is still unclear" for key in waiting]
    return wrong
