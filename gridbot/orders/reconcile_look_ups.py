"""Single orders that the reconciler asks for by their ids: what is unclear, and what lacks executions. Pure.

::

    wanted ──1 s──► asked ──► row, and its executions are in ──► applied
      ▲              │  ├───► row ahead of them ──► executions paged ──► applied
      │              │  ├───► unknown, acknowledged once ──► executions paged ──► gone
      │              │  ├───► unknown, never acknowledged ──► never arrived: sent again, or given up
      └─ 2, 4 … 30 s ┴──┴───► no answer; or unknown, while news of the order came since we asked

    contradicted (over here, listed there) ──► asked ──► it rests ──► revived
                                                  └────► anything else ──► stays over

A listing, or a look-up, may be older than what a stream has told since. Such an answer is never taken for an end.

The executions of a finished order that are missing here are asked for by the order's id: after 1 s, then doubling as
above. When all that it executed is listed, it is settled. When an answer asked for more than `SETTLE_AFTER_S` after the
end still lacks some, it is settled without them, with an alert. Without an answer it is never settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.orders.order import OrderState, TrackedOrder, is_in_doubt
from gridbot.orders.reconcile import contradicts
from gridbot.orders.reconcile_state import (
    LookingUp,
    Missing,
    Part,
    Who,
)
from gridbot.orders.reconcile_turn import FIRST_WAIT_S, Turn, longer
from gridbot.orders.reconcile_words import (
    Alert,
    ApplyRow,
    AskExecutionsOf,
    AskOrder,
    Finding,
    LookedUp,
    Revive,
    Settle,
)

__all__ = [
    "SETTLE_AFTER_S",
    "ask_due",
    "ask_now",
    "known_of",
    "on_executions",
    "on_failure",
    "on_missing_executions",
    "on_missing_failure",
    "on_order",
    "unsettled",
    "want",
]

SETTLE_AFTER_S = 60.0


def known_of(order: TrackedOrder) -> tuple[object, ...]:
    """What changes with any news of an order: the exchange's, or that it was sent (again)."""
    return (order.state, order.order_id, order.exchange_ts, order.cum_exec_qty, order.sent_ms)


def want(turn: Turn, symbol: str, key: str) -> None:
    """Ask for this order soon, unless that is planned. The answer to a question that is under way may have been made
    before what made it doubtful: after that one it is asked for again.
    """
    entry = turn.state.looking.get(key)
    if entry is None:
        _put(turn, key, LookingUp(symbol, 0, FIRST_WAIT_S, due_s=turn.now.mono_s + FIRST_WAIT_S))
    elif entry.due_s is None and not entry.contradicted:
        _put(turn, key, replace(entry, wanted_again=True))


def ask_now(turn: Turn, order: TrackedOrder, *, contradicted: bool = False) -> bool:
    """Ask for this order at once, unless a question is under way; False when its next try will tell."""
    entry = turn.state.looking.get(order.key)
    if entry is not None and entry.due_s is None:
        return True
    if order.key in turn.view.retrying:
        return False
    _ask(turn, order, entry.wait_s if entry is not None else FIRST_WAIT_S, contradicted=contradicted)
    return True


def ask_due(turn: Turn) -> None:
    """Ask for the orders and executions that are due."""
    for key, entry in list(turn.state.looking.items()):
        if entry.due_s is None or turn.now.mono_s < entry.due_s:
            continue
        order = turn.order(entry.symbol, key)
        if order is None or key in turn.view.retrying or order.state.is_final is not entry.contradicted:
            _drop(turn, key)
        else:
            _ask(turn, order, entry.wait_s, contradicted=entry.contradicted)
    _ask_missing(turn)


def on_order(turn: Turn, who: Who, row: OrderUpdateEvent | None) -> bool:
    """The order was found, or not. True: the pass need not wait for it any more."""
    entry = turn.state.looking.get(who.subject)
    if entry is None or entry.number != who.number or entry.due_s is not None:
        return False
    order = turn.order(entry.symbol, who.subject)
    if order is None or order.state.is_final is not entry.contradicted:
        _drop(turn, who.subject)
    elif entry.contradicted:
        if row is not None:
            turn.effects.append(Revive(row) if contradicts(order, row) else ApplyRow(row))
        _drop(turn, who.subject)
    elif row is None and entry.known != known_of(order):
        _later(turn, who.subject, entry)
    elif row is None and not (order.order_id or order.state is OrderState.PENDING_CANCEL):
        turn.effects.append(LookedUp(entry.symbol, order.key, Finding.NEVER_ARRIVED))
        _drop(turn, who.subject)
    elif row is None or row.cum_exec_qty > order.exec_qty:
        number = turn.number()
        _put(turn, who.subject, replace(entry, number=number, is_paging=True, row=row))
        turn.ask_executions(Who(Part.ORDER, who.subject, number))
        return False
    else:
        _take(turn, order, row, entry)
    return True


def on_executions(turn: Turn, who: Who) -> bool:
    """The executions are in (the turn has applied them): now the answer about the order counts. As `on_order`."""
    entry = turn.state.looking.get(who.subject)
    if entry is None or entry.number != who.number or not entry.is_paging:
        return False
    order = turn.order(entry.symbol, who.subject)
    if order is not None and entry.row is None and entry.known != known_of(order):
        _later(turn, who.subject, entry)
        return True
    if order is not None and entry.row is not None:
        _take(turn, order, entry.row, entry)
        return True
    if order is not None:
        turn.effects.append(LookedUp(entry.symbol, order.key, Finding.GONE))
    _drop(turn, who.subject)
    return True


def on_failure(turn: Turn, who: Who) -> None:
    """The question got no answer: ask again later."""
    entry = turn.state.looking.get(who.subject)
    if entry is not None and entry.number == who.number and entry.due_s is None:
        _later(turn, who.subject, entry)


# ---------------------------------------------------------------------- executions that are missing


def on_missing_executions(turn: Turn, who: Who, rows: Sequence[ExecutionEvent]) -> None:
    """`rows` are all executions of a finished order that the exchange lists; the turn has had the new ones applied.

    They may add up although the order lacks some: it was adopted from an old row after they were counted.
    """
    entry = turn.state.missing.get(who.subject)
    if entry is None or entry.number != who.number or entry.due_s is not None:
        return
    order = turn.order(entry.symbol, who.subject)
    listed = sum({row.exec_id: row.qty for row in rows}.values())
    is_late = entry.asked_s - entry.since_s > SETTLE_AFTER_S
    if order is None or (listed < order.cum_exec_qty and not is_late):
        on_missing_failure(turn, who)
        return
    if listed < order.cum_exec_qty:
        turn.effects.append(unsettled(order.symbol, order.key, order.cum_exec_qty, listed, order.strat_id))
    turn.effects.append(Settle(entry.symbol, order.key))
    turn.change(missing={key: other for key, other in turn.state.missing.items() if key != who.subject})


def unsettled(symbol: str, key: str, done: Decimal | int, listed: Decimal | int, strategy: str) -> Alert:
    """That an order executed more (`done`, base coin) than is listed and can be counted."""
    text = (
        f"{symbol}: {key} executed {done} by the order's own account, "
        f"but the executions list has {listed}; continuing without the rest"
    )
    return Alert("error", f"unsettled.{key}", text, strategy)


def on_missing_failure(turn: Turn, who: Who) -> None:
    """They are not here yet: ask again later."""
    entry = turn.state.missing.get(who.subject)
    if entry is not None and entry.number == who.number:
        wait_s = longer(entry.wait_s)
        entry = replace(entry, wait_s=wait_s, due_s=turn.now.mono_s + wait_s)
        turn.change(missing={**turn.state.missing, who.subject: entry})


def _ask_missing(turn: Turn) -> None:
    now_s = turn.now.mono_s
    found: dict[str, Missing] = {}
    for symbol, held in turn.view.strategies.items():
        for order in held.book.unsettled():
            new = Missing(symbol, now_s, FIRST_WAIT_S, due_s=now_s + FIRST_WAIT_S)
            entry = turn.state.missing.get(order.key, new)
            if entry.due_s is not None and now_s >= entry.due_s:
                entry = replace(entry, number=turn.number(), due_s=None, asked_s=now_s)
                who = Who(Part.MISSING, order.key, entry.number)
                turn.effects.append(AskExecutionsOf(who, symbol, order.link_id, order.order_id))
            found[order.key] = entry
    turn.change(missing=found)


# ---------------------------------------------------------------------- inside


def _ask(turn: Turn, order: TrackedOrder, wait_s: float, *, contradicted: bool) -> None:
    number = turn.number()
    entry = LookingUp(order.symbol, number, wait_s, known=known_of(order), contradicted=contradicted)
    _put(turn, order.key, entry)
    turn.effects.append(AskOrder(Who(Part.ORDER, order.key, number), order.symbol, order.link_id, order.order_id))


def _take(turn: Turn, order: TrackedOrder, row: OrderUpdateEvent, entry: LookingUp) -> None:
    """The answer `row` counts. When nothing was heard of the order since we asked, it is right, whatever its time."""
    is_newest = entry.known == known_of(order) and not entry.wanted_again
    turn.effects.append(Revive(row) if is_newest and is_in_doubt(order, row) else ApplyRow(row))
    if row.status.is_open and order.state is OrderState.PENDING_CANCEL:
        turn.effects.append(LookedUp(order.symbol, order.key, Finding.STILL_OPEN))
    _drop(turn, order.key)
    if entry.wanted_again and row.status.is_open:
        want(turn, order.symbol, order.key)


def _later(turn: Turn, key: str, entry: LookingUp) -> None:
    wait_s = longer(entry.wait_s)
    _put(turn, key, replace(entry, wait_s=wait_s, due_s=turn.now.mono_s + wait_s, is_paging=False, row=None))


def _put(turn: Turn, key: str, entry: LookingUp) -> None:
    turn.change(looking={**turn.state.looking, key: entry})


def _drop(turn: Turn, key: str) -> None:
    turn.change(looking={other: entry for other, entry in turn.state.looking.items() if other != key})
