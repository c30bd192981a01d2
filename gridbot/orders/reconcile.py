"""Compare the book with what the exchange lists. Pure: a complete listing in, a plan out.

"Not listed" never means "cancelled": it means "ask for this order by its id", after a grace for requests that are
acknowledged before they are listed (docs/bybit.md 3.12 no. 3, incident L18). A listing that may be cut short must not
be passed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.core import Direction, ExecutionEvent, Instrument, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders import former_ids
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import Owner, parse
from gridbot.orders.order import OrderState, TrackedOrder, state_of
from gridbot.orders.reconcile_state import Recorded

__all__ = ["GRACE_MS", "Plan", "adopted", "answered_cancels", "compare", "contradicts", "owns", "owns_execution"]

GRACE_MS = 5_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do after a listing.

    `update`: rows to apply; `adopt`: orders of ours that no book has; `missing`: orders to ask for; `foreign`: rows
    that are not ours; `revive`: rows of orders that we hold for over, and that rest by this listing; `undone`: rows of
    orders that rest although our cancel had been answered; `gone`: foreign orders that rest no more, as closed rows.
    """

    update: tuple[OrderUpdateEvent, ...]
    adopt: tuple[OrderUpdateEvent, ...]
    missing: tuple[TrackedOrder, ...]
    foreign: tuple[OrderUpdateEvent, ...]
    revive: tuple[OrderUpdateEvent, ...] = ()
    undone: tuple[OrderUpdateEvent, ...] = ()
    gone: tuple[OrderUpdateEvent, ...] = ()


def contradicts(order: TrackedOrder, row: OrderUpdateEvent) -> bool:
    """Whether a row says that an order rests which we hold for over.

    Not when it counts less as executed, or is older than the exchange's own word that the order is over: then the row
    is stale. Else both may be true, also when its time is earlier than the last we heard (the exchange's clock may be
    set back), so such an order is asked for before it is believed.
    """
    return (
        order.state.is_final
        and row.status.is_open
        and (not order.ended_ts or row.exchange_ts >= order.exchange_ts)
        and order.cum_exec_qty <= row.cum_exec_qty < row.qty
    )


def owns(row: OrderUpdateEvent, owner: Owner, instrument: Instrument, recorded: Mapping[str, Recorded]) -> bool:
    """Whether an order is this strategy's, by its id: whatever its price is now, and its quantity.

    `recorded`: the orders of our records, by key. An id of the layout before says whose it is only together with the
    price of then, which a hand may have moved since: the records know the id at any price. An order of another program
    that was adopted (`shape_match`) is known by the records alone.
    """
    if row.direction is None or row.symbol != instrument.symbol:
        return False
    key = row.order_link_id or row.order_id
    return owner.made(row.order_link_id) or _known_otherwise(
        key, owner, instrument, recorded, row.side, row.direction, row.price
    )


def owns_execution(
    execution: ExecutionEvent, owner: Owner, instrument: Instrument, recorded: Mapping[str, Recorded]
) -> bool:
    """Whether a fill is of an order of this strategy, perhaps of an earlier run, by the order's id.

    `recorded` as for `owns`.
    """
    price = execution.order_price if execution.order_price is not None else execution.price
    key = execution.order_link_id or execution.order_id
    return owner.made(execution.order_link_id) or _known_otherwise(
        key, owner, instrument, recorded, execution.side, execution.direction, price
    )


def _known_otherwise(
    key: str,
    owner: Owner,
    instrument: Instrument,
    recorded: Mapping[str, Recorded],
    side: Side,
    direction: Direction,
    price: Decimal,
) -> bool:
    """Whether an order is this strategy's by our records, or has an id of before that its terms fit.

    Not with an id of today: that names its strategy itself, and nothing else may say otherwise.
    """
    if parse(key) is not None:
        return False
    told = recorded.get(key)
    if told is not None and (told.strategy, told.symbol) == (owner.strat_id, instrument.symbol):
        return True
    return former_ids.made(owner.strat_id, instrument, key, side, direction, price)


def adopted(row: OrderUpdateEvent, strat_id: str, instrument: Instrument) -> TrackedOrder:
    """Our record of an order that rests on the exchange and that we did not know (any more).

    What it has executed so far counts as accounted for: executions are paged before listings are compared.
    """
    if row.direction is None:
        raise ValueError(f"{row.order_id}: expected a hedge-mode order, got one without a leg")
    return TrackedOrder(
        strat_id=strat_id,
        symbol=row.symbol,
        side=row.side,
        direction=row.direction,
        ticks=instrument.ticks(row.price),
        price=row.price,
        qty=row.qty,
        reduce_only=row.side is row.direction.close_side,
        link_id=row.order_link_id,
        order_id=row.order_id,
        state=state_of(row.status, row.cum_exec_qty),
        cum_exec_qty=row.cum_exec_qty,
        exec_qty=row.cum_exec_qty,
        exchange_ts=row.exchange_ts,
        on_wire=True,
    )


def answered_cancels(book: OrderBook) -> dict[str, int]:
    """The orders whose cancel was answered -> its number: what rests by a listing asked for now was not cancelled."""
    return {order.key: order.cancel_tries.made for order in book if order.is_cancel_answered}


def compare(
    book: OrderBook,
    listing: Iterable[OrderUpdateEvent],
    *,
    owner: Owner,
    instrument: Instrument,
    asked_ms: int,
    cancels: Mapping[str, int],
    recorded: Mapping[str, Recorded],
) -> Plan:
    """Sort the rows of one symbol's complete listing, requested at `asked_ms` (our clock), against the book.

    `cancels`: `answered_cancels` of then. `recorded`: as for `owns`.
    """
    update: list[OrderUpdateEvent] = []
    adopt: list[OrderUpdateEvent] = []
    foreign: list[OrderUpdateEvent] = []
    revive: list[OrderUpdateEvent] = []
    undone: list[OrderUpdateEvent] = []
    listed: set[str] = set()
    rows = {row.order_id: row for row in listing}
    for row in rows.values():
        if row.symbol != instrument.symbol:
            continue
        known = book.get(row.order_link_id) or book.get(row.order_id)
        if known is not None:
            listed.add(known.key)
            if contradicts(known, row):
                revive.append(row)
            elif known.is_cancel_answered and cancels.get(known.key) == known.cancel_tries.made:
                undone.append(row)
            else:
                update.append(row)
        elif owns(row, owner, instrument, recorded):
            adopt.append(row)
        else:
            foreign.append(row)
    missing = _missing(book, listed, asked_ms)
    gone = [
        replace(row, status=OrderStatus.CANCELLED)
        for row in book.strangers.values()
        if row.order_id not in rows and asked_ms - row.exchange_ts >= GRACE_MS
    ]
    return Plan(tuple(update), tuple(adopt), tuple(missing), tuple(foreign), tuple(revive), tuple(undone), tuple(gone))


def _missing(book: OrderBook, listed: set[str], asked_ms: int) -> Sequence[TrackedOrder]:
    """Orders that should have been listed: sent long enough before the question, and not known to be over."""
    missing = []
    for order in book:
        if order.key in listed or order.state.is_final or not order.on_wire:
            continue
        fresh = order.sent_ms is not None and asked_ms - order.sent_ms < GRACE_MS
        if fresh and order.state is not OrderState.UNRESOLVED:
            continue
        missing.append(order)
    return missing
