"""Events and effects are values."""

from __future__ import annotations

import dataclasses
from typing import get_args

import pytest

from gridbot.orders import life_types as life
from gridbot.orders.order import Transition
from tests.orders.life_bench import LifeBench


def test_events_and_effects_are_all_there_is_and_nothing_is_both() -> None:
    events, effects = set(get_args(life.Event)), set(get_args(life.Effect)) - {Transition}
    assert not events & effects
    named = {getattr(life, name) for name in life.__all__} - {life.Event, life.Effect, life.LookUp, life.Wish}
    assert named == events | effects


@pytest.mark.parametrize("kind", [*get_args(life.Event), *get_args(life.Effect)])
def test_none_of_them_changes(kind: type) -> None:
    frozen = dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen or issubclass(kind, tuple)


def test_a_cancel_is_recorded_by_the_words_of_the_table() -> None:
    """`docs/tables.md`, table `intents`, column `verdict`."""
    assert [str(wish) for wish in life.Wish] == ["sent", "dropped", "waiting"]


def test_events_of_different_kinds_are_never_equal() -> None:
    order = LifeBench().order
    assert life.SendCancel(order) != life.AskGate(order)
    assert life.SendCancel(order) == life.SendCancel(order)
