"""A leg for which memory is short takes smaller steps, then waits ever longer, up to a bound."""

from __future__ import annotations

from gridbot.store.grid_patience import FIRST_WAIT_S, LEAST, LONGEST_WAIT_S, MORE, Patience


def test_steps_become_smaller_then_the_leg_waits() -> None:
    patience = Patience()
    assert patience.failed(["a", "b"], 8 * LEAST, 0.0) == []
    assert (patience.at_once("a"), patience.waits("a", 0.0)) == (8 * LEAST // MORE, False)
    patience.keep(["a"])
    assert (patience.at_once("b"), patience.waits("b", 0.0)) == (None, False)
    assert patience.failed(["a"], 2 * LEAST, 0.0) == []
    assert patience.at_once("a") == LEAST
    assert patience.failed(["a"], LEAST, 10.0) == ["a"]
    assert patience.waits("a", 9.0 + FIRST_WAIT_S)
    assert not patience.waits("a", 10.0 + FIRST_WAIT_S)
    for _ in range(9):
        assert patience.failed(["a"], LEAST, 100.0) == [], "told once"
    assert patience.waits("a", 99.0 + LONGEST_WAIT_S)
    assert not patience.waits("a", 100.0 + LONGEST_WAIT_S)
    patience.keep([])
    assert patience.failed(["a"], LEAST, 0.0) == ["a"], "matched since then"
