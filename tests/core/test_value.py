"""Values that are made many times a second."""

from __future__ import annotations

import dataclasses
import pickle
from decimal import Decimal

import pytest

from gridbot.core.events import TickerEvent
from gridbot.core.value import value


@value
class Point:
    x: Decimal
    y: Decimal = Decimal(0)
    note: str = dataclasses.field(default="", compare=False)


def test_equal_values_are_one_in_a_set_and_go_through_a_pipe():
    first, second = Point(Decimal(1), note="a"), Point(Decimal("1.0"), Decimal(0), "b")
    assert first == second
    assert len({first, second, Point(Decimal(2))}) == 2
    ticker = TickerEvent("XUSDT", Decimal(1))
    assert pickle.loads(pickle.dumps(ticker)) == ticker
    assert dataclasses.replace(first, y=Decimal(3)) == Point(Decimal(1), Decimal(3))


def test_there_is_room_for_its_fields_alone():
    point = Point(Decimal(1))
    assert not hasattr(point, "__dict__")
    with pytest.raises(AttributeError):
        setattr(point, "other", 1)  # noqa: B010 - the type checker knows it as well
