"""Orders that have ended unseen: open by our records, and neither in a book nor on the exchange. Pure.

A worker that is down hears of no end, so the records of such an order have no last row until somebody asks. Each
complete listing shows which they are. What became of them is asked for beside everything else; no pass waits for it::

    open by our records, in no book, not listed ──► many: the list of what ended last ──► EndUnseen
                      │                             few, or not in that list: one by one ──► EndUnseen
                      │                             it has executed, or may have: its executions first
                      │
                      └── listed again, or in a book again: nothing has ended

One question at a time, at most one each `PACE_S`: orders have their own connections and limits, and these take one
place of the queries. When the exchange knows nothing of an order, it is asked once more after `LATE_S`, when no request
of an earlier life can still be on its way and its history is not late any more; then it ended, and nobody can tell how.

Paging by time may not have its executions: the exchange's clock may have been far from right when they were made, and
right again when a worker started, so that nobody can know. Hence one that has executed ends when its executions were
asked for by its id, and all are listed; or after `SETTLE_AFTER_S` without the rest, with an alert.

Records may also lack the end (or the beginning) of an order that a book has, when they found no room: `Restate`. And
they may hold an order for over that rests, of a strategy that could not start, so that no book can contradict them:
`RestsUnfollowed`.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from decimal import Decimal

from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.listing import UnreadableRows
from gridbot.orders.ids import parse
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S, unsettled
from gridbot.orders.reconcile_state import Ending, Ends, Part, Who
from gridbot.orders.reconcile_turn import FIRST_WAIT_S, Turn, longer
from gridbot.orders.reconcile_words import AskClosed, AskExecutionsOf, AskOrder, EndUnseen, Restate, RestsUnfollowed

__all__ = ["FEW", "LATE_S", "PACE_S", "ask_due", "on_closed", "on_executions", "on_failure", "on_listing", "on_order"]

PACE_S = 0.2
LATE_S = 10.0
FEW = 3
"""So many are asked for one by one; of more the list of what ended last is read first."""


def on_listing(turn: Turn, rows: Sequence[OrderUpdateEvent], unreadable: Set[str]) -> None:
    """Compare what our records hold for open with a complete listing; `unreadable`: symbols of rows it lacks."""
    listed = {name for row in rows for name in (row.order_link_id, row.order_id)} - {""}
    before, now_s = turn.state.ends, turn.now.mono_s
    found: dict[str, Ending] = {}
    for key, told in turn.view.recorded.items():
        if told.shadow or told.symbol in unreadable or key in listed or told.order_id in listed:
            continue
        order = turn.order(told.symbol, key)
        if order is None:
            found[key] = before.orders.get(key) or Ending(now_s, FIRST_WAIT_S, now_s)
        elif order.state.is_final:
            turn.effects.append(Restate(told.symbol, key))
    for symbol, held in turn.view.strategies.items():
        for order in held.book:
            if order.on_wire and not order.state.is_final and order.key not in turn.view.recorded:
                turn.effects.append(Restate(symbol, order.key))
    for row in rows:
        link = None if row.symbol in turn.view.strategies else parse(row.order_link_id)
        if link and link.account == turn.view.account_tag and row.order_link_id not in turn.view.recorded:
            turn.effects.append(RestsUnfollowed(row))
    is_paged = before.is_paged and found.keys() <= before.orders.keys()
    _put(turn, replace(before, orders=found, is_paged=is_paged))


def ask_due(turn: Turn) -> None:
    """Ask about what is due, unless a question is under way."""
    ends, now_s = turn.state.ends, turn.now.mono_s
    if ends.number or now_s < ends.free_s:
        return
    due = [key for key, order in ends.orders.items() if order.due_s <= now_s]
    gone = {key for key in due if key not in turn.view.recorded}
    if gone:
        _put(turn, _without(ends, gone))
        ask_due(turn)
        return
    unclear = frozenset(key for key in due if not ends.orders[key].is_over)
    if len(unclear) > FEW and not ends.is_paged:
        number = turn.number()
        _put(turn, replace(ends, number=number))
        turn.effects.append(AskClosed(Who(Part.END, "", number), unclear))
    elif due:
        number, told = turn.number(), turn.view.recorded[due[0]]
        _put(turn, replace(ends, number=number))
        ask = AskExecutionsOf if ends.orders[due[0]].is_over else AskOrder
        turn.effects.append(ask(Who(Part.END, due[0], number), told.symbol, told.order_link_id, told.order_id))


def on_closed(turn: Turn, who: Who, rows: Sequence[OrderUpdateEvent]) -> None:
    """The list of what ended last is here."""
    ends = _answered(turn, who)
    if ends is None:
        return
    by_name = {name: row for row in rows if not row.status.is_open for name in (row.order_link_id, row.order_id)}
    _put(turn, replace(ends, is_paged=True))
    for key, order in ends.orders.items():
        if key in by_name and not order.is_over:
            _over(turn, key, by_name[key])


def on_order(turn: Turn, who: Who, row: OrderUpdateEvent | None) -> None:
    """The answer about one order; None when the exchange does not know it."""
    ends = _answered(turn, who)
    order = None if ends is None else ends.orders.get(who.subject)
    if ends is None or order is None:
        return
    late_s = order.since_s + LATE_S
    if row is None and turn.now.mono_s < late_s:
        _put(turn, replace(ends, orders={**ends.orders, who.subject: replace(order, due_s=late_s)}))
        return
    if row is None or not row.status.is_open:
        _over(turn, who.subject, row)
    else:
        _put(turn, _without(ends, {who.subject}))  # it is in the next listing


def on_executions(turn: Turn, who: Who, rows: Sequence[ExecutionEvent]) -> None:
    """All executions of an order that has ended are here, as far as they are listed; the turn has had the new ones
    applied."""
    ends = _answered(turn, who)
    order = None if ends is None else ends.orders.get(who.subject)
    if ends is None or order is None:
        return
    told = turn.view.recorded.get(who.subject)
    listed = sum({row.exec_id: row.qty for row in rows}.values(), Decimal(0))
    done = Decimal(0) if order.row is None else order.row.cum_exec_qty
    if listed < done and told is not None:
        if turn.now.mono_s - order.since_s < SETTLE_AFTER_S:
            _wait(turn, ends, who.subject, order)
            return
        turn.effects.append(unsettled(told.symbol, who.subject, done, listed, told.strategy))
    _end(turn, who.subject, order.row)
    _put(turn, _without(ends, {who.subject}))


def on_failure(turn: Turn, who: Who, error: Exception) -> None:
    """The question got no answer: ask again later. That there is no such symbol (any more) is an answer."""
    if isinstance(error, ExchangeError) and error.kind is ErrorKind.PARAM and who.subject:
        asked = turn.state.ends.orders.get(who.subject)
        if asked is not None and asked.is_over:
            on_executions(turn, who, ())
        else:
            on_order(turn, who, None)
        return
    failed = turn.state.ends
    ends = _answered(turn, who)
    if ends is None:
        return
    order = ends.orders.get(who.subject)
    if order is not None and isinstance(error, UnreadableRows):
        _wait(turn, ends, who.subject, order)
    else:
        wait_s = longer(failed.wait_s)
        _put(turn, replace(ends, wait_s=wait_s, free_s=turn.now.mono_s + wait_s))


# ---------------------------------------------------------------------- inside


def _answered(turn: Turn, who: Who) -> Ends | None:
    """As it is when this very question has been answered; None when nobody waits for it."""
    ends = turn.state.ends
    if ends.number != who.number:
        return None
    ends = replace(ends, number=0, wait_s=FIRST_WAIT_S / 2, free_s=turn.now.mono_s + PACE_S)
    _put(turn, ends)
    return ends


def _over(turn: Turn, key: str, row: OrderUpdateEvent | None) -> None:
    """It has ended, by this row: its executions are next, if it has any or nobody knows."""
    ends = turn.state.ends
    if row is not None and not row.cum_exec_qty:
        _end(turn, key, row)
        _put(turn, _without(ends, {key}))
        return
    order = replace(ends.orders[key], due_s=turn.now.mono_s, is_over=True, row=row)
    _put(turn, replace(ends, orders={**ends.orders, key: order}))


def _wait(turn: Turn, ends: Ends, key: str, order: Ending) -> None:
    """Ask about this one again later."""
    wait_s = longer(order.wait_s)
    order = replace(order, wait_s=wait_s, due_s=turn.now.mono_s + wait_s)
    _put(turn, replace(ends, orders={**ends.orders, key: order}))


def _end(turn: Turn, key: str, row: OrderUpdateEvent | None) -> None:
    """Have the end recorded, unless a book has taken the order up since."""
    told = turn.view.recorded.get(key)
    if told is not None and turn.order(told.symbol, key) is None:
        turn.effects.append(EndUnseen(key, row))


def _without(ends: Ends, keys: Set[str]) -> Ends:
    return replace(ends, orders={key: order for key, order in ends.orders.items() if key not in keys})


def _put(turn: Turn, ends: Ends) -> None:
    turn.change(ends=ends)
