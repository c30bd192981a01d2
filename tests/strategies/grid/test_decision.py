"""A decision as a function of values: equal arguments give equal answers, and nothing given is changed."""

from __future__ import annotations

from gridbot.core import LimitOrders
from gridbot.strategies.grid import GridConfig
from gridbot.strategies.grid.decision import decide
from gridbot.strategies.grid.grid_memory import GridMemory, GridSetup, at_price, plan_of
from gridbot.strategies.grid.known_interval import Eligibility
from gridbot.strategies.grid.leg_decision import LevelOrders
from tests.core.helpers import BUY, LONG, SHORT, SYMBOL, Book, d, instrument, ticker

SETUP = GridSetup(SYMBOL, instrument(), GridConfig(4, d(1), d(1)))
RULE = Eligibility.of(SETUP.config, SETUP.instrument)
MAKE = LevelOrders(SYMBOL)


def built() -> GridMemory:
    return at_price(SETUP, GridMemory(), d(100), 5)


def test_equal_arguments_give_equal_answers_and_the_memory_stays():
    memory, orders = built(), LimitOrders()
    before = (memory.plan, memory.version)
    first = decide(memory, ticker("100"), orders, RULE, MAKE)
    assert decide(memory, ticker("100"), orders, RULE, MAKE) == first
    assert first[0] is memory
    assert (memory.plan, memory.version) == before
    assert len(first[1]) == 8
    # 990 is eligible above 99.4974…, 1010 below 100.4975…
    assert first[2] == (d("99.5"), d("100.4"))


def test_with_every_order_there_only_the_ends_of_the_grid_limit_the_answer():
    memory, book = built(), Book()
    book.apply(decide(memory, ticker("100"), book.orders, RULE, MAKE)[1])
    assert decide(memory, ticker("101.3"), book.orders, RULE, MAKE) == (memory, (), (d("98.0"), d("102.0")))


def test_a_mapping_has_the_same_intents_and_no_range():
    memory = built()
    held = decide(memory, ticker("100"), LimitOrders(), RULE, MAKE)
    assert decide(memory, ticker("100"), {"long": [], "short": []}, RULE, MAKE) == (memory, held[1], None)


def test_a_leg_that_starts_over_answers_with_the_next_memory():
    memory, book = built(), Book()
    for extra in range(16):
        book.add(SHORT, BUY, 500 + extra)
    after, intents, holds = decide(memory, ticker("100.3", ts=9), book.orders, RULE, MAKE)
    assert (after.version, after.changed_ts, plan_of(after).grid.anchor, holds) == (2, 9, d("100.3"), None)
    assert plan_of(memory).grid.anchor == d(100)
    assert [intent.ticks for intent in intents if intent.direction is LONG] == [990, 1010, 980, 1020], "the old grid"
