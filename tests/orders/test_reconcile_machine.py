"""The reconciler against an exchange that does everything wrong that it can, one step at a time.

Afterwards, when the exchange answers again and nothing changes any more, every execution is counted exactly once, the
book is the exchange's, and nothing is left to do. GRIDBOT_EXAMPLES scales the number of runs.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gridbot.core import Direction, ExecutionEvent, OrderUpdateEvent, Side
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.exchange.failures import ErrorKind, TruncatedListing, make_error
from gridbot.orders import reconcile_invariants as invariants
from gridbot.orders import reconcile_words as words
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.reconcile import GRACE_MS
from tests.core.helpers import EXAMPLES
from tests.orders.helpers import begin_cancel, make_order
from tests.orders.model_exchange import Exchange
from tests.orders.reconcile_model import STRATEGY, Account

D = Decimal
ERRORS = (make_error("busy", ErrorKind.RETRY), TruncatedListing("cut"))
LATE_MS = st.integers(0, OVERLAP_MS - 10_000)
LISTED_LATE_MS = st.sampled_from([0, 0, 900, GRACE_MS - 1_000])
OLD_MS = st.sampled_from([0, 0, 0, 200, 5_000])
PICK = st.integers(0, 1_000)


class Reconciling(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.exchange = Exchange()
        self.account = Account(self.exchange, note=event)
        self.connected = True
        self.frames: list[ExecutionEvent | OrderUpdateEvent] = []
        self.delayed: list[tuple[str, int]] = []

    @initialize(
        ticks=st.sets(st.integers(1000, 1003), max_size=3),
        side=st.sampled_from(Side),
        undone=st.sampled_from(["none", "later", "listed"]),
    )
    def start(self, ticks: set[int], side: Side, undone: str) -> None:
        """A ladder rests, and all is known; a cancel that the exchange accepted may have had no effect."""
        for level in sorted(ticks):
            self.place(level, side, late=0, reply=0)
        self.all_frames()
        self.account.want_pass("start")
        self.all_answers()
        self.exchange.now_ms += GRACE_MS
        if undone != "none" and ticks:
            self.we_cancel(0, reply=3)
            self.a_cancel_is_answered(0, has_effect=False)
        if undone == "listed":
            self.account.want_pass()
            self.all_answers()

    # ------------------------------------------------------------------ the exchange and its market

    def _push(self, *frames: ExecutionEvent | OrderUpdateEvent) -> None:
        if self.connected:
            self.frames += frames

    def _resting(self) -> list[str]:
        return [link for link, row in self.exchange.orders.items() if row.status.is_open]

    @rule(ticks=st.integers(1000, 1003), side=st.sampled_from(Side), late=LISTED_LATE_MS, reply=st.integers(0, 3))
    def place(self, ticks: int, side: Side, late: int, reply: int) -> None:
        """0, 1: acknowledged. 2: the reply is lost. 3: the request is lost, or comes late."""
        account = self.account
        order = account.place(ticks, side)
        if reply < 3:
            row = self.exchange.accept(order, late)
            if reply < 2:
                account.book.acknowledge(order.key, row.order_id)
            self._push(row)
        else:
            self.delayed.append((order.link_id, late))
        if reply >= 2:
            account.lose_reply(order)

    @rule(ticks=st.integers(1000, 1003), side=st.sampled_from(Side), told=st.booleans())
    def an_order_of_another_program_is_adopted(self, ticks: int, side: Side, told: bool) -> None:
        """It rests under an id that is not ours, and its news may have come before."""
        direction = Direction.LONG if side is Side.BUY else Direction.SHORT
        order = make_order(ticks=ticks, side=side, direction=direction)
        order.link_id = f"theirs-{len(self.exchange.orders)}"
        row = self.exchange.accept(order, 0)
        if told:
            self._push(row)
        self.account.adopt(row)

    @precondition(lambda self: self.delayed)
    @rule(pick=PICK)
    def a_request_arrives_late(self, pick: int) -> None:
        link_id, late = self.delayed.pop(pick % len(self.delayed))
        order = self.account.book.get(link_id)
        if order is not None:
            self._push(self.exchange.accept(order, late))

    @precondition(lambda self: self._resting())
    @rule(pick=PICK, whole=st.booleans(), late=LATE_MS)
    def fill(self, pick: int, whole: bool, late: int) -> None:
        resting = self._resting()
        link_id = resting[pick % len(resting)]
        row = self.exchange.orders[link_id]
        left = row.qty - row.cum_exec_qty
        part = left if whole or left == D("0.001") else (left / 2).quantize(D("0.001"))
        self._push(*self.exchange.fill(link_id, part, late))

    @precondition(lambda self: self._resting())
    @rule(pick=PICK, late=LATE_MS)
    def a_fill_shows_in_its_order_alone(self, pick: int, late: int) -> None:
        """The frame of the execution is lost, and the list has it late."""
        resting = self._resting()
        row = self.exchange.orders[resting[pick % len(resting)]]
        _, row = self.exchange.fill(row.order_link_id, row.qty - row.cum_exec_qty, late)
        self.account.hear(row)

    @precondition(lambda self: self._resting())
    @rule(
        seconds=st.sampled_from([1, 62, 300]),
        fates=st.lists(st.sampled_from(["fill", "by hand", "cancel"]), min_size=1, max_size=3),
        live_first=st.booleans(),
    )
    def an_outage(self, seconds: int, fates: list[str], live_first: bool) -> None:
        """Things happen while the stream is dark; it comes back with a live fill before anything was asked."""
        self.the_stream_goes_dark()
        for fate in fates:
            match fate:
                case "by hand":
                    self.exchange.trade_by_hand(0)
                case "fill" if self._resting():
                    self.fill(0, whole=False, late=0)
                case "cancel" if self._resting():
                    self.somebody_cancels(0)
            self.time_passes(seconds)
        if live_first and self._resting():
            self.connected = True
            self.fill(0, whole=False, late=0)
            self.all_frames()
        self.the_stream_is_back()

    @rule(late=LATE_MS)
    def trade_by_hand_elsewhere(self, late: int) -> None:
        self.exchange.trade_by_hand(late)

    @precondition(lambda self: self._resting())
    @rule(pick=PICK)
    def somebody_cancels(self, pick: int) -> None:
        resting = self._resting()
        row = self.exchange.cancel(resting[pick % len(resting)])
        assert row is not None
        self._push(row)

    @rule(pick=PICK, reply=st.integers(0, 3))
    def we_cancel(self, pick: int, reply: int) -> None:
        """0: acknowledged. 1: the reply is lost. 2: the request is lost. 3: answered later, perhaps without effect."""
        book = self.account.book
        ours = [order for order in book if order.state in (OrderState.OPEN, OrderState.PARTIALLY_FILLED)]
        if not ours:
            return
        order = ours[pick % len(ours)]
        begin_cancel(book, order.key, "unwanted")
        if reply == 3:
            return
        row = self.exchange.cancel(order.link_id) if reply < 2 else None
        if row is not None:
            self._push(row)
        if reply or row is None:
            self.account.lose_reply(order)
        else:
            self.account.cancel_answered(order)

    def _leaving(self) -> list[TrackedOrder]:
        """Orders whose cancel is under way."""
        return [order for order in self.account.book if order.state is OrderState.PENDING_CANCEL and order.cancelling]

    @precondition(lambda self: self._leaving())
    @rule(pick=PICK, has_effect=st.booleans())
    def a_cancel_is_answered(self, pick: int, has_effect: bool) -> None:
        leaving = self._leaving()
        order = leaving[pick % len(leaving)]
        if order.link_id not in self._resting():
            self.account.lose_reply(order)  # "no such order"
            return
        if has_effect:
            row = self.exchange.cancel(order.link_id)
            assert row is not None
            self._push(row)
        self.account.cancel_answered(order)

    # ------------------------------------------------------------------ the stream

    @precondition(lambda self: self.frames)
    @rule(pick=PICK, fate=st.sampled_from(["delivered", "delivered", "delivered", "repeated", "lost"]))
    def a_frame(self, pick: int, fate: str) -> None:
        frame = self.frames[pick % len(self.frames)]
        if fate != "repeated":
            self.frames.remove(frame)
        if fate == "lost":
            return
        if isinstance(frame, ExecutionEvent):
            self.account.count(frame)
        else:
            self.account.hear(frame)

    @rule()
    def all_frames(self) -> None:
        while self.frames:
            self.a_frame(0, "delivered")

    @rule()
    def the_stream_goes_dark(self) -> None:
        self.connected, self.frames = False, []

    @precondition(lambda self: not self.connected)
    @rule()
    def the_stream_is_back(self) -> None:
        self.connected = True
        self.account.want_pass("the stream reconnected")

    # ------------------------------------------------------------------ time, questions, death

    @rule(seconds=st.sampled_from([0.001, 0.5, 1, 5, 31, 62, 300]))
    def time_passes(self, seconds: float) -> None:
        self.exchange.now_ms += round(seconds * 1000)
        self.account.mono_s += seconds
        self.account.feed(words.Time())

    @rule(ms=st.sampled_from([0, -25_000, -3_000, 4_000]))
    def the_exchanges_clock_is_set(self, ms: int) -> None:
        self.exchange.skew_ms = ms

    @rule()
    def a_pass_is_wanted(self) -> None:
        self.account.want_pass()

    @rule()
    def legs_are_wanted(self) -> None:
        self.account.tickets += 1
        self.account.feed(words.LegsWanted("BTCUSDT", self.account.tickets))

    @precondition(lambda self: self.account.asking)
    @rule(pick=PICK, old=OLD_MS, late=st.booleans())
    def an_answer(self, pick: int, old: int, late: bool) -> None:
        """As of now, or of when it was asked, or of a little before that."""
        asking = self.account.asking[pick % len(self.account.asking)]
        at_ms = asking.asked_ms if late else self.exchange.now_ms
        self.account.answer(asking, min(at_ms, asking.asked_ms - old) if old else at_ms)

    @precondition(lambda self: self.account.asking)
    @rule()
    def all_answers(self) -> None:
        for _ in range(30):
            if not self.account.asking:
                break
            self.account.answer(self.account.asking[0], self.exchange.now_ms)

    @precondition(lambda self: self.account.asking)
    @rule(pick=PICK, row=PICK)
    def an_answer_with_a_row_that_cannot_be_read(self, pick: int, row: int) -> None:
        self.account.answer_in_part(self.account.asking[pick % len(self.account.asking)], row)

    @precondition(lambda self: self.account.asking)
    @rule(pick=PICK, error=st.sampled_from(ERRORS), is_fault=st.booleans())
    def no_answer(self, pick: int, error: Exception, is_fault: bool) -> None:
        self.account.fail(self.account.asking[pick % len(self.account.asking)], error, is_fault=is_fault)

    @rule()
    def a_fault_of_ours(self) -> None:
        self.account.asking.clear()
        self.account.feed(words.Broke(RuntimeError("ours")))

    @precondition(lambda self: bool(list(self.account.book)))
    @rule(pick=PICK)
    def a_record_finds_no_room(self, pick: int) -> None:
        """What becomes of an order from here on is not recorded."""
        self.account.record()
        orders = list(self.account.book)
        self.account.refused.add(orders[pick % len(orders)].key)

    @rule()
    def the_checkpoint_is_written(self) -> None:
        self.account.save()

    @rule()
    def death(self) -> None:
        self.frames, self.delayed = [], []
        self.account.die()
        self.account.want_pass("start")

    # ------------------------------------------------------------------ the end

    def teardown(self) -> None:
        """Everything works again and nothing changes: then we are equal to the exchange."""
        account, exchange = self.account, self.exchange
        self.connected, self.frames, self.delayed = True, [], []
        for _ in range(4):
            ticket = account.want_pass()
            for _ in range(70):
                while account.asking:
                    account.answer(account.asking[0], exchange.now_ms)
                while self._leaving():
                    self.a_cancel_is_answered(0, has_effect=True)
                self.time_passes(1)
            assert isinstance(account.told[ticket], words.Finished)
        assert {row.exec_id for row, _ in exchange.executions} == account.counted.keys()
        assert set(account.counted.values()) <= {1}
        assert invariants.equals_listing(account.view, exchange.listing(exchange.now_ms)) == []
        assert account.book.unsettled() == []
        assert not any(order.is_cancel_answered for order in account.book)
        state = account.state
        assert (dict(state.looking), dict(state.missing), dict(state.legs), state.run) == ({}, {}, {}, None)
        assert account.recorded.keys() == {row.order_link_id for row in exchange.listing(exchange.now_ms)}
        assert state.ends.orders == {}
        assert account.alerts == []
        for leg in exchange.positions(exchange.now_ms):
            assert account.ledger.leg(STRATEGY, leg.direction)[0] == leg.size
            assert abs(account.ledger.leg(STRATEGY, leg.direction)[1] - (leg.entry_price or 0)) < D("1e-6")


TestReconciling = Reconciling.TestCase
TestReconciling.settings = settings(
    max_examples=max(10, EXAMPLES // 2),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
