"""An order's life, our own side: submitted, withdrawn, sent, tried again. Pure; `orders/life.py` has the whole."""

from __future__ import annotations

from decimal import Decimal

from gridbot.exchange.remedies import key_pause, with_remedy
from gridbot.orders.book import OrderBook
from gridbot.orders.life_effects import (
    AskExchange,
    AskGate,
    Effect,
    ForgetRetry,
    NoteCancel,
    NotePlace,
    Reconcile,
    SendCancel,
    SendCreate,
    TellOperator,
    Wish,
)
from gridbot.orders.life_events import (
    GateAnswered,
    GivenUp,
    KeyFailing,
    LevelBroken,
    RetryDue,
    Sending,
    Stopped,
    StrategyHalted,
    Submitted,
    Withdrawn,
)
from gridbot.orders.life_moves import cancel_now, end, want_again
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.retry import NO_TRIES

__all__ = [
    "gate_answered",
    "given_up",
    "key_failing",
    "level_broken",
    "retry_due",
    "sending",
    "stopped",
    "strategy_halted",
    "submitted",
    "withdrawn",
]

ZERO = Decimal(0)


def submitted(book: OrderBook, event: Submitted, now_s: float) -> list[Effect]:
    """A new order: its first step is recorded when it is sent."""
    book.index.add(event.order)
    return [NotePlace(event.order, event.proposal), SendCreate(event.order, event.proposal.level_distance)]


def withdrawn(book: OrderBook, event: Withdrawn, now_s: float) -> list[Effect]:
    """The wish to cancel counts once; what it takes depends on whether the exchange has the order."""
    order = book.get(event.key)
    if order is None or order.withdrawn or order.state.is_final or order.state is OrderState.PENDING_CANCEL:
        return []
    order.cancel_tries = NO_TRIES
    if not order.on_wire:
        return [NoteCancel(order, Wish.DROPPED, event.reason), *_drop(book, order, event.reason)]
    if order.state is OrderState.UNRESOLVED:
        book.withdraw(order, event.reason)
        return [NoteCancel(order, Wish.WAITING, event.reason)]
    return cancel_now(book, order, event.reason)


def stopped(book: OrderBook, event: Stopped, now_s: float) -> list[Effect]:
    """Only what the exchange does not have is dropped; what rests stays."""
    unsent = [order for order in book if not (order.on_wire or order.state.is_final)]
    return [effect for order in unsent for effect in _drop(book, order, event.reason)]


def sending(book: OrderBook, event: Sending, now_s: float) -> list[Effect]:
    """From now on the exchange may have it."""
    order = event.order
    order.on_wire = order.in_flight = True
    order.attempt += 1
    order.sent_ms = event.sent_ms
    return [Transition(order, order.state, order.state, is_sending=True)]


def retry_due(book: OrderBook, event: RetryDue, now_s: float) -> list[Effect]:
    """Another try of the same order under the same id, through the same gate (incident L13)."""
    order = book.get(event.item.key)
    if order is None or order.state.is_final:
        return [ForgetRetry(event.item.key)]
    if event.item.is_cancel:
        if order.cancel_tries.due_s is None:
            return []
        order.cancel_tries = order.cancel_tries.begun()
        if order.state is not OrderState.PENDING_CANCEL:
            return []  # it became unresolved meanwhile: its look-up decides
        order.cancelling = True
        return [SendCancel(order)]
    if order.create_tries.due_s is None:
        return []
    order.create_tries = order.create_tries.begun()
    return [AskGate(order)]


def gate_answered(book: OrderBook, event: GateAnswered, now_s: float) -> list[Effect]:
    """What the gate refuses is given up if it is proved not to exist; else the exchange is asked once more."""
    order = event.order
    if order.state.is_final or order.on_wire:
        return []
    if not event.refusal:
        again = book.move(order, OrderState.PENDING, "retry")
        send = SendCreate(order, ZERO)
        return [send] if again is None else [again, send]
    if order.state is OrderState.UNRESOLVED:
        order.on_wire = True  # as far as we know: one look-up did not find it
        return [AskExchange(order)]
    order.create_tries = NO_TRIES
    return end(book, order, OrderState.REJECTED, f"not retried: {event.refusal}")


def level_broken(book: OrderBook, event: LevelBroken, now_s: float) -> list[Effect]:
    """Repeated refusals mean that we and the exchange disagree."""
    order = event.order
    return (
        [Reconcile(f"{order.direction} {order.side} @ {order.price} was refused repeatedly")] if event.answered else []
    )


def key_failing(book: OrderBook, event: KeyFailing, now_s: float) -> list[Effect]:
    """What waits would only knock again (incident L42): creates are given up, cancels may be asked for again."""
    effects: list[Effect] = []
    for order in book:
        if order.create_tries.due_s is not None:
            effects += end(book, order, OrderState.REJECTED, "not retried: authentication fails")
        elif order.cancel_tries.due_s is not None and order.state is OrderState.PENDING_CANCEL:
            effects += want_again(book, order, "cancel: authentication fails", now_s)
    return [*effects, TellOperator("error", "auth", key_pause(event.error))]


def strategy_halted(book: OrderBook, event: StrategyHalted, now_s: float) -> list[Effect]:
    """Only the first halt is told, in the words of the incident that stands as long as the halt."""
    order = event.order
    text = f"{order.strat_id} is halted: {with_remedy(event.error)}"
    return [TellOperator("error", f"halt.{order.symbol}", text, order.strat_id)]


def given_up(book: OrderBook, event: GivenUp, now_s: float) -> list[Effect]:
    """There are no more executions to wait for: the order is settled as it is. Who gives up tells the operator."""
    order = event.order
    if order.state.is_final and not order.is_settled:
        book.settle(order.key)
    return []


def _drop(book: OrderBook, order: TrackedOrder, reason: str) -> list[Effect]:
    book.withdraw(order, reason)
    return end(book, order, OrderState.CANCELLED, reason)
