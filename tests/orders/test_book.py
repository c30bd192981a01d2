"""The order book against a small exchange that reorders, repeats and delays what it says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders.book import OrderBook
from gridbot.orders.order import LEGAL, IllegalTransition, OrderState, TrackedOrder, Transition
from tests.examples import examples
from tests.orders.helpers import INSTRUMENT, make_order, update

ZERO = Decimal(0)


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
    book.apply_execution(order.link_id, Decimal("0.001"), Decimal("0.009"), 1)
    assert book.has_live(Direction.LONG, 1000), "0.003 are"
    book.apply_execution(order.link_id, Decimal("0.003"), Decimal("0.006"), 1)
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


@pytest.mark.parametrize(("cum", "ts"), [("0", 5), ("0.004", 9), ("0.003", 11)])
def test_old_news_is_dropped(book: OrderBook, cum: str, ts: int) -> None:
    """Older by its time, or by what was executed: frames may overtake each other (docs/bybit.md 3.12)."""
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 10))
    assert book.apply_update(update(order, OrderStatus.NEW, cum, ts, price=Decimal(90))) is None
    assert (order.state, order.cum_exec_qty, order.ticks) == (OrderState.PARTIALLY_FILLED, Decimal("0.004"), 1000)


@pytest.mark.parametrize(("cum", "ts"), [("0.004", 9), ("0", 11)])
def test_the_end_of_an_order_is_news_however_late_it_comes(book: OrderBook, cum: str, ts: int) -> None:
    order = make_order()
    book.add(order)
    book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 10)
    over = book.apply_update(update(order, OrderStatus.CANCELLED, cum, ts))
    assert over is not None
    assert (over.after, order.cum_exec_qty, order.exchange_ts) == (OrderState.CANCELLED, Decimal("0.004"), max(ts, 10))


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


@pytest.mark.parametrize("heard", ["update", "execution"])
def test_an_order_that_the_exchange_speaks_of_has_left(book: OrderBook, heard: str) -> None:
    order = make_order()
    order.on_wire = False
    book.add(order)
    if heard == "update":
        book.apply_update(update(order, OrderStatus.NEW))
    else:
        book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 1)
    assert book.drop_unsent(order.key, "outside_grid") is None


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


def test_an_order_answers_to_both_of_its_ids(book: OrderBook) -> None:
    """An adopted order brings its exchange id along; a new one gets it with the acknowledgement."""
    adopted, new = make_order(1), make_order(2, ticks=1001)
    adopted.order_id = "x1"
    book.add(adopted)
    book.add(new)
    book.acknowledge(new.key, "x2")
    assert (book.get("x1"), book.get("x2"), book.get(new.link_id)) == (adopted, new, new)
    assert new.state is OrderState.PENDING, "an acknowledgement is no proof that it rests"
    for key, order_id in (("unknown", "x3"), (new.key, "")):
        book.acknowledge(key, order_id)
    assert (book.get("x3"), new.order_id) == (None, "x2")


@pytest.mark.parametrize(("part", "after"), [("0", OrderState.CANCELLED), ("0.010", OrderState.FILLED)])
def test_an_order_that_the_exchange_does_not_know_any_more_is_over(
    book: OrderBook, part: str, after: OrderState
) -> None:
    """incident L14: it leaves the books, as filled or as cancelled, and is not cancelled again at each tick."""
    order = make_order()
    order.cum_exec_qty = order.exec_qty = Decimal(part)
    book.add(order)
    book.ask_cancel(order.key, "outside_grid")
    gone = book.gone(order.key, "unknown to the exchange")
    assert gone == Transition(order, OrderState.PENDING_CANCEL, after, "unknown to the exchange")
    assert not book.has_live(Direction.LONG, 1000)
    assert (book.gone(order.key, ""), book.ask_cancel(order.key, ""), book.cancel_failed(order.key, "")) == (None,) * 3


def test_a_refused_cancel_leaves_an_order_with_fills_partially_filled(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004"))
    book.ask_cancel(order.key, "outside_grid")
    book.cancel_failed(order.key, "busy")
    assert order.state is OrderState.PARTIALLY_FILLED


def test_a_lost_reply_keeps_the_level_until_a_look_up_has_answered(book: OrderBook) -> None:
    """incident L2: nobody knows whether the order exists, so nothing may be placed in its stead."""
    order = make_order()
    book.add(order)
    assert book.resend(order.key, "retry") is None, "only what is unresolved is sent again"
    assert book.lose_reply(order.key, "timeout") == Transition(
        order, OrderState.PENDING, OrderState.UNRESOLVED, "timeout"
    )
    assert book.lose_reply(order.key, "timeout") is None
    assert book.has_live(Direction.LONG, 1000)
    assert book.cancel_failed(order.key, "still open") is None, "a refused cancel proves nothing about it"
    assert book.resend(order.key, "it never arrived") == Transition(
        order, OrderState.UNRESOLVED, OrderState.PENDING, "it never arrived"
    )
    assert book.reject(order.key, "refused") == Transition(order, OrderState.PENDING, OrderState.REJECTED, "refused")
    assert not book.has_live(Direction.LONG, 1000)
    assert (book.lose_reply(order.key, ""), book.reject(order.key, ""), book.reject("unknown", "")) == (None,) * 3


def test_what_never_comes_is_given_up(book: OrderBook) -> None:
    """After a minute an unsettled order is settled as it is, so that its level is free again."""
    order = make_order()
    book.add(order)
    book.settle(order.key)
    assert book.has_live(Direction.LONG, 1000), "an order that rests is not settled by anybody"
    book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    book.settle(order.key)
    assert (order.exec_qty, order.is_settled, book.unsettled()) == (Decimal("0.010"), True, [])
    assert not book.has_live(Direction.LONG, 1000)

    assert book.apply_execution(order.key, Decimal("0.010"), ZERO, 9) is None
    assert not book.has_live(Direction.LONG, 1000), "the late execution frees no level twice"
    book.add(make_order(2))
    assert book.has_live(Direction.LONG, 1000)


def test_an_execution_of_an_unknown_order_changes_nothing(book: OrderBook) -> None:
    assert book.apply_execution("unknown", Decimal(1), ZERO, 1) is None
    assert len(book) == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"reject_reason": "EC_PostOnlyWillTakeLiquidity", "cancel_type": "UNKNOWN"}, "EC_PostOnlyWillTakeLiquidity"),
        ({"reject_reason": "EC_NoError", "cancel_type": "CancelByUser"}, "CancelByUser"),
        ({"reject_reason": "", "cancel_type": "UNKNOWN"}, ""),
    ],
)
def test_the_reason_of_an_end_is_the_exchanges_most_telling_word(
    book: OrderBook, words: dict[str, str], reason: str
) -> None:
    order = make_order()
    book.add(order)
    over = book.apply_update(update(order, OrderStatus.CANCELLED, ts=7, **words))
    assert over == Transition(order, OrderState.PENDING, OrderState.CANCELLED, reason, 7)


def test_a_change_that_the_table_does_not_know_is_refused(book: OrderBook) -> None:
    order = make_order()
    order.state = OrderState.PARTIALLY_FILLED  # a fault of ours: nothing was executed
    book.add(order)
    with pytest.raises(IllegalTransition, match="partially_filled -> open is not a legal transition"):
        book.apply_update(update(order, OrderStatus.NEW))


def test_the_engine_can_tell_by_the_version_that_nothing_has_changed(book: OrderBook) -> None:
    """docs/core.md: while the version stays the same, the engine answers without a look at the lists."""
    order = make_order(side=Side.SELL, direction=Direction.SHORT)
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW, ts=2))
    before = book.limit_orders.version
    assert book.apply_update(update(order, OrderStatus.NEW, ts=3)) is None, "said again"
    assert (book.limit_orders.version, list(book)) == (before, [order])
    assert [shown.key for shown in book.limit_orders.short] == [order.key]
    book.ask_cancel(order.key, "outside_grid")
    assert book.limit_orders.version > before


def test_while_a_cancel_is_under_way_only_the_end_is_news(book: OrderBook) -> None:
    order = make_order()
    book.add(order)
    book.ask_cancel(order.key, "outside_grid")
    assert book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.004", 2)) is None
    assert book.apply_execution(order.key, Decimal("0.004"), Decimal("0.006"), 2) is None
    assert (order.state, order.cum_exec_qty) == (OrderState.PENDING_CANCEL, Decimal("0.004"))
    assert book.apply_update(update(order, OrderStatus.CANCELLED, "0.004", 3)) is not None
    assert not book.has_live(Direction.LONG, 1000)


def test_finished_orders_are_remembered_within_bounds(book: OrderBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.orders.book.FINISHED_KEPT", 2)
    orders = [make_order(n) for n in range(3)]
    for n, order in enumerate(orders):
        order.order_id = f"x{n}"
        book.add(order)
        book.reject(order.key, "no")
    assert [book.get(order.key) for order in orders] == [None, *orders[1:]]
    assert [book.get(order.order_id) for order in orders] == [None, *orders[1:]]
    assert len(book._key_of_order_id) == 2


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


Exchange.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
TestExchange = Exchange.TestCase
