"""Which of several brakes counts."""

from __future__ import annotations

from gridbot.risk.brake import FREE, Brake, Stops, strictest


def test_the_strictest_brake_counts_and_of_equal_ones_the_first() -> None:
    opens, also, everything = Brake(Stops.OPENS, "a"), Brake(Stops.OPENS, "b"), Brake(Stops.ALL, "c")
    assert strictest([]) is FREE
    assert strictest([FREE, opens, also]) is opens
    assert strictest([opens, everything, also]) is everything
