"""What stops all orders until somebody lifts it: every event in every state (docs/risk.md 6.5)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.risk import holds
from gridbot.risk.holds import (
    DURABLE,
    LIFTED_BY,
    NOT_READY,
    REFUSALS,
    SET_BY,
    Event,
    Halt,
    Held,
    Hold,
    Holds,
    Kill,
    Latch,
    NotReady,
    Pause,
    Ready,
    Reduce,
    Resume,
    Stop,
    Unlatch,
    Who,
    refusal_of,
    step,
)
from gridbot.risk.refusals import Refusal
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES

FIRST = Held("first", Who.WORKER, 1)
STATES = [Holds(dict.fromkeys(chosen, FIRST)) for size in range(4) for chosen in combinations(Hold, size)]
SETTING: list[tuple[Event, Hold, Held]] = [
    (Stop(), Hold.STOPPING, Held("the worker is stopping", Who.WORKER, 9)),
    (NotReady(), Hold.NOT_READY, Held("not reconciled with the exchange", Who.WORKER, 9)),
    (Latch("lost 51"), Hold.SESSION_LOSS, Held("lost 51", Who.LOSS_LIMIT, 9)),
    (Halt("delisted", Who.EXCHANGE), Hold.HALTED, Held("delisted", Who.EXCHANGE, 9)),
    (Halt("KeyError", Who.FAULT), Hold.HALTED, Held("KeyError", Who.FAULT, 9)),
    (Pause("asked", Who.OPERATOR), Hold.PAUSED, Held("asked", Who.OPERATOR, 9)),
    (Pause("taken", Who.LIQUIDATION), Hold.PAUSED, Held("taken", Who.LIQUIDATION, 9)),
    (Kill("leaked", Who.OPERATOR), Hold.LATCHED, Held("leaked", Who.OPERATOR, 9)),
    (Kill("lost a tenth", Who.LOSS_LIMIT), Hold.LATCHED, Held("lost a tenth", Who.LOSS_LIMIT, 9)),
    (Reduce("margin", Who.LOSS_LIMIT), Hold.REDUCING, Held("margin", Who.LOSS_LIMIT, 9)),
]


@case_table("state", STATES, ids=lambda state: "+".join(state.held) or "free")
def test_every_event_in_every_state(state: Holds) -> None:
    for event, hold, held in SETTING:
        after, changed = step(state, event, 9)
        if hold in state.held and held.who is Who.LIQUIDATION:
            both = Held("taken; it was paused already: first", Who.LIQUIDATION, 1)
            assert (after, changed) == (Holds({**state.held, hold: both}), {hold}), "whoever resumes it has to know"
        elif hold in state.held:
            assert (after, changed) == (state, set()), "the first reason stays"
        else:
            assert (after, changed) == (Holds({**state.held, hold: held}), {hold})
    for lifting, lifts in (
        (Ready(), {Hold.NOT_READY}),
        (Resume(), {Hold.SESSION_LOSS, Hold.HALTED, Hold.PAUSED, Hold.REDUCING}),
        (Unlatch(), {Hold.LATCHED}),
    ):
        after, changed = step(state, lifting, 9)
        assert after.held == {hold: FIRST for hold in state.held if hold not in lifts}
        assert changed == state.held.keys() & lifts
    assert step(state, Resume(), 9)[0].held.get(Hold.STOPPING) is state.held.get(Hold.STOPPING), "for good"


@case_table(
    "event",
    [
        Stop(who=Who.OPERATOR),
        NotReady(who=Who.EXCHANGE),
        Latch("x", Who.OPERATOR),
        Halt("x", Who.OPERATOR),
        Halt("x", Who.LIQUIDATION),
        Pause("x", Who.FAULT),
        Pause("x", Who.LOSS_LIMIT),
        Kill("x", Who.FAULT),
        Reduce("x", Who.EXCHANGE),
    ],
)
def test_only_those_who_may_set_a_hold_do(event: Event) -> None:
    with pytest.raises(ValueError, match=r"^expected \w+ to be set by [a-z_]+(, [a-z_]+)*, got "):
        step(Holds(), event, 9)


def test_the_message_names_all_who_may() -> None:
    with pytest.raises(ValueError, match="expected paused to be set by exchange, liquidation, operator, got Pause"):
        step(Holds(), Pause("x", Who.FAULT), 9)


def test_of_what_the_exchange_does_to_a_paused_strategy_the_newest_is_told_and_the_first() -> None:
    """A liquidation during an operator's pause was told to nobody, and `resume` ended both."""
    state, _ = step(Holds(), Pause("holidays", Who.OPERATOR), 5)
    for reason, who in (("ADL of 1", Who.LIQUIDATION), ("moved by 2", Who.EXCHANGE), ("moved by 2", Who.EXCHANGE)):
        state, _ = step(state, Pause(reason, who), 9)
    assert state.held == {Hold.PAUSED: Held("moved by 2; it was paused already: holidays", Who.EXCHANGE, 5)}
    assert step(state, Pause("again", Who.OPERATOR), 10) == (state, frozenset())
    assert step(state, Resume(), 11)[0] == Holds()


def test_the_first_hold_of_account_or_strategy_is_the_answer() -> None:
    order = [Refusal.STOPPING, Refusal.NOT_READY, Refusal.LATCHED, Refusal.LOSS_LIMIT, Refusal.HALTED]
    order += [Refusal.PAUSED, Refusal.REDUCING]
    assert [REFUSALS[hold] for hold in Hold] == order
    for account in STATES:
        for strategy in STATES:
            found = [REFUSALS[hold] for hold in Hold if hold in account.held or hold in strategy.held]
            assert refusal_of(account, strategy) is (found[0] if found else None)


def test_a_new_strategy_is_not_ready() -> None:
    assert NOT_READY.held == {Hold.NOT_READY: Held("the start is not complete", Who.WORKER, 0)}
    assert step(NOT_READY, Ready(), 9)[0] == Holds() == Holds({})
    assert Holds().reason(Hold.PAUSED) == ""
    assert NOT_READY.reason(Hold.NOT_READY) == "the start is not complete"


HOLDS = st.dictionaries(
    st.sampled_from(Hold), st.builds(Held, st.text(), st.sampled_from(Who), st.integers(0, 2**53))
).map(Holds)


@settings(max_examples=EXAMPLES, deadline=None)
@given(HOLDS)
def test_a_document_has_all_that_holds(state: Holds) -> None:
    again = Holds.from_document(orjson.loads(orjson.dumps(state.to_document())))
    assert again == state
    assert again.rank == state.rank


def test_a_document_has_reason_who_and_when() -> None:
    state, _ = step(Holds(), Pause("asked", Who.OPERATOR), 1_700_000_000_000)
    assert state.to_document() == {"paused": {"reason": "asked", "who": "operator", "since_ms": 1_700_000_000_000}}


@case_table(
    "document",
    [
        {"unknown": {"reason": "", "who": "operator", "since_ms": 1}},
        {"paused": {"reason": "", "who": "nobody", "since_ms": 1}},
        {"paused": {"reason": "", "who": "operator", "since_ms": None}},
        {"paused": {"reason": "", "who": "operator"}},
        {"paused": {"who": "operator", "since_ms": 1}},
        {"paused": {"reason": "", "since_ms": 1}},
        {"paused": None},
    ],
)
def test_another_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Holds.from_document(document)


def test_the_drawn_table_is_that_of_the_code() -> None:
    """Hold, who sets it, what lifts it."""
    text = holds.__doc__ or ""
    for hold in Hold:
        [row] = [line for line in text.splitlines() if line.startswith(f"    {hold} ")]
        assert all(str(who) in row for who in SET_BY[hold])
        assert not any(str(who) in row.split("  ") for who in set(Who) - SET_BY[hold])
        lifting = [event.__name__ for event, lifts in LIFTED_BY.items() if hold in lifts]
        assert (lifting[0] if lifting else "nothing") in row


@case_table("state", STATES, ids=lambda state: "+".join(state.held) or "free")
def test_what_holds_a_strategy_until_somebody_lifts_it_outlives_the_process(state: Holds) -> None:
    assert {Hold.LATCHED, Hold.HALTED, Hold.PAUSED, Hold.REDUCING} == DURABLE
    assert state.durable() == Holds({hold: held for hold, held in state.held.items() if hold in DURABLE})
