"""What becomes of requests on a trade connection: by example, and by a machine that lets anything happen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.trade_frames import TradeAnswer
from gridbot.bybit.trade_line import (
    Answered,
    Effect,
    Ended,
    Event,
    Heard,
    Lost,
    Opened,
    Sent,
    Settled,
    SignedIn,
    SignIn,
    Time,
    TradeLine,
    step,
)
from gridbot.bybit.watchdog import Limits
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome, make_error
from gridbot.exchange.stream_news import ConnectionState
from gridbot.orders.outcomes import OrderOutcome, result_of_place
from tests.case_table import case_table
from tests.examples import examples

LIMITS = Limits(connect_s=15, pong_s=45, check_s=2)
ANSWER_S = 10.0
RESET = make_error("reset", ErrorKind.RETRY)
OP = "order.create"


def answer(request_id: str, code: int | None = 0, operation: str = OP) -> TradeAnswer:
    return TradeAnswer(request_id, operation, code, "words", {"retCode": code, "result": {}}, None)


def fresh() -> TradeLine:
    return TradeLine(LIMITS, ANSWER_S, from_ret_code, 0.0)


def ready() -> TradeLine:
    line = fresh()
    assert step(line, Opened(), 0.0) == [SignIn()]
    assert step(line, SignedIn(0, "OK"), 0.0) == []
    return line


def kinds(effects: list[Effect]) -> list[Any]:
    """What became of each settled request: its error's kind, or None; and "lost"."""
    found: list[Any] = []
    for effect in effects:
        if isinstance(effect, Settled):
            found.append(effect.outcome.kind if isinstance(effect.outcome, ExchangeError) else None)
        else:
            found.append("lost")
    return found


def test_nothing_is_sent_before_the_sign_in_is_answered() -> None:
    line = fresh()
    for event in (Opened(), Heard()):
        step(line, event, 0.0)
        assert not line.takes_orders
        with pytest.raises(RuntimeError):
            step(line, Sent("a", OP), 0.0)
    step(line, SignedIn(0, "OK"), 0.0)
    assert line.takes_orders


@pytest.mark.parametrize("code", [10003, 10004, 33004])
def test_a_refused_sign_in_ends_the_connection_with_the_reason(code: int) -> None:
    line = fresh()
    step(line, Opened(), 0.0)
    [lost] = step(line, SignedIn(code, "Invalid sign"), 0.0)
    assert isinstance(lost, Lost)
    assert (lost.error.kind, lost.unresolved) == (ErrorKind.AUTH, 0)
    assert "Invalid sign" in str(lost.error)


def test_a_sign_in_without_a_code_is_no_sign_in() -> None:
    line = fresh()
    step(line, Opened(), 0.0)
    assert kinds(step(line, SignedIn(None, ""), 0.0)) == ["lost"]


def test_answers_may_come_in_any_order_and_twice() -> None:
    line = ready()
    for name in ("a", "b"):
        step(line, Sent(name, OP), 0.0)
    assert kinds(step(line, Answered(answer("b")), 0.1)) == [None]
    assert step(line, Answered(answer("b", 110007)), 0.2) == []
    assert kinds(step(line, Answered(answer("a", 110007)), 0.3)) == [ErrorKind.BALANCE]


def test_an_answer_that_names_no_request_settles_none() -> None:
    line = ready()
    step(line, Sent("a", OP), 0.0)
    assert step(line, Answered(answer("", 10001)), 0.1) == []
    assert list(line.under_way) == ["a"]


@pytest.mark.parametrize("bad", [answer("a", None), answer("a", 0, "order.cancel")])
def test_an_answer_that_cannot_be_ours_leaves_the_order_unresolved(bad: TradeAnswer) -> None:
    line = ready()
    step(line, Sent("a", OP), 0.0)
    assert kinds(step(line, Answered(bad), 0.1)) == [ErrorKind.AMBIGUOUS]


@case_table(
    ("code", "kind", "outcome"),
    [
        (10006, ErrorKind.RATE_LIMIT, OrderOutcome.REJECTED),
        (10403, ErrorKind.RATE_LIMIT, OrderOutcome.UNRESOLVED),
        (10002, ErrorKind.RETRY, OrderOutcome.REJECTED),
        (10016, ErrorKind.AMBIGUOUS, OrderOutcome.UNRESOLVED),
        (10404, ErrorKind.PARAM, OrderOutcome.REJECTED),
        (20006, ErrorKind.DUPLICATE, OrderOutcome.UNRESOLVED),
        (10429, ErrorKind.AMBIGUOUS, OrderOutcome.UNRESOLVED),
        (110072, ErrorKind.DUPLICATE, OrderOutcome.UNRESOLVED),
    ],
)
def test_a_code_means_what_it_means_over_http(code: int, kind: ErrorKind, outcome: OrderOutcome) -> None:
    line = ready()
    step(line, Sent("a", OP), 0.0)
    [settled] = step(line, Answered(answer("a", code)), 0.1)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcome, ExchangeError)
    assert settled.outcome.kind is kind
    assert result_of_place(settled.outcome).outcome is outcome
    assert line.takes_orders


def test_a_restarting_service_gets_nothing_new_and_its_answers_are_awaited() -> None:
    line = ready()
    for name in ("a", "b"):
        step(line, Sent(name, OP), 0.0)
    [settled] = step(line, Answered(answer("b", 10019)), 0.1)
    assert isinstance(settled, Settled)
    assert isinstance(settled.outcome, ExchangeError)
    assert settled.outcome.outcome is Outcome.UNKNOWN
    assert (line.takes_orders, line.state) == (False, ConnectionState.READY)
    assert kinds(step(line, Answered(answer("a")), 0.2)) == [None, "lost"]


def test_who_is_not_signed_in_any_more_signs_in_again() -> None:
    line = ready()
    for name in ("a", "b"):
        step(line, Sent(name, OP), 0.0)
    effects = step(line, Answered(answer("a", 10004)), 0.1)
    assert kinds(effects) == [ErrorKind.AUTH, ErrorKind.AMBIGUOUS, "lost"]


def test_a_lost_socket_leaves_everything_unresolved_and_what_comes_later_is_ignored() -> None:
    line = ready()
    for name in ("a", "b"):
        step(line, Sent(name, OP), 0.0)
    effects = step(line, Ended(RESET), 0.1)
    assert kinds(effects) == [ErrorKind.AMBIGUOUS, ErrorKind.AMBIGUOUS, "lost"]
    assert effects[-1] == Lost(RESET, 2)
    for event in (Answered(answer("a")), Ended(RESET), Time(), Opened(), SignedIn(0, "")):
        assert step(line, event, 99.0) == []


def test_a_lost_answer_is_unresolved_after_its_time_and_the_connection_stays_while_it_lives() -> None:
    line = ready()
    step(line, Sent("a", OP), 1.0)
    step(line, Sent("b", OP), 5.0)
    assert line.due_s(10.5) == pytest.approx(0.5)
    assert step(line, Time(), 10.9) == []
    step(line, Heard(), 10.9)
    assert kinds(step(line, Time(), 11.0)) == [ErrorKind.AMBIGUOUS]
    assert step(line, Answered(answer("a")), 11.1) == []  # late: the look-up has the word
    assert kinds(step(line, Answered(answer("b")), 11.2)) == [None]


@given(st.floats(0.0, 1e6), st.sampled_from([0.2, 5.0, 9.9, 10.0]))
def test_at_the_moment_for_which_it_asks_an_answer_is_late(sent_s: float, answer_s: float) -> None:
    """Rounded otherwise than the wait, it was due and not late: the watchdog looked again and again (seed 779)."""
    line = TradeLine(LIMITS, answer_s, from_ret_code, sent_s)
    for event in (Opened(), SignedIn(0, "OK"), Sent("a", OP)):
        step(line, event, sent_s)
    now_s = sent_s + answer_s - 0.001
    while (due_s := line.due_s(now_s)) > 0:
        now_s += due_s
    assert ErrorKind.AMBIGUOUS in kinds(step(line, Time(), now_s))


def test_a_connection_that_is_silent_since_a_request_left_is_given_up() -> None:
    line = ready()
    step(line, Sent("a", OP), 1.0)
    step(line, Sent("b", OP), 5.0)
    effects = step(line, Time(), 11.0)
    assert kinds(effects) == [ErrorKind.AMBIGUOUS, ErrorKind.AMBIGUOUS, "lost"]
    assert effects[-1].unresolved == 2  # type: ignore[union-attr]


def test_the_watchdog_gives_up_a_dead_connection() -> None:
    line = fresh()
    assert kinds(step(line, Time(), 15.1)) == ["lost"]
    line = ready()
    assert step(line, Time(), 45.0) == []
    assert kinds(step(line, Time(), 45.1)) == ["lost"]


class Anything(RuleBasedStateMachine):
    """Any events in any order: each request that was sent is settled once, and nothing else is."""

    def __init__(self) -> None:
        super().__init__()
        self.line = fresh()
        self.now_s = 0.0
        self.sent: list[str] = []
        self.settled: dict[str, dict[str, Any] | ExchangeError] = {}
        self.sent_s: dict[str, float] = {}

    def happen(self, event: Event) -> list[Effect]:
        was_lost = self.line.state is ConnectionState.LOST
        effects = step(self.line, event, self.now_s)
        assert not (was_lost and effects)
        for effect in effects:
            if isinstance(effect, Settled):
                assert effect.request_id in self.sent_s
                assert effect.request_id not in self.settled, "settled twice"
                self.settled[effect.request_id] = effect.outcome
        losses = [effect for effect in effects if isinstance(effect, Lost)]
        assert len(losses) == (self.line.state is ConnectionState.LOST and not was_lost)
        return effects

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 9.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.happen(Time())
        assert all(self.now_s - self.sent_s[name] < ANSWER_S for name in self.line.under_way)

    @rule()
    def opened(self) -> None:
        self.happen(Opened())

    @rule(code=st.sampled_from([0, 0, 0, 20001, 10004, None]))
    def signed_in(self, code: int | None) -> None:
        self.happen(SignedIn(code, "words"))

    @rule()
    def heard(self) -> None:
        self.happen(Heard())

    @precondition(lambda self: self.line.takes_orders)
    @rule()
    def sends(self) -> None:
        name = f"r-{len(self.sent)}"
        self.sent.append(name)
        self.sent_s[name] = self.now_s
        self.happen(Sent(name, OP))

    @precondition(lambda self: self.sent)
    @rule(
        pick=st.integers(0, 50),
        code=st.sampled_from([0, 0, 0, 10002, 10006, 10016, 10019, 20006, 10004, 110007, 999999, None]),
        operation=st.sampled_from([OP, OP, OP, "order.cancel", ""]),
    )
    def answered(self, pick: int, code: int | None, operation: str) -> None:
        name = self.sent[pick % len(self.sent)]
        was_open = name in self.line.under_way
        self.happen(Answered(answer(name, code, operation)))
        if not was_open:
            return
        outcome = self.settled[name]
        if code == 0 and operation == OP:
            assert not isinstance(outcome, ExchangeError)
        else:
            assert isinstance(outcome, ExchangeError)

    @rule()
    def answered_nobody(self) -> None:
        before = dict(self.line.under_way)
        self.happen(Answered(answer("", 10001)))
        self.happen(Answered(answer("never-sent")))
        assert dict(self.line.under_way) == before

    @rule()
    def ended(self) -> None:
        waiting = list(self.line.under_way)
        self.happen(Ended(RESET))
        for name in waiting:
            outcome = self.settled[name]
            assert isinstance(outcome, ExchangeError)
            assert outcome.kind is ErrorKind.AMBIGUOUS

    @precondition(lambda self: self.line.state is ConnectionState.LOST)
    @rule()
    def another(self) -> None:
        self.line = TradeLine(LIMITS, ANSWER_S, from_ret_code, self.now_s)

    @invariant()
    def each_is_settled_or_under_way(self) -> None:
        assert set(self.sent) == self.settled.keys() | self.line.under_way.keys()
        assert not self.settled.keys() & self.line.under_way.keys()
        if self.line.state is not ConnectionState.READY:
            assert not self.line.under_way


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)
