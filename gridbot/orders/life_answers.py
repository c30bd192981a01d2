"""An order's life, the answers to its requests. Pure; the tables in `orders/outcomes.py` say what each error means."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.orders.book import OrderBook
from gridbot.orders.life_effects import (
    AskExchange,
    CountAuthFailure,
    CountAuthSuccess,
    CountRefusal,
    DoubtLeg,
    Effect,
    HaltStrategy,
    Log,
    ReadPositions,
    ReadWallet,
    RestrictSymbol,
    RetryAt,
)
from gridbot.orders.life_events import CancelAnswered, Placed
from gridbot.orders.life_moves import end, recorded, want_again
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import REDUCE_ONLY_ZERO, Next, Verdict, after_cancel, after_place
from gridbot.orders.retry import NO_TRIES, RetryItem

__all__ = ["cancel_answered", "placed", "try_again"]


def placed(book: OrderBook, event: Placed, now_s: float) -> list[Effect]:
    """An acknowledgement proves nothing about the state: the order is open when the stream or a listing says so."""
    order, result = event.order, event.result
    order.in_flight = False
    if result.ack is not None:
        order.create_tries = NO_TRIES
        book.acknowledge(order.key, result.ack.order_id)
        return [CountAuthSuccess(), *_ask_if_open(order)]
    if result.error is None:
        return _not_created(book, order, result.reason)
    verdict = after_place(result.error)
    said = f"[order] {order.direction} {order.side} {order.qty} @ {order.price} was not confirmed: {result.error}"
    return [
        Log("warning", f"{said} ({verdict.next})", _kind(result.error, verdict.next)),
        *_not_placed(book, order, result.error, verdict.next, now_s),
        *([CountRefusal(order, order.ticks, answered=True)] if verdict.breaker else []),
        *_consequences(order, result.error, verdict),
    ]


def _kind(error: ExchangeError, then: Next) -> str:
    """Beyond the rate limit one order after the other waits its turn: that is one thing to say, not one of each."""
    return str(error) if error.kind is ErrorKind.RATE_LIMIT and then is Next.RETRY else ""


def _not_placed(book: OrderBook, order: TrackedOrder, error: ExchangeError, then: Next, now_s: float) -> list[Effect]:
    if order.state.is_final or order.exchange_ts:
        # The exchange has spoken of the order itself: that counts more than the answer to one request.
        return _ask_if_open(order)
    if then is Next.LOOK_UP:
        order.answered_with = error.ret_code
        order.on_wire = True  # also when its `Sending` was never heard of: what we cannot prove may rest
        return [*recorded(order, book.lose_reply(order.key, str(error), error.ret_code)), AskExchange(order)]
    if then is Next.RETRY and not order.withdrawn:
        waits = try_again(order, str(error), now_s)
        if waits:
            return waits
    return _not_created(book, order, str(error), error.ret_code)


def _not_created(book: OrderBook, order: TrackedOrder, reason: str, ret_code: int | None = None) -> list[Effect]:
    """The request had no effect, and there will be no other."""
    if order.exchange_ts:
        return []
    order.on_wire = False
    if order.withdrawn:
        return end(book, order, OrderState.CANCELLED, f"{order.withdrawn}; it was not created: {reason}", ret_code)
    return end(book, order, OrderState.REJECTED, reason, ret_code)


def _ask_if_open(order: TrackedOrder) -> list[Effect]:
    """An order whose cancel was lost while its create was under way could not be looked up before now."""
    return [AskExchange(order)] if order.state is OrderState.UNRESOLVED else []


def try_again(order: TrackedOrder, error: str, now_s: float) -> list[Effect]:
    """The order does not exist: let its create wait for the next try; nothing when all are used up."""
    tries = order.create_tries.after_failure(now_s)
    order.on_wire = False
    order.create_tries = tries or NO_TRIES
    if tries is None or tries.due_s is None:
        return []
    return [RetryAt(RetryItem(order.key, is_cancel=False, tries=tries.made, due_s=tries.due_s, last_error=error))]


def cancel_answered(book: OrderBook, event: CancelAnswered, now_s: float) -> list[Effect]:
    """The order ends with the stream's `Cancelled`, not with this answer."""
    order, result = event.order, event.result
    order.cancelling = False
    if result.ack is not None:
        return [CountAuthSuccess()]
    if result.error is None:
        return _still_there(book, order, f"cancel: {result.reason}", now_s)
    verdict = after_cancel(result.error)
    return [
        *_not_cancelled(book, order, result.error, verdict.next, now_s),
        *_consequences(order, result.error, verdict),
    ]


def _not_cancelled(
    book: OrderBook, order: TrackedOrder, error: ExchangeError, then: Next, now_s: float
) -> list[Effect]:
    if order.state.is_final:
        return []
    if then is Next.LOOK_UP:
        return [
            *recorded(order, book.lose_reply(order.key, f"cancel: {error}", error.ret_code)),
            AskExchange(order),
        ]
    if then is Next.RETRY and order.state is OrderState.PENDING_CANCEL:
        tries = order.cancel_tries.after_failure(now_s)
        if tries is not None and tries.due_s is not None:
            order.cancel_tries = tries
            item = RetryItem(order.key, is_cancel=True, tries=tries.made, due_s=tries.due_s, last_error=str(error))
            return [RetryAt(item)]
    return _still_there(book, order, f"cancel: {error}", now_s, error.ret_code)


def _still_there(
    book: OrderBook, order: TrackedOrder, reason: str, now_s: float, ret_code: int | None = None
) -> list[Effect]:
    """The cancel had no effect. What became unresolved in the meantime stays withdrawn: its look-up decides."""
    if order.state is not OrderState.PENDING_CANCEL:
        return []
    return want_again(book, order, reason, now_s, ret_code)


def _consequences(order: TrackedOrder, error: ExchangeError, verdict: Verdict) -> list[Effect]:
    """The flags of a verdict, as effects."""
    effects: list[Effect] = []
    if verdict.refresh_positions:
        if error.ret_code == REDUCE_ONLY_ZERO:
            effects.append(DoubtLeg(order))
        effects.append(ReadPositions(order.symbol))
    if verdict.refresh_wallet:
        effects.append(ReadWallet())
    if verdict.auth:
        effects.append(CountAuthFailure(error))
    if verdict.symbol:
        effects.append(RestrictSymbol(order, error))
    if verdict.halt:
        effects.append(HaltStrategy(order, error))
    return effects
