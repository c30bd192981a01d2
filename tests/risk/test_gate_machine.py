"""Every event of the gate in any order, for an account of two strategies, against `gate_model` and the invariants."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.core import Direction, OrderStatus, TickerEvent, WalletEvent
from gridbot.core.limits import Limit
from gridbot.orders.book import OrderBook
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.proposal import Proposal, proposal_of
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.caps import Caps
from gridbot.risk.gate import Gate
from gridbot.risk.gate_checks import AccountView, admit
from gridbot.risk.gate_invariants import (
    caps_hold,
    close_is_covered,
    memory_is_bounded,
    money_is_there,
    nothing_passes_a_hold,
    refusal_changes_nothing,
)
from gridbot.risk.holds import PAUSED_ALREADY, Who
from gridbot.risk.refusals import Producer
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from tests.core.helpers import EXAMPLES
from tests.orders.helpers import INSTRUMENT, make_order, update
from tests.risk.gate_model import Model, ModelOrder, ModelStrategy
from tests.risk.helpers import BAD_KEY

D = Decimal
NAMES = st.sampled_from(["s1", "s2"])
LEGS = st.sampled_from(Direction)
SIZES = st.sampled_from([D(0), D("0.5"), D(2), D(5)])
QUANTITIES = st.sampled_from([D(0), D("0.1"), D("0.5"), D(1), D(1), D(2)])
TICKS = st.sampled_from([990, 1000, 1001, 1010])
WAITS = st.sampled_from([0.0, 0.0, 0.5, 4.9, 5.0, 29.0, 46.0, 60.0, 61.0, 1800.0])
CAPS: dict[str, dict[str, Any]] = {
    "s1": {"max_open_orders": 3, "max_orders_per_minute": 4, "max_margin": D("0.4"), "max_notional": D(600)},
    "s2": {"max_open_orders": 5, "max_notional": D(700)},
}
ACCOUNT = D(1000)
STOP_AFTER = 20
"""Orders; nothing lifts a stop, so it comes late."""
EPOCH_MS = 1_700_000_000_000


class GateMachine(RuleBasedStateMachine):
    """`--hypothesis-show-statistics` tells how many of the runs reach each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1.0
        self.ts = 5
        self.number = 0
        self.warned: list[str] = []
        self.gate = Gate(self.wall_ms, account_max_notional=Limit(ACCOUNT), warn=lambda key, _: self.warned.append(key))
        self.views = {name: self.view(name) for name in CAPS}
        self.model = Model(ACCOUNT, {name: ModelStrategy(name, dict(caps)) for name, caps in CAPS.items()})
        self.orders: list[tuple[str, TrackedOrder, ModelOrder]] = []

    def wall_ms(self) -> int:
        return EPOCH_MS + int(self.now * 1000)

    def view(self, name: str) -> StrategyRiskState:
        caps: dict[str, Any] = {**CAPS[name], "max_notional": Limit(CAPS[name]["max_notional"])}
        state = StrategyRiskState(name, "BTCUSDT", OrderBook(INSTRUMENT), Caps(**caps), self.wall_ms)
        self.gate.enroll(state)
        return state

    @initialize(trades=st.sampled_from([True, True, True, False]))
    def begin(self, trades: bool) -> None:
        """Most accounts begin as those that trade, so that the later checks are reached."""
        if trades:
            self.wallet(D(1000), D(500), 1)
            self.all_is_well()

    @rule()
    def all_is_well(self) -> None:
        """Everything that can be lifted is."""
        self.caps(Stops.NOTHING, None)
        self.latch(lost=False)
        self.key_is_good()
        self.stream_is_alive()
        for name in self.views:
            self.resume(name)
            self.become_ready(name, ready=True)
            self.price(name, D(100))
            for leg in Direction:
                self.leg(name, leg, D(2), D(10))

    # ------------------------------------------------------------------ asking

    @rule(name=NAMES, wishes=st.lists(st.tuples(LEGS, st.booleans(), TICKS, QUANTITIES), min_size=1, max_size=6))
    def strategy_decides(self, name: str, wishes: list[tuple[Direction, bool, int, Decimal]]) -> None:
        for leg, closes, ticks, qty in wishes:
            self.strategy_wants(name, leg, closes, ticks, qty)

    @rule(name=NAMES, leg=LEGS, qty=QUANTITIES)
    def strategy_decides_a_ladder(self, name: str, leg: Direction, qty: Decimal) -> None:
        for ticks in (1000, 990, 1001, 1010):
            self.strategy_wants(name, leg, ticks > 1000, ticks, qty)

    def strategy_wants(self, name: str, leg: Direction, closes: bool, ticks: int, qty: Decimal) -> None:
        side = leg.close_side if closes else leg.open_side
        self.number += 1
        order = make_order(self.number, ticks=ticks, side=side, direction=leg, qty=str(qty))
        order.strat_id, order.on_wire = name, False
        wanted = ModelOrder(str(leg), str(side), ticks, qty, closes)
        if self.ask(name, proposal_of(order), wanted, Producer.STRATEGY):
            self.views[name].book.add(order)
            self.model.strategies[name].orders.append(wanted)
            self.orders.append((name, order, wanted))

    @rule(name=NAMES, leg=LEGS, qty=QUANTITIES)
    def operator_closes(self, name: str, leg: Direction, qty: Decimal) -> None:
        order = make_order(ticks=1005, side=leg.close_side, direction=leg, qty=str(qty))
        wanted = ModelOrder(str(leg), str(leg.close_side), 1005, qty, True)
        self.ask(name, proposal_of(order), wanted, Producer.CLOSE)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        name, order, wanted = data.draw(st.sampled_from(self.orders))
        if not wanted.is_over:
            self.ask(name, proposal_of(order), wanted, Producer.RETRY)

    def ask(self, name: str, wanted: Proposal, plain: ModelOrder, producer: Producer) -> bool:
        view, before, warned = self.views[name], self.gate.state, len(self.warned)
        account = AccountView(Limit(ACCOUNT), self.views)
        verdict = admit(before, account, view, wanted, self.now, producer)
        assert verdict == admit(before, account, view, wanted, self.now, producer), "the same again"
        stood = set(self.model.warned)
        expected = self.model.ask(name, plain, self.now, str(producer))
        answer = self.gate.admit(view, wanted, self.now, producer)
        event(f"{producer}: {answer or 'admitted'}")
        assert answer == verdict.refusal == expected
        assert set(self.warned[warned:]) == self.model.warned - stood, "each warning is given when it begins"
        wallet = before.funds.wallet_balance
        found = nothing_passes_a_hold(before, view, verdict, self.now, producer, opens=not plain.closes)
        found += close_is_covered(view, wanted, verdict, producer)
        found += money_is_there(before, verdict, self.now)
        found += refusal_changes_nothing(before, self.gate.state, verdict)
        if producer is Producer.STRATEGY:
            account_cap, share = Limit(ACCOUNT), before.share
            found += caps_hold(self.views, view, wanted, verdict, wallet=wallet, account=account_cap, share=share)
        assert found == []
        return answer is None

    # ------------------------------------------------------------------ answers of the exchange

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), answer=st.sampled_from(["accepted", "refused", "filled"]), times=st.integers(1, 4))
    def answer(self, data: st.DataObject, answer: str, times: int) -> None:
        name, order, wanted = data.draw(st.sampled_from(self.orders))
        match answer:
            case "accepted":
                self.key_is_good()
            case "refused":
                self.refused(name, order, wanted, times)
            case _:
                self.filled(name, order, wanted, settles=times > 1)

    @rule(times=st.integers(0, 6))
    def key(self, times: int) -> None:
        if times:
            self.key_fails(times)
        else:
            self.key_is_good()

    def refused(self, name: str, order: TrackedOrder, wanted: ModelOrder, times: int) -> None:
        for _ in range(times):
            opens = self.gate.refused(order, self.now)
            event(f"breaker opens: {opens}")
            assert opens is self.model.refuse(name, wanted, self.now)
        if not wanted.is_over:
            self.views[name].book.move(order, OrderState.REJECTED, "refused")
            wanted.is_over = wanted.is_gone = True
        assert memory_is_bounded(self.gate.state, self.now) == []

    def filled(self, name: str, order: TrackedOrder, wanted: ModelOrder, *, settles: bool) -> None:
        """The order stream may be ahead of the execution: the level stays taken until that has come."""
        if not wanted.is_over:
            self.views[name].book.apply_update(update(order, OrderStatus.FILLED, str(order.qty)))
            wanted.is_over, wanted.is_gone = True, order.is_settled
        if settles and not wanted.is_gone:
            self.views[name].book.apply_execution(order.key, order.qty, D(0), 2)
            wanted.is_gone = True

    def key_fails(self, times: int) -> None:
        for _ in range(times):
            begins = self.gate.auth_failed(BAD_KEY, self.now)
            event(f"cooldown begins: {begins}")
            assert begins is self.model.fail_key(self.now)

    def key_is_good(self) -> None:
        self.gate.auth_succeeded()
        self.model.accept_key()

    # ------------------------------------------------------------------ market, legs, wallet, time

    @rule(seconds=WAITS, quotes=st.booleans())
    def time_passes(self, seconds: float, quotes: bool) -> None:
        self.now += seconds
        for name in self.views if quotes else ():
            self.price(name, D(100))

    @rule(name=NAMES, price=st.sampled_from([D(95), D(100), D("100.5")]))
    def price(self, name: str, price: Decimal) -> None:
        self.views[name].set_price(TickerEvent("BTCUSDT", price), self.now)
        self.model.strategies[name].price, self.model.strategies[name].price_s = price, self.now

    @rule(name=NAMES, leg=LEGS, size=SIZES, leverage=st.sampled_from([None, D(5), D(10)]), doubted=st.booleans())
    def leg(self, name: str, leg: Direction, size: Decimal, leverage: Decimal | None, doubted: bool = False) -> None:
        self.views[name].set_leg(leg, Leg(size, None, leverage))
        strategy = self.model.strategies[name]
        strategy.sizes[str(leg)], strategy.leverage[str(leg)] = size, leverage
        strategy.unsure.discard(str(leg))
        if doubted:
            self.doubt(name, leg)

    def doubt(self, name: str, leg: Direction) -> None:
        self.views[name].doubt_leg(leg)
        self.model.strategies[name].unsure.add(str(leg))

    @rule(
        balance=st.sampled_from([D(0), D(500), D(1000)]),
        available=st.sampled_from([None, D(0), D(30), D(500), D(500)]),
        newer=st.integers(-2, 1),
        alive=st.booleans(),
    )
    def wallet(self, balance: Decimal, available: Decimal | None, newer: int, alive: bool = False) -> None:
        if alive:
            self.stream_is_alive()
        ts = self.ts + newer
        self.ts = max(self.ts, ts)
        known = self.model.wallet
        self.model.see_wallet(ts, balance, available, self.now)
        seen = WalletEvent("USDT", balance, available_balance=available, exchange_ts=ts)
        assert self.gate.wallet_seen(seen, self.now) is (known is None or ts >= known[0])

    def stream_is_alive(self) -> None:
        self.gate.stream_alive(self.now)
        self.model.wallet_s = self.now

    # ------------------------------------------------------------------ caps of account, groups and fleet

    @rule(stops=st.sampled_from(Stops), share=st.sampled_from([None, None, D(0), D(300), D(1000)]))
    def caps(self, stops: Stops, share: Decimal | None) -> None:
        self.gate.braked(Brake(stops, "a cap"))
        self.gate.lent(share)
        self.model.brake = {Stops.NOTHING: "", Stops.OPENS: "opens", Stops.ALL: "all"}[stops]
        self.model.share = share

    # ------------------------------------------------------------------ holds

    @rule(name=NAMES, what=st.sampled_from(["ready", "not ready", "pause", "halt", "resume", "latch", "clear", "stop"]))
    def hold(self, name: str, what: str) -> None:
        match what:
            case "ready" | "not ready":
                self.become_ready(name, ready=what == "ready")
            case "pause":
                self.pause(name, Who.LIQUIDATION if self.number % 2 else Who.OPERATOR)
            case "halt":
                self.halt(name, Who.FAULT if self.number % 2 else Who.EXCHANGE)
            case "resume":
                self.resume(name)
            case "latch" | "clear":
                self.latch(lost=what == "latch")
            case _ if self.number > STOP_AFTER:
                self.stop()

    def become_ready(self, name: str, ready: bool) -> None:
        self.views[name].set_ready(ready=ready)
        if ready:
            self.model.strategies[name].holds.pop("not_ready", None)
        else:
            self.model.strategies[name].holds.setdefault("not_ready", "not reconciled with the exchange")

    def pause(self, name: str, who: Who) -> None:
        reason, holds = f"pause {self.now}", self.model.strategies[name].holds
        self.views[name].pause(who, reason)
        newest, *first = holds.setdefault("paused", reason).split(PAUSED_ALREADY)
        if who is not Who.OPERATOR and newest != reason:
            holds["paused"] = f"{reason}{PAUSED_ALREADY}{(first or [newest])[0]}"

    def halt(self, name: str, who: Who) -> None:
        holds = self.model.strategies[name].holds
        assert self.views[name].halt(f"halt {self.now}", who) is ("halted" not in holds)
        holds.setdefault("halted", f"halt {self.now}")

    def resume(self, name: str) -> None:
        self.views[name].resume()
        for hold in ("paused", "halted"):
            self.model.strategies[name].holds.pop(hold, None)

    def latch(self, lost: bool) -> None:
        self.gate.latch_loss(f"lost {self.now}" if lost else "")
        if lost:
            self.model.holds.setdefault("session_loss_limit", f"lost {self.now}")
        else:
            self.model.holds.pop("session_loss_limit", None)

    def stop(self) -> None:
        self.gate.stop()
        self.model.holds["stopping"] = ""

    # ------------------------------------------------------------------ always

    @invariant()
    def the_first_reason_stays_until_it_is_lifted(self) -> None:
        assert self.gate.loss_latched == self.model.holds.get("session_loss_limit", "")
        assert self.gate.stopping is ("stopping" in self.model.holds)
        for name, view in self.views.items():
            reasons = {str(hold): held.reason for hold, held in view.holds.held.items()}
            assert reasons == self.model.strategies[name].holds

    @invariant()
    def funds_and_attempts_are_those_of_the_model(self) -> None:
        state = self.gate.state
        assert state.funds.promised == sum(self.model.promised, D(0))
        assert state.warned == self.model.warned
        assert state.auth.is_cooling(self.now) is (self.now < self.model.cooling_until)
        still_open = {level: until for level, until in self.model.open_until.items() if self.now < until}
        assert {
            (name, str(leg), str(side), ticks): until
            for (name, leg, side, ticks), until in state.breaker.open_until(self.now).items()
        } == still_open
        for name, rate in state.rates.items():
            assert sum(count for _, count in rate.acts) == rate.total <= (rate.per_minute or 0)
            assert len(self.model.strategies[name].attempts) >= rate.total


GateMachine.TestCase.settings = settings(max_examples=EXAMPLES * 2, stateful_step_count=50, deadline=None)
TestGateMachine = GateMachine.TestCase
