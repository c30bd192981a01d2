"""The step itself: every event in every situation, what it may change, and that nothing breaks a rule.

What each event leads to stands in the tables of `test_life_wishes.py`, `test_life_answers.py` and `test_life_news.py`.
"""

from __future__ import annotations

from typing import get_args

from gridbot.orders import life_events
from gridbot.orders.life import MEANT, step
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.order_invariants import never_sent_after_withdrawal, violations
from gridbot.orders.proposal import proposal_of
from tests.case_table import case_table
from tests.orders import test_life_answers, test_life_news, test_life_wishes
from tests.orders.life_bench import EVENTS, NOW_S, SENT_MS, SITUATIONS, LifeBench

NOTES = {"cancelling", "in_flight", "ended_ts", "exec_qty", "cum_exec_qty", "create_tries", "order_id"}
"""What an event may note of an order without changing its course."""


def facts(order: TrackedOrder) -> dict[str, object]:
    return {name: getattr(order, name) for name in order.__slots__}


def test_every_event_has_its_states() -> None:
    assert MEANT.keys() == set(get_args(life_events.Event))


def test_every_event_has_its_table() -> None:
    tables = (test_life_wishes.TABLE, test_life_answers.TABLE, test_life_news.TABLE)
    assert sorted(EVENTS) == sorted(name for table in tables for name in table)


@case_table("event", EVENTS)
def test_no_event_breaks_a_rule(event: str) -> None:
    """In one test for all situations: six hundred tests take longer to be begun and told than to run."""
    assert {situation: broken for situation in SITUATIONS if (broken := broken_by(event, situation))} == {}


def broken_by(event: str, situation: str) -> list[str]:
    """What the step does of this event that it may not."""
    bench = LifeBench().reach(situation)
    before, state = facts(bench.order), bench.order.state
    happened = EVENTS[event](bench)
    effects = step(bench.book, happened, NOW_S)
    broken = [*never_sent_after_withdrawal(effects), *violations(bench.book)]
    after = facts(bench.order)
    changed = {name for name in after if after[name] != before[name]}
    if state not in MEANT[type(happened)] and not changed <= NOTES:
        broken.append(f"it changed {changed - NOTES} of an order that it does not concern")
    if bench.order.state is not state and all(
        getattr(effect, "after", None) is not bench.order.state for effect in effects
    ):
        broken.append(f"that it is {bench.order.state} now is not recorded")
    return broken


def test_a_life_from_the_wish_to_the_last_execution() -> None:
    bench = LifeBench()
    order = bench.order
    order.on_wire = False
    story: list[life_events.Event] = [
        life_events.Submitted(order, proposal_of(order)),
        life_events.Sending(order, SENT_MS),
        bench.placed(bench.ack),
    ]
    for event in story:
        step(bench.book, event, NOW_S)
    for qty, leaves in (("0.004", "0.006"), ("0.006", "0")):
        step(bench.book, bench.execution(qty, leaves), NOW_S)
    assert (order.state, list(bench.book)) == (OrderState.FILLED, [])
