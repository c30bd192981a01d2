"""A leg that was saved goes on as if it had never been."""

from __future__ import annotations

import json
from decimal import Decimal

from gridbot.core import Direction, ExecType
from gridbot.core.leg_history import Holding, LegHistory, Mark, Stated, Step
from gridbot.core.leg_history_text import history_of, text_of

D = Decimal


def test_a_leg_is_the_same_after_a_trip_through_json() -> None:
    leg = LegHistory(Direction.SHORT, before=Holding(D("1.5"), D("0.1")), folded=True, folded_to=Mark(3, 4))
    leg.now = leg.before
    leg.add(Step("e1", 5, 7, "BTCUSDT", D("100.10"), D("0.010"), D(0), D("0.02")))
    leg.add(
        Step("e2", 6, 8, "BTCUSDT", D(99), D(1), D(1), D(0), ExecType.ADL, is_maker=False, shadow=True, figure=D("1"))
    )
    leg.believe(Stated(6, 8, Holding(D(2), D(200))))
    list(leg.settle())
    assert history_of(json.loads(json.dumps(text_of(leg))), Direction.SHORT) == leg


def test_a_leg_saved_without_how_far_it_is_folded_is_read() -> None:
    leg = history_of([["1.5", "0.1", True], [], []], Direction.SHORT)
    assert leg == LegHistory(
        Direction.SHORT, before=Holding(D("1.5"), D("0.1")), folded=True, now=Holding(D("1.5"), D("0.1"))
    )
    assert not leg.is_forgotten(Stated(1, 1, Holding()))
