"""The fall of equity from its peak (docs/caps.md 3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gridbot.core.limits import DrawdownLimit
from gridbot.risk.drawdown import (
    Cleared,
    DrawdownRule,
    DrawdownState,
    Event,
    Joined,
    Latched,
    Restored,
    Seen,
    TwoLooks,
    Unknown,
    Used,
    step,
    used,
)
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
NOW_MS = 1_700_000_000_000


def rule_of(text: str | None) -> DrawdownRule:
    return DrawdownRule(None if text is None else DrawdownLimit.parse(text))


def seen(low: str, high: str = "") -> Seen:
    return Seen(D(low), D(high or low), NOW_MS)


def test_two_looks_in_a_row_give_the_lower_and_the_higher() -> None:
    looks = TwoLooks()
    assert [looks.take(D(value)) for value in (5, 9, 7)] == [(5, 5), (5, 9), (7, 9)]


@case_table(
    ("limit", "equity", "latches"),
    [
        ("100", "900", False),  # exactly the limit is not above it
        ("100", "899.99", True),
        ("10%", "900", False),
        ("10%", "899.99", True),
        ("100", "1200", False),
        (None, "1", False),  # off
    ],
)
def test_a_fall_above_the_limit_latches(limit: str | None, equity: str, *, latches: bool) -> None:
    state, none = step(DrawdownState(), seen("1000"), rule_of(limit))
    assert (state, none) == (DrawdownState(D(1000)), None)
    after, latched = step(state, seen(equity), rule_of(limit))
    assert (latched is not None) is latches
    assert after.peak == max(D(1000), D(equity))
    assert (after.latched, after.since_ms) == ((latched.reason, NOW_MS) if latched else ("", 0))


def test_the_fall_counts_from_the_highest_equity_and_one_odd_look_moves_nothing() -> None:
    limit = rule_of("100")
    state, _ = step(DrawdownState(), seen("1000"), limit)
    state, _ = step(state, seen("1000", "1500"), limit)
    assert state.peak == 1000, "a fill whose leg is not smaller yet is no peak"
    state, effect = step(state, seen("500", "1000"), limit)
    assert (state.peak, effect) == (D(1000), None), "nor a fall"
    state, _ = step(state, seen("1300"), limit)
    after, effect = step(state, seen("1199"), limit)
    assert effect == Latched(
        "equity fell by 101.00 USDT from its peak of 1300.00, max_drawdown is 100.00; "
        "until an operator resumes the account"
    )
    assert step(after, seen("2000"), limit) == (after, None), "latched: it latches once, and the peak stays"
    cleared, effect = step(after, Cleared(), limit)
    assert (cleared, effect) == (DrawdownState(), None)
    assert step(cleared, seen("1199"), limit)[0].peak == 1199, "a new peak"


def test_capital_that_comes_or_goes_is_no_gain_and_no_loss() -> None:
    state, _ = step(DrawdownState(D(1000)), Joined(D(500)), rule_of("100"))
    assert state.peak == 1500
    assert step(DrawdownState(), Joined(D(500)), rule_of("100")) == (DrawdownState(), None)
    assert used(state, D(1460), rule_of("10%")) == Used(D(40), D(150))
    assert used(state, D(1560), rule_of("10%")) == Used(D(0), D(150))
    assert used(state, D(1460), rule_of(None)) is None
    assert used(DrawdownState(), D(1460), rule_of("10%")) is None


def test_an_account_of_which_nobody_knows_is_latched_until_it_is_cleared() -> None:
    latched, effect = step(DrawdownState(D(5)), Unknown("caps.json is torn", NOW_MS), rule_of("1"))
    assert (latched, effect) == (DrawdownState(D(5), "caps.json is torn", NOW_MS), Latched("caps.json is torn"))
    assert step(latched, seen("1"), rule_of("1")) == (latched, None)


@case_table(
    "document",
    [
        {},
        {"peak": "1", "latched": ""},
        {"peak": "NaN", "latched": "", "since_ms": 0},
        {"peak": 1.5, "latched": "", "since_ms": 0},
        {"peak": None, "latched": None, "since_ms": 0},
        {"peak": None, "latched": "", "since_ms": "soon"},
    ],
)
def test_another_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, ArithmeticError)):
        DrawdownState.from_document(document)


class Falls(RuleBasedStateMachine):
    """Equity rises and falls, operators resume, processes die, documents are torn; against a plain list of equities."""

    def __init__(self) -> None:
        super().__init__()
        self.state = DrawdownState()
        self.rule = rule_of(None)
        self.equity = D(1000)
        self.looks: list[Decimal] = []
        """Since the latch was last clear."""
        self.latched_ms: int | None = None
        self.now_ms = NOW_MS

    @initialize(limit=st.sampled_from(["50", "10%", None]), moves=st.lists(st.integers(-40, 60), max_size=5))
    def begin(self, limit: str | None, moves: list[int]) -> None:
        self.rule = rule_of(limit)
        for move in moves:
            self.it_is_seen(move)

    def take(self, act: Event) -> Latched | None:
        event(f"event {type(act).__name__}")
        before = self.state
        self.state, effect = step(before, act, self.rule)
        assert (effect is not None) is (bool(self.state.latched) and self.state.latched != before.latched)
        return effect

    @rule(move=st.integers(-90, 60))
    def it_is_seen(self, move: int) -> None:
        self.equity += move
        self.now_ms += 500
        if self.latched_ms is None:
            self.looks.append(self.equity)
        effect = self.take(Seen(self.equity, self.equity, self.now_ms))
        most = {None: None, "50": D(50), "10%": max(self.looks, default=D(0)) / 10}[
            None if self.rule.limit is None else str(self.rule.limit)
        ]
        falls = self.latched_ms is None and most is not None and max(self.looks) - self.equity > most
        assert (effect is not None) is falls
        if falls:
            event("latched by a fall")
            self.latched_ms = self.now_ms

    @rule()
    def an_operator_resumes(self) -> None:
        event(f"resumed, latched: {self.latched_ms is not None}")
        self.take(Cleared())
        self.looks, self.latched_ms = [], None

    @rule(cut=st.sampled_from([0, 0, 1, 9]))
    def restart(self, cut: int) -> None:
        document = orjson.dumps(self.state.to_document())
        self.state = DrawdownState()
        try:
            left = DrawdownState.from_document(orjson.loads(document[: len(document) - cut]))
        except ValueError:
            assert cut
            self.take(Unknown("torn", self.now_ms))
            self.looks, self.latched_ms = [], self.now_ms
        else:
            self.state, effect = step(self.state, Restored(left), self.rule)
            assert effect is None

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        assert self.state.peak == max(self.looks, default=None)
        assert bool(self.state.latched) is (self.latched_ms is not None)
        assert self.state.since_ms == (self.latched_ms or 0)


Falls.TestCase.settings = settings(max_examples=examples(30), stateful_step_count=25, deadline=None)
TestFalls = Falls.TestCase
