"""An order's life, what the exchange says of it unasked or on a look-up. Pure; news may be late, repeated or wrong.

A final state that we only inferred (a look-up found nothing, a lost request was given up) may be contradicted: by news
that is newer than all we know, or by a complete listing. Then the order lives again in the exchange's state.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import OrderUpdateEvent
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.orders.book import OrderBook
from gridbot.orders.breakers import Cause
from gridbot.orders.ids import parse
from gridbot.orders.life_answers import try_again
from gridbot.orders.life_effects import (
    AskExchange,
    CountRefusal,
    Effect,
    ForgetRetry,
    KeepRaw,
    Log,
    Reconcile,
    TellOperator,
)
from gridbot.orders.life_events import Adopted, Executed, Heard, LookedUp, LookUp, Revived, StrangerSeen
from gridbot.orders.life_moves import cancel_again, cancel_now, end, keep_one_per_level, known_to_rest, recorded
from gridbot.orders.order import CONTRADICTED, OrderState, TrackedOrder, Transition, is_in_doubt, state_of
from gridbot.orders.retry import NO_TRIES

__all__ = [
    "AT_ONCE_MS",
    "OFF_STEP",
    "STRANGERS_KEPT",
    "adopted",
    "executed",
    "heard",
    "looked_up",
    "revived",
    "stranger_seen",
]

STRANGERS_KEPT = 2_000
UNPROVED = frozenset({OrderState.PENDING, OrderState.UNRESOLVED})
NO_REASONS = frozenset({"", "EC_NoError", "EC_PerCancelRequest"})
"""Reasons of orders that somebody has cancelled, or that ended for what happened to their position."""
AT_ONCE_MS = 1_000
"""Within this time after it was created the exchange ends an order that it refuses; it takes a few ms."""
OFF_STEP = "its quantity is no multiple of today's quantity step"
LOST = "the exchange does not know the order: its request was lost"


def heard(book: OrderBook, event: Heard, now_s: float) -> list[Effect]:
    """News of an order in the book."""
    return _said(book, event.order, event.update, now_s, is_listed=False)


def revived(book: OrderBook, event: Revived, now_s: float) -> list[Effect]:
    """What the exchange has answered about this very order, or a row of a complete listing that undoes a cancel."""
    order = book.get(event.row.order_link_id) or book.get(event.row.order_id)
    return [] if order is None else _said(book, order, event.row, now_s, is_listed=True)


def stranger_seen(book: OrderBook, event: StrangerSeen, now_s: float) -> list[Effect]:
    """Have an unknown order of ours verified; tell of a foreign one once."""
    update = event.update
    if not update.status.is_open:
        book.strangers.pop(update.order_id, None)
        return []
    if event.ours:
        # The stream also repeats old updates: only the exchange's list shows whether this order rests.
        return [Reconcile("one of our orders is not in the book")]
    known, book.strangers[update.order_id] = update.order_id in book.strangers, update
    if known:
        return []
    if len(book.strangers) > STRANGERS_KEPT:
        book.strangers.popitem(last=False)
    terms = f"({update.side} {update.qty} @ {update.price})"
    if parse(update.order_link_id) is None:
        text = f"{update.symbol}: an order that is not ours rests on the exchange {terms}; it is left alone"
    else:
        text = (
            f"{update.symbol}: an order of another strategy or account of gridbot rests on the exchange {terms}; it is "
            "left alone. If strat_id or the account's name was changed, change it back or cancel the order by hand"
        )
    return [TellOperator("warning", f"foreign.{update.symbol}", text, event.strat_id)]


def adopted(book: OrderBook, event: Adopted, now_s: float) -> list[Effect]:
    """An order of ours that rests and is not in the book, after a restart or a lost reply."""
    order = event.order
    book.strangers.pop(order.order_id, None)
    added = book.add(order)
    kept = keep_one_per_level(book, order, now_s)
    if not kept and book.instrument.round_qty_down(order.qty) != order.qty:
        kept = cancel_now(book, order, OFF_STEP)
    return [
        Transition(order, added.before, added.after, f"adopted ({event.source})"),
        Log("debug", f"[order] adopted {order.direction} {order.side} {order.qty} @ {order.price}"),
        *kept,
    ]


def looked_up(book: OrderBook, event: LookedUp, now_s: float) -> list[Effect]:
    """Act on what a look-up found. While the create is under way its answer will know better."""
    order = event.order
    if order.state.is_final or order.in_flight or not order.on_wire:
        return []
    if event.found is LookUp.STILL_OPEN:
        return _still_open(book, order, now_s)
    if event.found is LookUp.NEVER_ARRIVED and not (order.order_id or order.exchange_ts):
        return _never_arrived(book, order, now_s)
    after = OrderState.FILLED if order.cum_exec_qty >= order.qty else OrderState.CANCELLED
    return end(book, order, after, "not known to the exchange any more")


def executed(book: OrderBook, event: Executed, now_s: float) -> list[Effect]:
    """A new execution of an order."""
    order, execution = book.get(event.key), event.execution
    if order is None:
        return []
    was_over, known = order.state.is_final, _figures(order)
    transition = book.apply_execution(
        order.key, execution.qty, execution.leaves_qty, execution.exchange_ts, order_qty=execution.order_qty
    )
    if not was_over:
        new = _new_figures(order, known, transition)
        return [*new, *_after_news(book, order, transition, now_s, has_moved=False)]
    if execution.leaves_qty > 0 and order.state is not OrderState.FILLED and not order.ended_ts:
        return [*recorded(order, transition), Reconcile(f"{order.key} was held to be over and has executed")]
    return recorded(order, transition)


# ---------------------------------------------------------------------- inside


def _said(
    book: OrderBook, order: TrackedOrder, update: OrderUpdateEvent, now_s: float, *, is_listed: bool
) -> list[Effect]:
    is_first, asked, ticks = not order.exchange_ts, order.price, order.ticks
    is_refused, error, known = False, None, _figures(order)
    if not order.state.is_final:
        asks: list[Effect] = [AskExchange(order)] if not is_listed and is_in_doubt(order, update) else []
        transition = book.apply_update(update, is_newest=is_listed)
        effects: list[Effect] = [*asks, *_new_figures(order, known, transition)]
        effects += _after_news(book, order, transition, now_s, has_moved=order.price != asked)
        is_refused, error = _refused_at_once(order, transition, update)
        if is_listed and update.status.is_open:
            effects += _still_open(book, order, now_s)
    elif update.status.is_open:
        effects = _at_rest(book, order, update, now_s, is_listed=is_listed)
    else:
        effects = _ended_otherwise(book, order, update)
    # An order whose first news have another price than we asked was moved by the exchange (docs/bybit.md 3.13), and
    # the next one for its level would be too. Later changes are an operator's.
    is_moved = is_first and order.price != asked
    if is_moved:
        text = f"{order.symbol}: the exchange has moved our {order.side} from {asked} to {order.price} (price band)"
        said = f"{text}; when it goes on the level waits, a minute at a time; narrow the grid if that should not be"
        effects.append(TellOperator("warning", f"moved.{order.symbol}", said, order.strat_id))
    if is_refused or is_moved:
        cause = Cause.MOVED if is_moved else Cause.REFUSED
        effects.append(CountRefusal(order, ticks, answered=False, cause=cause, error=error))
    if update.raw is not None:
        effects.append(KeepRaw(update))
    return effects


def _refused_at_once(
    order: TrackedOrder, transition: Transition | None, update: OrderUpdateEvent
) -> tuple[bool, ExchangeError | None]:
    """Whether the exchange has ended an order that it had accepted, before it could rest; and what nobody expects.

    A PostOnly order that would take is part of a moving market. One that has traded has got through, and so has one
    that ended a while after it was created: it has rested, though no news of it came.
    """
    if transition is None or transition.after not in (OrderState.CANCELLED, OrderState.REJECTED):
        return False, None
    reason = update.reject_reason
    if "PostOnly" in reason:
        return True, None
    is_rejected = transition.after is OrderState.REJECTED or reason not in NO_REASONS
    has_rested = bool(update.created_ts) and update.exchange_ts - update.created_ts > AT_ONCE_MS
    got_through = transition.before not in UNPROVED or order.cum_exec_qty or has_rested
    if got_through or order.withdrawn or not is_rejected:
        return False, None
    text = f"the exchange accepted the order and ended it at once: {reason or update.status}"
    return True, make_error(text, ErrorKind.PARAM)


def _after_news(
    book: OrderBook, order: TrackedOrder, transition: Transition | None, now_s: float, *, has_moved: bool
) -> list[Effect]:
    """Record the change; an order that has turned out to rest waits no more, and may be one too many."""
    effects = recorded(order, transition)
    if (transition is None and not has_moved) or not known_to_rest(order):
        return effects
    if order.create_tries.due_s is not None:
        effects.append(ForgetRetry(order.key))
    order.create_tries = NO_TRIES
    effects += keep_one_per_level(book, order, now_s)
    return effects


def _figures(order: TrackedOrder) -> tuple[Decimal, Decimal, Decimal]:
    return order.price, order.qty, order.cum_exec_qty


def _new_figures(
    order: TrackedOrder, known: tuple[Decimal, Decimal, Decimal], transition: Transition | None
) -> list[Effect]:
    """Record price, quantity and what is executed when those have changed and the state has not."""
    if transition is not None or not order.on_wire or _figures(order) == known:
        return []
    return [Transition(order, order.state, order.state, "amended, or executed in part", order.exchange_ts)]


def _still_open(book: OrderBook, order: TrackedOrder, now_s: float) -> list[Effect]:
    """An order rests although our cancel of it was answered: it had no effect."""
    return cancel_again(book, order, now_s) if order.is_cancel_answered else []


def _never_arrived(book: OrderBook, order: TrackedOrder, now_s: float) -> list[Effect]:
    """It is sent again under the same id until its tries are used up, unless nobody wants it any more."""
    if order.withdrawn:
        return end(book, order, OrderState.CANCELLED, f"{order.withdrawn}; it never reached the exchange")
    again = try_again(order, LOST, now_s)
    if again:
        return again
    # With a code the exchange itself has answered, each time, and the order was never there: that is a refusal.
    refused = [CountRefusal(order, order.ticks, answered=True)] if order.answered_with is not None else []
    return [*end(book, order, OrderState.REJECTED, "never reached the exchange", order.answered_with), *refused]


def _ended_otherwise(book: OrderBook, order: TrackedOrder, update: OrderUpdateEvent) -> list[Effect]:
    """The exchange's own word about the end of an order that is over for us already: it may have executed more."""
    order.ended_ts = max(order.ended_ts, update.exchange_ts)
    before, after = order.state, state_of(update.status, update.cum_exec_qty)
    differs = after in CONTRADICTED[before]
    if differs or (after is before and update.cum_exec_qty > order.cum_exec_qty):
        return [book.revive(order, update, f"was held to be {before}")]
    return []


def _at_rest(
    book: OrderBook, order: TrackedOrder, row: OrderUpdateEvent, now_s: float, *, is_listed: bool
) -> list[Effect]:
    """An order that is over for us is said to rest.

    The exchange's answer about this order proves it, unless the row is older than the exchange's own last word. The
    stream also repeats old messages, and its clock may be set back: what is no newer than the last we heard, or speaks
    against the exchange's own word, only leads to a listing.
    """
    is_old = order.ended_ts and row.exchange_ts <= order.ended_ts
    if is_old or order.state is OrderState.FILLED or row.cum_exec_qty < order.cum_exec_qty:
        return []
    is_newer = row.cum_exec_qty > order.cum_exec_qty or row.exchange_ts > order.exchange_ts
    if not is_listed and (order.ended_ts or not is_newer):
        return [Reconcile(f"{order.key} was held to be over and is said to rest")]
    was = order.state
    order.in_flight = order.cancelling = False
    order.create_tries = order.cancel_tries = NO_TRIES
    transition = book.revive(order, row, f"was held to be {was}, and rests")
    text = f"{order.symbol}: {order.key} was held to be {was} and rests on the exchange ({order.side} @ {order.price})"
    kept = keep_one_per_level(book, order, now_s)
    said = f"{text}; it is cancelled" if kept else f"{text}; it is followed again"
    return [transition, TellOperator("warning", f"revived.{order.symbol}", said, order.strat_id), *kept]
