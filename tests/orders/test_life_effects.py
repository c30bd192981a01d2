"""Effects are values, and the union names them all."""

from __future__ import annotations

import dataclasses
from typing import get_args

from gridbot.orders import life_effects
from gridbot.orders.order import Transition
from tests.case_table import case_table
from tests.orders.life_bench import LifeBench


def test_the_union_has_every_effect() -> None:
    named = {getattr(life_effects, name) for name in life_effects.__all__} | {Transition}
    assert named == {*get_args(life_effects.Effect), life_effects.Effect, life_effects.Wish}


@case_table("kind", get_args(life_effects.Effect))
def test_no_effect_changes(kind: type) -> None:
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen or issubclass(kind, tuple)


def test_a_cancel_is_recorded_by_the_words_of_the_table() -> None:
    """`docs/tables.md`, table `intents`, column `verdict`."""
    assert [str(wish) for wish in life_effects.Wish] == ["sent", "dropped", "waiting"]


def test_effects_of_different_kinds_are_never_equal() -> None:
    order = LifeBench().order
    assert life_effects.SendCancel(order) != life_effects.AskGate(order)
    assert life_effects.SendCancel(order) == life_effects.SendCancel(order)
