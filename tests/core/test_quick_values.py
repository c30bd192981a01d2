"""A quick value is a frozen, slotted dataclass: only its creation is quicker."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.core.quick_values import quick_value, rows_reader


def both(decorate: Any) -> tuple[type[Any], type[Any]]:
    @decorate(frozen=True, slots=True)
    class Base:
        a: int
        b: str = "x"
        rows: list[int] = field(default_factory=list)
        made: list[int] = field(init=False, default_factory=list)
        double: int = field(init=False, default=0)
        later: str = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "double", 2 * self.a)
            object.__setattr__(self, "later", self.b)

    @decorate(frozen=True, slots=True)
    class Child(Base):
        late: int = field(kw_only=True)
        c: int = 5

    return Base, Child


def few(decorate: Any) -> list[tuple[type[Any], list[tuple[Any, ...]]]]:
    """Classes of at most two fields, and what they are made of."""

    @decorate(frozen=True, slots=True)
    class Nothing:
        pass

    @decorate(frozen=True, slots=True)
    class One:
        a: int = 3

        def __post_init__(self) -> None:
            if self.a < 0:
                raise ValueError("below 0")

    @decorate(frozen=True, slots=True)
    class Two(One):
        rows: list[int] = field(default_factory=list)

    @decorate(frozen=True, slots=True)
    class Made:
        a: int
        later: list[int] = field(init=False, default_factory=list)

    return [(Nothing, [()]), (One, [(), (5,)]), (Two, [(), (5,), (6, [1])]), (Made, [(7,)])]


def test_values_of_few_fields_are_made_as_a_dataclass_is_too():
    for (quick, made_of), (plain, _) in zip(few(quick_value), few(dataclass), strict=True):
        assert list(inspect.signature(quick).parameters) == list(inspect.signature(plain).parameters)
        for args in made_of:
            one = quick(*args)
            assert repr(one) == repr(plain(*args))
            assert one == quick(*args)
            for name in quick.__slots__:
                with pytest.raises(dataclasses.FrozenInstanceError):
                    setattr(one, name, 1)
    _, (one, _), (two, _), _ = few(quick_value)
    assert two().rows is not two().rows
    for kind in (one, two):
        with pytest.raises(ValueError, match="below 0"):
            kind(-1)


@quick_value(frozen=True, slots=True)
class Whole:
    number: int
    name: str = ""


def test_it_is_made_as_a_dataclass_is():
    for quick, plain in zip(both(quick_value), both(dataclass), strict=True):
        assert list(inspect.signature(quick).parameters) == list(inspect.signature(plain).parameters)
        late = {"late": 9} if "late" in inspect.signature(quick).parameters else {}
        for args, named in (((1,), {}), ((2, "y", [3]), {}), ((4,), {"b": "z"})):
            one, other = quick(*args, **named, **late), plain(*args, **named, **late)
            assert type(one) is quick
            assert repr(one) == repr(other)
            assert dataclasses.asdict(one) == dataclasses.asdict(other)
            assert dataclasses.replace(one, a=7).double == 14
        assert quick(1, **late).rows is not quick(1, **late).rows
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
            quick(**late)
        with pytest.raises(TypeError, match="unexpected keyword argument 'no'"):
            quick(1, no=2, **late)


def test_it_is_frozen_from_the_first_moment_on():
    whole = Whole(1, "a")
    for change in (lambda: setattr(whole, "number", 2), lambda: delattr(whole, "number")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises((AttributeError, TypeError)):
        whole.other = 1  # type: ignore[attr-defined]
    assert whole == Whole(1, "a") == copy.copy(whole) == pickle.loads(pickle.dumps(whole))
    assert hash(whole) == hash(Whole(1, "a")) != hash(Whole(2, "a"))
    assert not hasattr(whole, "__dict__")


def test_another_kind_of_class_is_refused():
    for frozen, slots in ((False, True), (True, False)):
        with pytest.raises(TypeError, match="expected frozen=True and slots=True"):
            quick_value(frozen=frozen, slots=slots)


def test_rows_are_read_of_many_values() -> None:
    values = [SimpleNamespace(a=1, b="x"), SimpleNamespace(a=2, b=None)]
    assert rows_reader(["b", "a"])(values) == [("x", 1), (None, 2)]
    assert rows_reader(["a"])(values) == [(1,), (2,)]
    with pytest.raises(ValueError, match="expected names of attributes, got 'a', 'b c'"):
        rows_reader(["a", "b c"])
