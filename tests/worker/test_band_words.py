"""What is said of levels that wait at the price band."""

from __future__ import annotations

from gridbot.core import Direction, Side
from gridbot.orders.breakers import Breaker, Cause
from gridbot.risk.gate_state import LevelKey
from gridbot.risk.refusals import Refusal
from gridbot.worker.band_words import band_words, learnt_words
from tests.orders.helpers import INSTRUMENT


def moved(*ticks: int, cause: Cause = Cause.MOVED, strategy: str = "s1") -> Breaker[LevelKey]:
    breaker: Breaker[LevelKey] = Breaker(threshold=1)
    for each in ticks:
        breaker, _ = breaker.failed((strategy, Direction.LONG, Side.BUY, each), 1.0, cause)
    return breaker


def test_levels_whose_orders_were_moved_are_named_for_as_long_as_they_wait() -> None:
    """They were shown as `breaker_open`, and nobody said why."""
    assert learnt_words("s1", INSTRUMENT, moved(1001), 60.9) == (
        "s1: 1 level waits at the exchange's price band (long Buy 100.1): it has moved their orders to other prices; "
        "they are tried again each minute, until the price is nearer; narrow the grid if that should not be"
    )
    assert "(long Buy 100.1, long Buy 100.2, long Buy 100.3 and 1 more)" in learnt_words(
        "s1", INSTRUMENT, moved(1004, 1003, 1002, 1001), 1.0
    )
    assert learnt_words("s1", INSTRUMENT, moved(1001), 61.0) == ""
    assert learnt_words("s1", INSTRUMENT, moved(1001, cause=Cause.REFUSED), 1.0) == ""
    assert learnt_words("s1", INSTRUMENT, moved(1001, strategy="s2"), 1.0) == ""


def test_levels_that_wait_by_the_rule_are_named_unless_the_exchange_has_taught_better() -> None:
    refused = {(Direction.LONG, 1001): Refusal.PRICE_BAND, (Direction.SHORT, 999): Refusal.TOO_SMALL}
    assert band_words("s1", INSTRUMENT, refused, "") == (
        "s1: 1 level waits at the exchange's price band (long 100.1): it would move their orders to other prices; "
        "they are placed when the price is nearer; narrow the grid if that should not be"
    )
    assert band_words("s1", INSTRUMENT, refused, "learnt") == "learnt"
    assert band_words("s1", INSTRUMENT, {}, "") == ""
