"""Events are values, and the union names them all."""

from __future__ import annotations

import dataclasses
from typing import get_args

from gridbot.orders import life_events
from tests.case_table import case_table
from tests.orders.life_bench import LifeBench


def test_the_union_has_every_event() -> None:
    named = {getattr(life_events, name) for name in life_events.__all__}
    assert named == {*get_args(life_events.Event), life_events.Event, life_events.LookUp}


@case_table("kind", get_args(life_events.Event))
def test_no_event_changes(kind: type) -> None:
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen or issubclass(kind, tuple)


def test_a_look_up_has_three_results() -> None:
    assert [found.name for found in life_events.LookUp] == ["STILL_OPEN", "GONE", "NEVER_ARRIVED"]
    assert life_events.LookedUp(LifeBench().order, life_events.LookUp.GONE).found is life_events.LookUp.GONE
