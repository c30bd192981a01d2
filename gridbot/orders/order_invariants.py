"""What is always true of a strategy's orders. Each function returns plain sentences, one for each violation. Pure.

`violations` has those that need only a book and the retry queue's items. The simulator can call it on a running worker,
between any two turns of its loop: `violations(runner.book, context.retry.items())`. `sums_never_shrink` compares two
moments, of which `executed_of(runner.book)` is one. `never_sent_after_withdrawal` watches the effects of
`orders/life.py`, so it needs a test around `step`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

from gridbot.core import Direction
from gridbot.orders.book import OrderBook
from gridbot.orders.life_effects import Effect, SendCreate
from gridbot.orders.life_news import STRANGERS_KEPT
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.order_index import FINISHED_KEPT
from gridbot.orders.retry import RetryItem

__all__ = [
    "bounded",
    "executed_of",
    "index_is_right",
    "never_sent_after_withdrawal",
    "no_id_twice",
    "nothing_final_waits",
    "one_wanted_order_per_level",
    "state_follows_executions",
    "sums_are_right",
    "sums_never_shrink",
    "violations",
    "wanted_orders_fit",
    "withdrawn_is_withdrawn",
]

ZERO = Decimal(0)
Executed = Mapping[str, tuple[Decimal, Decimal]]


def violations(book: OrderBook, waiting: Iterable[RetryItem] = ()) -> list[str]:
    """Everything that can be said of one moment. `waiting` may hold items of other strategies too."""
    return [
        *one_wanted_order_per_level(book),
        *wanted_orders_fit(book),
        *index_is_right(book),
        *sums_are_right(book),
        *state_follows_executions(book),
        *withdrawn_is_withdrawn(book),
        *no_id_twice(book),
        *nothing_final_waits(book, waiting),
        *bounded(book),
    ]


def _all(book: OrderBook) -> list[TrackedOrder]:
    return [*book.index.live.values(), *book.index.finished.values()]


def one_wanted_order_per_level(book: OrderBook) -> list[str]:
    """At most one order that may rest and is not being withdrawn, per leg and price."""
    levels = Counter((order.direction, order.ticks) for order in book if order.is_live)
    return [f"{count} orders at {direction} {ticks}" for (direction, ticks), count in levels.items() if count > 1]


def wanted_orders_fit(book: OrderBook) -> list[str]:
    """What may rest and is not being withdrawn has the price of its level."""
    return [
        f"{order.key} is at {order.price} and counts at {book.instrument.price(order.ticks)}"
        for order in book
        if order.is_live and book.instrument.price(order.ticks) != order.price
    ]


def index_is_right(book: OrderBook) -> list[str]:
    """Levels, names and the engine's view are those of the orders."""
    index = book.index
    wrong = []
    levels = Counter([(order.direction, order.ticks) for order in index.live.values()])
    if levels != index.levels:
        wrong.append(f"levels taken are {dict(levels)}, the index has {index.levels}")
    get = index.get
    for order in _all(book):
        for name in (order.key, order.order_id):
            if name and get(name) is not order:
                wrong.append(f"{order.key} is not found as {name}")
    wrong += [f"{order.key} is settled and live" for order in index.live.values() if order.is_settled]
    wrong += [f"{order.key} is finished and not settled" for order in index.finished.values() if not order.is_settled]
    shown = {order.key for order in (*book.limit_orders.long, *book.limit_orders.short)}
    hidden = {o.key for o in book if o.withdrawn or o.state is OrderState.PENDING_CANCEL}
    wanted = index.live.keys() - hidden
    if shown != wanted:
        wrong.append(f"the engine sees {sorted(shown)}, expected {sorted(wanted)}")
    return wrong


def sums_are_right(book: OrderBook) -> list[str]:
    """What gate and sizer read is the sum over the orders."""
    wrong = []
    closes, opens = dict.fromkeys(Direction, ZERO), dict.fromkeys(Direction, ZERO)
    for order in book:
        if order.reduce_only:
            closes[order.direction] += order.open_qty
        else:
            opens[order.direction] += order.open_qty * order.price
    for leg, closing in closes.items():
        opening = opens[leg]
        if book.resting_close_qty(leg) != closing:
            wrong.append(f"{leg}: closes add up to {closing}, the book says {book.resting_close_qty(leg)}")
        if book.opening_notional(leg) != opening:
            wrong.append(f"{leg}: opens add up to {opening}, the book says {book.opening_notional(leg)}")
    if len(book) != sum(1 for order in book if not order.state.is_final):
        wrong.append(f"the book says that {len(book)} orders may execute")
    return wrong


def state_follows_executions(book: OrderBook) -> list[str]:
    """Open: nothing executed. Partially filled: something, not all. Filled: all. Rejected: nothing. Never too much."""
    wrong = []
    for order in _all(book):
        executed, qty, state = order.cum_exec_qty, order.qty, order.state
        if state is OrderState.OPEN or state is OrderState.REJECTED:
            fits = executed == 0
        elif state is OrderState.PARTIALLY_FILLED:
            fits = 0 < executed < qty
        else:
            fits = ZERO <= executed <= qty and (state is not OrderState.FILLED or executed == qty)
        if not fits:
            wrong.append(f"{order.key} is {state} with {executed} of {qty} executed")
    return wrong


def withdrawn_is_withdrawn(book: OrderBook) -> list[str]:
    """An order that nobody wants neither waits to be sent nor rests without a cancel under way."""
    allowed = {OrderState.UNRESOLVED, OrderState.PENDING_CANCEL}
    return [
        f"{order.key} is withdrawn and {order.state}"
        for order in book
        if order.withdrawn and not (order.state in allowed or order.state.is_final)
    ]


def no_id_twice(book: OrderBook) -> list[str]:
    """No link id and no exchange id belongs to two orders."""
    ids = [name for order in _all(book) for name in (order.link_id, order.order_id) if name]
    if len(ids) == len({*ids}):
        return []
    return [f"{name} names {count} orders" for name, count in Counter(ids).items() if count > 1]


def nothing_final_waits(book: OrderBook, waiting: Iterable[RetryItem]) -> list[str]:
    """What waits for another try belongs to an order that needs it, and the order knows of it."""
    wrong = []
    for item in waiting:
        order = book.get(item.key)
        if order is None:
            continue  # of another strategy
        request = "cancel" if item.is_cancel else "create"
        tries = order.cancel_tries if item.is_cancel else order.create_tries
        if order.state.is_final or (order.withdrawn and not item.is_cancel):
            wrong.append(f"{item.key} is {order.state} ({order.withdrawn}), and its {request} waits for another try")
        elif tries.due_s != item.due_s:
            wrong.append(f"{item.key}: its {request} is due at {item.due_s}, the order says {tries.due_s}")
    return wrong


def bounded(book: OrderBook) -> list[str]:
    """What is remembered does not grow without end."""
    sizes = {
        "finished orders": (len(book.index.finished), FINISHED_KEPT),
        "reported strangers": (len(book.strangers), STRANGERS_KEPT),
        "exchange ids": (book.index.names, len(book.index.live) + FINISHED_KEPT),
    }
    return [f"{count} {what}, expected at most {most}" for what, (count, most) in sizes.items() if count > most]


def executed_of(book: OrderBook) -> Executed:
    """Executed quantities by key, for `sums_never_shrink`: by the order's own account, and as seen."""
    return {order.key: (order.cum_exec_qty, order.exec_qty) for order in _all(book)}


def sums_never_shrink(before: Executed, after: Executed) -> list[str]:
    """Between two moments of one book, executed quantities of an order only grow."""
    return [
        f"{key} had {before[key]} executed, and now {now}"
        for key, now in after.items()
        if key in before and (now[0] < before[key][0] or now[1] < before[key][1])
    ]


def never_sent_after_withdrawal(effects: Iterable[Effect]) -> list[str]:
    """No effect sends a withdrawn or a finished order."""
    wrong = []
    for effect in effects:
        if isinstance(effect, SendCreate) and (effect.order.withdrawn or effect.order.state.is_final):
            wrong.append(f"{effect.order.key} is {effect.order.state} ({effect.order.withdrawn}), and is sent")
    return wrong
