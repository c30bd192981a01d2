"""The invariants of the gate: each finds its violations, and nothing in what is right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gridbot.core import Direction, OrderStatus, Side
from gridbot.core.limits import Limit
from gridbot.orders.breakers import Breaker, Circuit, FailureRun, RateCap
from gridbot.risk.brake import Brake, Stops
from gridbot.risk.caps import Caps
from gridbot.risk.funds import Funds
from gridbot.risk.gate_invariants import (
    caps_hold,
    close_is_covered,
    memory_is_bounded,
    money_is_there,
    nothing_passes_a_hold,
    refusal_changes_nothing,
)
from gridbot.risk.gate_state import GateState, Promise, Verdict
from gridbot.risk.holds import Holds, Latch, Stop, step
from gridbot.risk.refusals import Producer, Refusal
from gridbot.risk.strategy_state import Leg, StrategyRiskState
from tests.case_table import case_table
from tests.orders.helpers import make_order, update
from tests.risk.helpers import NOW, proposal, trading_state, wallet

D = Decimal
ADMITTED = Verdict(None, "s1")
PAUSED = Verdict(Refusal.PAUSED)
CLOSE = proposal(1010, Side.SELL, qty="1")
LEVEL = ("s1", Direction.LONG, Side.BUY, 1000)


def test_an_order_that_passes_a_hold_is_found() -> None:
    def found(before: GateState, *, halted: bool = False, producer: Producer = Producer.STRATEGY) -> list[str]:
        view = trading_state("s1")
        if halted:
            view.halt("delisted")
        assert nothing_passes_a_hold(before, view, PAUSED, NOW, producer) == []
        return nothing_passes_a_hold(before, view, ADMITTED, NOW, producer)

    cooling = GateState(auth=FailureRun(until_s=NOW + 1))
    stopped = GateState(holds=step(step(Holds(), Stop(), 1)[0], Latch("lost"), 1)[0])
    assert found(GateState(auth=FailureRun(until_s=NOW))) == []
    assert found(cooling) == [f"an order of a strategy was admitted though the key cools until {NOW + 1}"]
    assert found(GateState(), halted=True, producer=Producer.RETRY) == [
        "an order of a retry was admitted though it holds: halted"
    ]
    assert found(stopped) == [
        "an order of a strategy was admitted though it holds: stopping",
        "an order of a strategy was admitted though it holds: session_loss",
    ]
    assert found(stopped, halted=True, producer=Producer.CLOSE) == []
    for stops, opens in ((Stops.OPENS, True), (Stops.ALL, False)):
        braked = GateState(brake=Brake(stops, "fell too far"))
        args = (braked, trading_state("s1"), ADMITTED, NOW, Producer.STRATEGY)
        said = ["an order of a strategy was admitted though a cap stops it: fell too far"]
        assert nothing_passes_a_hold(*args, opens=opens) == said
        assert (nothing_passes_a_hold(*args) == []) is (stops is Stops.OPENS), "a close"


def with_closes(size: str, *resting: str) -> StrategyRiskState:
    view = trading_state("s1")
    view.set_leg(Direction.LONG, Leg(D(size), D(100), D(10)))
    for n, qty in enumerate(resting):
        view.book.add(make_order(n, ticks=1020 + n, side=Side.SELL, qty=qty))
    view.book.add(make_order(90, ticks=990, qty="5"))  # opens are no closes
    view.book.add(make_order(91, ticks=991, side=Side.BUY, direction=Direction.SHORT, qty="5"))  # another leg
    return view


@case_table(
    ("size", "resting", "producer", "right"),
    [
        ("1", (), Producer.STRATEGY, True),
        ("0.9", (), Producer.CLOSE, False),
        ("1.5", ("0.2", "0.3"), Producer.STRATEGY, True),
        ("1.5", ("0.2", "0.4"), Producer.STRATEGY, False),
        ("1.5", ("0.5", "1"), Producer.RETRY, True),
        ("1.5", ("0.6", "1"), Producer.RETRY, False),
    ],
)
def test_a_close_that_is_too_large_is_found(
    size: str, resting: tuple[str, ...], producer: Producer, *, right: bool
) -> None:
    view = with_closes(size, *resting)
    assert (close_is_covered(view, CLOSE, ADMITTED, producer) == []) is right
    assert close_is_covered(view, CLOSE, PAUSED, producer) == []
    assert close_is_covered(view, proposal(qty="99"), ADMITTED, producer) == [], "an open closes nothing"


def test_a_close_of_nothing_is_found_and_what_was_executed_no_longer_rests() -> None:
    view = with_closes("1", "0.5")
    nothing = CLOSE._replace(qty=D(0))
    assert close_is_covered(view, nothing, ADMITTED, Producer.CLOSE) == [
        "a close of 0 long was admitted, 0.5 can be closed"
    ]
    order = next(order for order in view.book if order.reduce_only)
    view.book.apply_update(update(order, OrderStatus.PARTIALLY_FILLED, "0.4"))
    assert close_is_covered(view, CLOSE._replace(qty=D("0.9")), ADMITTED, Producer.STRATEGY) == []


def known(available: str | None = "10", *, known_s: float | None = NOW, promised: str = "4") -> GateState:
    return GateState(funds=Funds(wallet(available=available), known_s, D(promised)))


def opened(margin: str, *, is_probe: bool = False) -> Verdict:
    return Verdict(None, "s1", (Promise(D(margin), is_probe),))


def test_money_that_is_not_there_is_found() -> None:
    assert money_is_there(known(), opened("6"), NOW + 45) == []
    assert money_is_there(known(), opened("6.01"), NOW) == ["10.01 is promised, 10 is available"]
    assert money_is_there(known(), ADMITTED, NOW + 99) == [], "a close takes nothing"
    for unknown in (GateState(), known(None), known(known_s=None), known(known_s=NOW - 45.1)):
        assert money_is_there(unknown, opened("99", is_probe=True), NOW) == []
        assert money_is_there(unknown, opened("1"), NOW) == [
            "an order was admitted with is_probe False, the balance is fresh: False"
        ]
    assert money_is_there(known(), opened("1", is_probe=True), NOW) == [
        "an order was admitted with is_probe True, the balance is fresh: True"
    ]
    refused = Verdict(Refusal.FUNDS, "", (Promise(D(1), is_probe=False),))
    assert money_is_there(known(), refused, NOW) == ["a refused order was promised 1"]


def caps_found(
    caps: Caps, *, verdict: Verdict = ADMITTED, qty: str = "1", closes: bool = False, account: str | None = None
) -> list[str]:
    """A strategy with a long leg of 1 bought at 90, a short one of 0.5, at 100.5; 99 rests; another holds 2."""
    view, other = trading_state("s1", caps), trading_state("s2")
    view.set_leg(Direction.LONG, Leg(D(1), D(90), D(10)))
    view.set_leg(Direction.SHORT, Leg(D("0.5"), D(110), D(10)))
    view.book.add(make_order(1, ticks=990, qty="1"))
    other.set_leg(Direction.LONG, Leg(D(2), D(90), D(10)))
    wanted = proposal(1010, Side.SELL, qty=qty) if closes else proposal(qty=qty)
    limit = None if account is None else Limit.parse(account)
    return caps_hold({"s1": view, "s2": other}, view, wanted, verdict, wallet=D(100), account=limit)


def test_a_cap_that_does_not_hold_is_found() -> None:
    """With the order of 100: 349.75 for the strategy, 550.75 for the account, 289 for the long leg."""
    assert caps_found(Caps()) == []
    assert caps_found(Caps(max_open_orders=2)) == []
    assert caps_found(Caps(max_open_orders=1)) == ["2 orders rest, the cap is 1"]
    assert caps_found(Caps(max_open_orders=1), closes=True) == ["2 orders rest, the cap is 1"]
    assert caps_found(Caps(max_open_orders=1), verdict=PAUSED) == []
    assert caps_found(Caps(max_notional=Limit(D("349.75")))) == []
    assert caps_found(Caps(max_notional=Limit(D("3.4"), of_wallet=True))) == ["s1 is worth 349.75, the cap is x3.4"]
    assert caps_found(Caps(), account="550.75") == []
    assert caps_found(Caps(), account="550.7") == ["the account is worth 550.75, the cap is 550.7"]
    assert caps_found(Caps(), account="x5.5") == ["the account is worth 550.75, the cap is x5.5"]
    assert caps_found(Caps(max_margin=D("2.89"))) == []
    assert caps_found(Caps(max_margin=D("2.88"))) == ["the long leg is worth 189.0 before the order, the cap is x2.88"]
    assert caps_found(Caps(max_notional=Limit(D(1)), max_margin=D(0)), closes=True, account="1") == []


def test_without_prices_the_order_s_own_stands_in() -> None:
    view = trading_state("s1", Caps(max_margin=D(2)))
    view.set_leg(Direction.LONG, Leg(D(1)))
    view.last_price = None

    def found(qty: str) -> list[str]:
        return caps_hold({"s1": view}, view, proposal(qty=qty), ADMITTED, wallet=D(100), account=Limit(D(100)))

    assert found("1") == []
    assert caps_hold({"s1": view}, view, proposal(), ADMITTED, wallet=D(100), account=None, share=D(9)) == [
        "the account is worth 10.00, its share of the fleet's caps is 9"
    ]
    assert found("1.01") == [
        "the account is worth 101.000, the cap is 100",
        "the long leg is worth 100.0 before the order, the cap is x2",
    ]


def test_a_finished_order_rests_no_more() -> None:
    view = trading_state("s1", Caps(max_open_orders=1))
    order = make_order(1)
    view.book.add(order)
    view.book.apply_update(update(order, OrderStatus.FILLED, "0.010"))
    assert len(list(view.book)) == 1
    assert caps_hold({"s1": view}, view, proposal(), ADMITTED, wallet=D(100), account=None) == []


def test_a_refusal_that_changes_something_is_found() -> None:
    before = GateState()
    warned = before._replace(warned=frozenset({"s1.max_notional"}))
    probed = before._replace(funds=Funds(probe_s=1.0))
    assert refusal_changes_nothing(before, warned, PAUSED) == []
    assert refusal_changes_nothing(before, probed, ADMITTED) == []
    assert refusal_changes_nothing(before, probed, PAUSED) == [
        f"a refusal (paused) changed funds: {Funds()} -> {Funds(probe_s=1.0)}"
    ]


def memory(**more: Any) -> list[str]:
    return memory_is_bounded(GateState()._replace(**more), 100.0)


def test_memory_that_grows_is_found() -> None:
    assert memory() == []
    for kept in (Circuit((40.0, 99.0)), Circuit((40.0,)), Circuit(open_until=101.0), Circuit(open_until=40.0)):
        assert memory(breaker=Breaker(circuits={LEVEL: kept})) == []
    assert memory(breaker=Breaker(circuits={LEVEL: Circuit((97.0, 98.0, 99.0))})) == [
        f"{LEVEL}: 3 failures are kept, 3 open it"
    ]
    assert memory(breaker=Breaker(circuits={LEVEL: Circuit((39.9,))})) == [
        f"{LEVEL}: kept though nothing happened since 39.9"
    ]
    assert memory(breaker=Breaker(circuits={LEVEL: Circuit()})) == [f"{LEVEL}: kept though nothing happened since None"]
    assert memory(rates={"s1": RateCap(2, ((1.0, 2),), 2), "s2": RateCap(None)}) == []
    assert memory(rates={"s1": RateCap(2, ((1.0, 2), (2.0, 1)), 3)}) == [
        "s1: 3 attempts are kept, 3 counted, the cap is 2"
    ]
    assert memory(rates={"s1": RateCap(2, ((1.0, 1),), 2)}) == ["s1: 1 attempts are kept, 2 counted, the cap is 2"]
    assert memory(rates={"s1": RateCap(None, ((1.0, 1),), 1)}) == [
        "s1: 1 attempts are kept, 1 counted, the cap is None"
    ]
    one = {"s1": RateCap(None)}
    assert memory(rates=one, warned=frozenset("abcdef")) == []
    assert memory(rates=one, warned=frozenset("abcdefg")) == ["7 warnings stand for 1 strategies"]
