"""Moves that several events of an order's life have in common. They change the book and return effects. Pure."""

from __future__ import annotations

from dataclasses import replace

from gridbot.orders.book import OrderBook
from gridbot.orders.life_effects import AskExchange, Effect, ForgetRetry, NoteCancel, RetryAt, SendCancel, Wish
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.retry import MAX_TRIES, NO_TRIES, WAITS_S, RetryItem, Tries

__all__ = [
    "OFF_TICK",
    "TAKEN",
    "cancel_again",
    "cancel_now",
    "end",
    "keep_one_per_level",
    "known_to_rest",
    "recorded",
    "want_again",
]

_RESTING = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})
TAKEN = "another order of ours is at its level"
OFF_TICK = "its price is no level under today's tick size"


def known_to_rest(order: TrackedOrder) -> bool:
    """Whether the exchange's last word is that it rests, and we have not asked to cancel it."""
    return order.state in _RESTING


def recorded(order: TrackedOrder, transition: Transition | None) -> list[Effect]:
    """Record a transition, if there was one; the end of an order also ends what waits for another try."""
    if transition is None:
        return []
    if transition.after.is_final and (order.create_tries.due_s is not None or order.cancel_tries.due_s is not None):
        order.create_tries = order.cancel_tries = NO_TRIES
        return [transition, ForgetRetry(order.key)]
    return [transition]


def end(
    book: OrderBook, order: TrackedOrder, after: OrderState, reason: str, ret_code: int | None = None
) -> list[Effect]:
    """The order is over; nothing if it was."""
    return recorded(order, book.move(order, after, reason, ret_code=ret_code))


def cancel_now(book: OrderBook, order: TrackedOrder, reason: str) -> list[Effect]:
    """Withdraw an order that the exchange may have, by a request."""
    book.withdraw(order, reason)
    transition = book.move(order, OrderState.PENDING_CANCEL, reason)
    order.cancelling = True
    return [NoteCancel(order, Wish.SENT, reason), *recorded(order, transition), SendCancel(order)]


def cancel_again(book: OrderBook, order: TrackedOrder, now_s: float) -> list[Effect]:
    """A withdrawn order rests after all: another cancel; when its tries are used up, whoever wants may ask again."""
    tries = order.cancel_tries
    if tries.made >= MAX_TRIES:
        return want_again(book, order, "still open", now_s)
    waited = _no_longer_waiting(order)
    order.cancel_tries = replace(tries, made=tries.made + 1, due_s=None)
    return [*waited, *cancel_now(book, order, order.withdrawn)]


def want_again(
    book: OrderBook, order: TrackedOrder, reason: str, now_s: float, ret_code: int | None = None
) -> list[Effect]:
    """A withdrawal has failed and the order is still there: it is an order like any other again.

    But when it fits no level, or its level has got another one meanwhile, it has to go: the cancel waits for
    another try.
    """
    if _must_go(book, order):
        waiting = recorded(order, book.move(order, OrderState.PENDING_CANCEL, reason, ret_code=ret_code))
        order.cancelling = False  # none is under way
        order.cancel_tries = Tries(0, now_s, now_s + WAITS_S[-1])
        item = RetryItem(order.key, is_cancel=True, tries=0, due_s=now_s + WAITS_S[-1], last_error=reason)
        return [*waiting, RetryAt(item)]
    waited = _no_longer_waiting(order)
    book.withdraw(order, "")
    order.cancel_tries = NO_TRIES
    if not (order.exchange_ts or order.order_id):  # nobody has said that it exists: its create may still fail
        return [
            *waited,
            *recorded(order, book.move(order, OrderState.UNRESOLVED, reason, ret_code=ret_code)),
            AskExchange(order),
        ]
    after = OrderState.PARTIALLY_FILLED if order.cum_exec_qty > 0 else OrderState.OPEN
    return [*waited, *recorded(order, book.move(order, after, reason, ret_code=ret_code))]


def _no_longer_waiting(order: TrackedOrder) -> list[Effect]:
    """Two cancels of one order may be under way: what the first waits for ends with the answer to the second."""
    return [] if order.cancel_tries.due_s is None else [ForgetRetry(order.key)]


def keep_one_per_level(book: OrderBook, order: TrackedOrder, now_s: float) -> list[Effect]:
    """Cancel an order that has come to rest where it must not: it is withdrawn, its level has another one, or it is at
    no level.

    Call it whenever an order turns out to rest that did not, or rests at another price.
    """
    if not known_to_rest(order):
        return []
    if order.withdrawn:
        return cancel_again(book, order, now_s)
    reason = _must_go(book, order)
    return cancel_now(book, order, reason) if reason else []


def _must_go(book: OrderBook, order: TrackedOrder) -> str:
    """Why an order may not rest where it is, or an empty string.

    One between two ticks was right when it was made, and the size of a tick has changed since. It counts at the level
    nearest to its price until it is gone.
    """
    if book.index.is_crowded(order):
        return TAKEN
    return "" if book.instrument.price(order.ticks) == order.price else OFF_TICK
