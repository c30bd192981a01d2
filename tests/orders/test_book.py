"""The order book against a small exchange that reorders, repeats and delays what it says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gridbot.core import Direction, Instrument, OrderStatus, OrderUpdateEvent, Side, client_order_id
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import wire_id
from gridbot.orders.order import LEGAL, IllegalTransition, OrderState, TrackedOrder, Transition

INSTRUMENT = Instrument("BTCUSDT", Decimal("0.1"), Decimal("0.001"), Decimal("0.001"), Decimal(100))
ZERO = Decimal(0)


def make_order(
    n: int = 1,
    *,
    ticks: int = 1000,
    side: Side = Side.BUY,
    direction: Direction = Direction.LONG,
    qty: str = "0.010",
) -> TrackedOrder:
    client = client_order_id("s1", "BTCUSDT", side, ticks, direction)
    return TrackedOrder(
        strat_id="s1",
        symbol="BTCUSDT",
        side=side,
        direction=direction,
        ticks=ticks,
        price=INSTRUMENT.price(ticks),
        qty=Decimal(qty),
        reduce_only=side is direction.close_side,
        client_id=client,
        link_id=wire_id(client, n),
        on_wire=True,
    )


def update(
    order: TrackedOrder, status: OrderStatus, cum: str = "0", ts: int = 1, **changes: object
) -> OrderUpdateEvent:
    values: dict[str, object] = {
        "symbol": order.symbol,
        "order_id": f"x-{order.link_id}",
        "order_link_id": order.link_id,
        "side": order.side,
        "direction": order.direction,
        "price": order.price,
        "qty": order.qty,
        "status": status,
        "cum_exec_qty": Decimal(cum),
        "exchange_ts": ts,
    }
    return OrderUpdateEvent(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def book() -> OrderBook:
    return OrderBook(INSTRUMENT)


def test_a_filled_order_keeps_its_level_until_its_execution_is_in(book: OrderBook) -> None:
    """The order stream may run ahead of the execution stream (docs/bybit.md 3.12 no. 5)."""
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    assert order.state is OrderState.FILLED
    assert book.has_live(Direction.LONG, 1000)
    assert [shown.key for shown in book.limit_orders.long] == [order.key]
    assert book.unsettled() == [order]

    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 2)
    assert not book.has_live(Direction.LONG, 1000)
    assert book.limit_orders.long == []


def test_partial_fills_leave_the_rest_managed(book: OrderBook) -> None:
    """incident L17: any execution used to mark the order filled and nobody owned the remainder."""
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert order.state is OrderState.PARTIALLY_FILLED
    assert book.has_live(Direction.LONG, 1000)
    assert book.limit_orders.long[0].has_fills
    book.apply_execution(order.link_id, Decimal("0.006"), ZERO, 2)
    assert order.state is OrderState.FILLED
    assert not book.has_live(Direction.LONG, 1000)


def test_executions_may_arrive_in_any_order(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.006"), ZERO, 2)  # the second one first
    assert order.state is OrderState.FILLED
    assert book.has_live(Direction.LONG, 1000), "0.004 are still to be accounted for"
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert not book.has_live(Direction.LONG, 1000)


def test_fills_that_were_accounted_for_before_adoption_are_not_added_again(book: OrderBook) -> None:
    """The listing may be ahead of the execution stream: 0.004 is in the row, and its execution comes afterwards."""
    order = make_order()
    order.state, order.cum_exec_qty, order.exec_qty = OrderState.PARTIALLY_FILLED, Decimal("0.004"), Decimal("0.004")
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert (order.state, order.cum_exec_qty) == (OrderState.PARTIALLY_FILLED, Decimal("0.004"))


def test_a_clamped_order_is_complete_when_the_exchange_says_so(book: OrderBook) -> None:
    """A reduce-only order may have been cut; its execution can arrive before the order's own message."""
    order = make_order(side=Side.SELL, qty="0.020")
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 1, order_qty=Decimal("0.010"))
    assert order.is_settled
    assert not book.has_live(Direction.LONG, 1000)


def test_the_second_filled_message_of_a_lost_cancel_is_not_news(book: OrderBook) -> None:
    """docs/bybit.md 3.12 no. 4: a cancel that lost the race answers with a second Filled."""
    order = make_order()
    book.add(order)
    book.apply_execution(order.link_id, Decimal("0.010"), ZERO, 5)
    again = update(order, OrderStatus.FILLED, "0.010", 6, reject_reason="EC_OrigClOrdIDDoesNotExist")
    assert book.apply_update(again) is None


def test_old_news_is_dropped(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 10))
    assert book.apply_update(update(order, OrderStatus.NEW, "0", 5)) is None
    assert order.state is OrderState.PARTIALLY_FILLED
    assert order.cum_exec_qty == Decimal("0.004")


def test_a_cancelled_order_with_fills_waits_for_them(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", 3, cancel_type="CancelByUser"))
    assert order.state is OrderState.CANCELLED
    assert book.has_live(Direction.LONG, 1000)
    book.apply_execution(order.link_id, Decimal("0.004"), Decimal("0.006"), 2)
    assert not book.has_live(Direction.LONG, 1000)


def test_a_cancel_hides_the_order_from_the_engine_and_keeps_its_level(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW))
    assert book.ask_cancel(order.key, "outside_grid") is not None
    assert book.limit_orders.long == []
    assert book.has_live(Direction.LONG, 1000)
    assert book.ask_cancel(order.key, "outside_grid") is None, "one cancel at a time (incident L14)"
    assert book.cancel_failed(order.key, "busy") is not None
    assert order.state is OrderState.OPEN
    assert len(book.limit_orders.long) == 1


def test_the_exchanges_price_and_quantity_are_believed(book: OrderBook) -> None:
    """It re-prices silently outside its band (docs/bybit.md 3.13) and clamps reduce-only orders."""
    order = make_order(side=Side.SELL)
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, price=Decimal("101.5"), qty=Decimal("0.007")))
    assert (order.ticks, order.qty) == (1015, Decimal("0.007"))
    assert book.has_live(Direction.LONG, 1015)
    assert not book.has_live(Direction.LONG, 1000)
    assert book.resting_close_qty(Direction.LONG) == Decimal("0.007")


def test_an_unsent_order_needs_no_request_to_go(book: OrderBook) -> None:
    order = make_order()
    order.on_wire = False
    book.add(order)
    assert book.drop_unsent(order.key, "outside_grid") is not None
    assert not book.has_live(Direction.LONG, 1000)
    sent = make_order(2)
    book.add(sent)
    assert book.drop_unsent(sent.key, "outside_grid") is None


def test_an_id_is_never_used_twice(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.reject(order.key, "no")
    with pytest.raises(IllegalTransition, match="never used"):
        book.add(make_order())


def test_sums_follow_the_orders(book: OrderBook) -> None:
    opening, closing = make_order(1), make_order(2, side=Side.SELL, ticks=1010)
    book.add(opening)
    book.add(closing)
    book.apply_execution(opening.link_id, Decimal("0.004"), Decimal("0.006"), 1)
    assert book.opening_notional() == Decimal("0.006") * 100
    assert book.opening_notional(Direction.SHORT) == 0
    assert book.resting_close_qty(Direction.LONG) == Decimal("0.010")
    assert len(book) == 2


def test_final_states_have_no_way_out() -> None:
    for state in OrderState:
        assert (not LEGAL[state]) == state.is_final


class Exchange(RuleBasedStateMachine):
    """Random lives of a few orders. The model is what truly happened; the book hears of it late and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.book = OrderBook(INSTRUMENT)
        self.count = 0
        self.orders: list[TrackedOrder] = []
        self.filled: dict[str, Decimal] = {}
        self.over: dict[str, OrderStatus] = {}
        self.updates: list[OrderUpdateEvent] = []
        self.executions: list[tuple[str, Decimal, Decimal]] = []
        self.clock = 0
        self.transitions: list[Transition] = []

    def keep(self, transition: Transition | None) -> None:
        if transition is not None:
            self.transitions.append(transition)

    @rule(ticks=st.integers(990, 994), side=st.sampled_from(Side), direction=st.sampled_from(Direction))
    def place(self, ticks: int, side: Side, direction: Direction) -> None:
        if self.book.has_live(direction, ticks):
            return
        self.count += 1
        order = make_order(self.count, ticks=ticks, side=side, direction=direction)
        self.book.add(order)
        self.orders.append(order)
        self.filled[order.key] = ZERO

    def still_open(self) -> list[TrackedOrder]:
        return [order for order in self.orders if order.key not in self.over]

    def say(self, order: TrackedOrder, status: OrderStatus) -> None:
        self.clock += 1
        self.updates.append(update(order, status, str(self.filled[order.key]), self.clock))

    @precondition(lambda self: self.still_open())
    @rule(data=st.data(), part=st.sampled_from([3, 7, 10]))
    def trade(self, data: st.DataObject, part: int) -> None:
        order = data.draw(st.sampled_from(self.still_open()))
        left = order.qty - self.filled[order.key]
        qty = min(left, Decimal(part) / 1000)
        self.filled[order.key] += qty
        leaves = left - qty
        self.clock += 1
        self.executions.append((order.key, qty, leaves))
        if leaves == 0:
            self.over[order.key] = OrderStatus.FILLED
        self.say(order, OrderStatus.FILLED if leaves == 0 else OrderStatus.PARTIALLY_FILLED)

    @precondition(lambda self: self.still_open())
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.still_open()))
        self.over[order.key] = OrderStatus.CANCELLED
        self.say(order, OrderStatus.CANCELLED)

    @precondition(lambda self: self.still_open())
    @rule(data=st.data())
    def rest(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(self.still_open()))
        self.say(order, OrderStatus.PARTIALLY_FILLED if self.filled[order.key] else OrderStatus.NEW)

    @precondition(lambda self: self.updates)
    @rule(data=st.data(), repeat=st.booleans())
    def hear_update(self, data: st.DataObject, repeat: bool) -> None:
        event = data.draw(st.sampled_from(self.updates))
        if not repeat:
            self.updates.remove(event)
        self.keep(self.book.apply_update(event))

    @precondition(lambda self: self.executions)
    @rule(data=st.data())
    def hear_execution(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.executions))
        self.executions.remove(item)
        self.keep(self.book.apply_execution(*item, self.clock))

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), act=st.sampled_from(["ask_cancel", "cancel_failed", "lose_reply", "resend"]))
    def our_side(self, data: st.DataObject, act: str) -> None:
        order = data.draw(st.sampled_from(self.orders))
        self.keep(getattr(self.book, act)(order.key, act))

    @invariant()
    def one_live_order_per_level(self) -> None:
        levels = [(order.direction, order.ticks) for order in self.book]
        assert len(levels) == len(set(levels))

    @invariant()
    def the_engine_sees_what_is_live(self) -> None:
        shown = {o.key for o in (*self.book.limit_orders.long, *self.book.limit_orders.short)}
        assert shown == {o.key for o in self.book if o.state is not OrderState.PENDING_CANCEL}

    @invariant()
    def nothing_is_believed_that_did_not_happen(self) -> None:
        for order in self.orders:
            assert order.cum_exec_qty <= self.filled[order.key]
            assert order.exec_qty <= self.filled[order.key]
            if order.state.is_final:
                assert order.key in self.over

    @invariant()
    def recorded_transitions_are_legal(self) -> None:
        for transition in self.transitions:
            assert transition.after in LEGAL[transition.before]

    def teardown(self) -> None:
        """When everything was heard at last, the book is exactly what happened."""
        for item in self.executions:
            self.book.apply_execution(*item, self.clock)
        for event in sorted(self.updates, key=lambda e: e.exchange_ts):
            self.book.apply_update(event)
        for order in self.orders:
            status = self.over.get(order.key)
            if status is not None and not any(e.order_link_id == order.key for e in self.updates):
                continue  # its last message was consumed earlier
            if status is not None:
                assert order.state.is_final
                assert order.cum_exec_qty == self.filled[order.key]
                assert not any(o is order for o in self.book)


Exchange.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestExchange = Exchange.TestCase
