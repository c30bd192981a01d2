"""Drawdown and loss of several accounts together, and whom a latch holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridbot.config.fleet_models import FleetCaps
from gridbot.core.limits import OnBreach
from gridbot.risk.fleet_share import CapHold
from supervisor.caps.cap_scope import (
    Adopted,
    Breached,
    CapScope,
    Figures,
    Parted,
    Reported,
    Resumed,
    loss_used,
    restored,
    step,
)
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
NOW_MS = 1_700_000_000_000


def scope(*accounts: str, **caps: Any) -> CapScope:
    return CapScope("fleet/paper", FleetCaps.model_validate(caps), accounts or ("a", "b"))


def report(state: CapScope, name: str, equity: object, result: object = 0, counted_from: str = "0") -> Breached | None:
    value = D(str(equity))
    return step(state, Reported({name: Figures(value, value, value, D(str(result)), counted_from)}, NOW_MS))


def test_a_fall_of_the_sum_holds_all_accounts_and_each_is_resumed_by_itself() -> None:
    state = scope("a", "b", "c", max_drawdown="100", on_breach="cancel")
    assert report(state, "a", 1000) is report(state, "b", 500) is None
    assert report(state, "a", 1050) is None, "the peak is 1550"
    assert report(state, "b", 450) is None
    assert report(state, "a", 1000) is None, "exactly the limit; c has never been heard of"
    breach = report(state, "a", 999)
    reason = "summed equity fell by 101.00 USDT from its peak of 1550.00, max_drawdown is 100.00"
    assert breach == Breached(reason, ("a", "b", "c"))
    assert state.held == dict.fromkeys("abc", CapHold(reason, NOW_MS, OnBreach.CANCEL))
    assert report(state, "a", 1) is None, "all are held"
    step(state, Resumed("a"))
    assert set(state.held) == {"b", "c"}
    assert report(state, "a", 900) is None, "the peak is that of now"
    assert state.drawdown.peak == 1350
    assert report(state, "b", 350) is None
    assert report(state, "a", 899) == Breached(
        "summed equity fell by 101.00 USDT from its peak of 1350.00, max_drawdown is 100.00", ("a",)
    )
    step(state, Resumed("x"))
    assert set(state.held) == {"a", "b", "c"}


def test_what_another_host_takes_over_is_neither_a_fall_nor_a_gain() -> None:
    state = scope("a", "b", max_drawdown="100", session_loss_limit="100")
    assert report(state, "a", 1000, -40) is report(state, "b", 500) is None
    assert report(state, "a", 950, -90) is None
    step(state, Parted("a"))
    assert (state.accounts, set(state.figures), state.drawdown.peak) == (("b",), {"b"}, 550)
    used = loss_used(state)
    assert used is not None
    assert used.fall == 50, "what it lost here is lost"
    assert report(state, "b", 450, 0) is None, "exactly the limit"
    assert report(state, "b", 449, 0) is not None
    step(state, Parted("b"))
    assert (state.accounts, state.held) == ((), {})


def test_an_odd_look_of_one_account_moves_neither_peak_nor_latch() -> None:
    state = scope(max_drawdown="10%")
    report(state, "a", 1000)
    report(state, "b", 1000)
    odd = Figures(D(1000), D(1900), D(1000), D(0), "0")
    assert step(state, Reported({"a": odd}, NOW_MS)) is None
    assert state.drawdown.peak == 2000
    low = Figures(D(100), D(1000), D(1000), D(0), "0")
    assert step(state, Reported({"a": low}, NOW_MS)) is None
    fall = state.fallen()
    assert fall is not None
    assert (fall.fall, fall.most) == (0, 200)


def test_losses_count_from_when_the_cap_first_saw_an_account_and_by_its_own_counting() -> None:
    state = scope(session_loss_limit="100")
    report(state, "a", 1000, result=-500)
    report(state, "b", 1000, result=20)
    assert loss_used(state) == (0, 100), "lost before"
    assert report(state, "a", 940, result=-560) is None
    assert loss_used(state) == (60, 100)
    assert report(state, "a", 940, result=0, counted_from="-560") is None, "its own latch was cleared"
    assert loss_used(state) == (60, 100), "that of all goes on"
    assert report(state, "b", 959, result=-21) == Breached(
        "lost 101.00 USDT together, the session loss limit is 100.00", ("a", "b")
    )
    step(state, Resumed("b"))
    assert report(state, "b", 959, result=-21) is None
    assert loss_used(state) == (0, 100)


def test_a_share_of_the_wallets_is_of_what_they_were_and_open_losses_count_where_wanted() -> None:
    state = scope("a", session_loss_limit="x0.1", session_loss_includes_unrealised=True)
    assert loss_used(state) is None
    step(state, Reported({"a": Figures(D(1000), D(1000), D(1000), D(0), "0")}, NOW_MS))
    assert step(state, Reported({"a": Figures(D(850), D(900), D(950), D(-50), "0")}, NOW_MS)) is None
    assert loss_used(state) == (100, D("105.0"))
    breach = step(state, Reported({"a": Figures(D(840), D(840), D(950), D(-50), "0")}, NOW_MS))
    assert breach is not None
    assert "lost 160.00 USDT together, the session loss limit is 111.00" in breach.reason


def test_it_goes_on_over_a_restart_with_other_accounts() -> None:
    state = scope("a", "b", max_drawdown="100", session_loss_limit="50")
    report(state, "a", 1000, -10)
    report(state, "b", 500, -5)
    report(state, "b", 480, -25)
    document = orjson.loads(orjson.dumps(state.to_document()))
    same = restored("fleet/paper", state.caps, ("a", "b"), document)
    assert same == state
    fewer = restored("fleet/paper", state.caps, ("b", "c"), document)
    assert (fewer.drawdown.peak, set(fewer.figures), loss_used(fewer)) == (500, {"b"}, (20, 50))
    assert report(fewer, "c", 700, -33) is None
    assert (fewer.drawdown.peak, loss_used(fewer)) == (1200, (20, 50)), "it brings its own"


def test_a_new_account_of_a_scope_that_holds_all_is_held_and_one_that_left_is_not() -> None:
    state = scope("a", "b", max_drawdown="100")
    report(state, "a", 1000)
    assert report(state, "a", 800) is not None
    document = state.to_document()
    assert set(restored("x", state.caps, ("b", "c"), document).held) == {"b", "c"}
    step(state, Resumed("a"))
    assert set(restored("x", state.caps, ("a", "b", "c"), state.to_document()).held) == {"b"}


def test_a_hold_of_which_only_the_worker_knows_is_taken_over() -> None:
    state, hold = scope(), CapHold("crossed", 5)
    step(state, Adopted("a", hold))
    step(state, Adopted("a", CapHold("another", 6)))
    assert state.held == {"a": hold}


@case_table(
    "wrong",
    [
        {"accounts": None},
        {"figures": {"a": ["1", "1", "1", "1"]}},
        {"figures": {"a": ["1", "1", "x", "1", ""]}},
        {"drawdown": {}},
        {"base": 5},
        {"held": {"a": {}}},
    ],
)
def test_another_document_is_refused(wrong: dict[str, Any]) -> None:
    document = {**scope().to_document(), **wrong}
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, ArithmeticError)):
        restored("fleet/paper", FleetCaps(), ("a",), document)


class Together(RuleBasedStateMachine):
    """Accounts win and lose, are resumed, and the supervisor dies; against lists of sums."""

    def __init__(self) -> None:
        super().__init__()
        self.state = scope("a", "b", max_drawdown="100")
        self.equity: dict[str, int] = {}
        self.sums: list[int] = []
        self.joined = 0
        self.held: set[str] = set()
        self.again: set[str] = set()

    @initialize(first=st.integers(100, 900), second=st.integers(100, 900))
    def begin(self, first: int, second: int) -> None:
        self.says("a", first)
        self.says("b", second)

    def says(self, name: str, equity: int) -> None:
        if name not in self.equity and self.sums:
            self.sums = [each + equity for each in self.sums]
        self.equity[name] = equity
        if name in self.again:
            self.again.discard(name)
            self.sums = []
        breach = report(self.state, name, equity)
        if self.held == {"a", "b"}:
            assert breach is None
            return
        total = sum(self.equity.values())
        self.sums.append(total)
        falls = max(self.sums) - total > 100
        assert (breach is not None) is falls
        if falls:
            event("breached")
            self.held = {"a", "b"}

    @rule(name=st.sampled_from("ab"), move=st.integers(-80, 60))
    def it_moves(self, name: str, move: int) -> None:
        self.says(name, self.equity.get(name, 500) + move)

    @rule(name=st.sampled_from("ab"))
    def it_is_resumed(self, name: str) -> None:
        event(f"resumed, held: {name in self.held}")
        step(self.state, Resumed(name))
        if name in self.held:
            self.held.discard(name)
            self.again.add(name)

    @rule()
    def the_supervisor_dies(self) -> None:
        """What was resumed and has not spoken since counts from the peak of before: a process begins with figures."""
        for name in list(self.again):
            self.says(name, self.equity[name])
        document = orjson.loads(orjson.dumps(self.state.to_document()))
        self.state = restored("fleet/paper", self.state.caps, self.state.accounts, document)

    @invariant()
    def it_holds_whom_the_model_holds(self) -> None:
        assert set(self.state.held) == self.held
        if self.sums and not self.again and self.held != {"a", "b"}:
            assert self.state.drawdown.peak == max(self.sums)


Together.TestCase.settings = settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
TestTogether = Together.TestCase
