"""Changes of a model: what a page makes of them is the model itself."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.web.model_changes import apply_changes, changes

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]) | st.sampled_from([0.0, 1.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_the_changes_between_two_models_make_one_of_the_other(before, after):
    assert repr(apply_changes(copy.deepcopy(before), changes(before, after))) in (repr(after), repr(_as(after, before)))
    assert apply_changes(copy.deepcopy(before), changes(before, after)) == after


def _as(value, order):
    """The same value, its names in the order that they had before: an object of JSON has none."""
    if isinstance(value, dict) and isinstance(order, dict):
        names = [*[name for name in order if name in value], *[name for name in value if name not in order]]
        return {name: _as(value[name], order.get(name)) for name in names}
    if isinstance(value, list) and isinstance(order, list) and len(value) == len(order):
        return [_as(one, other) for one, other in zip(value, order, strict=True)]
    return value


@pytest.mark.parametrize(
    ("before", "after", "made"),
    [
        ({"a": 1, "b": [{"c": 1}, {"c": 2}]}, {"a": 1, "b": [{"c": 1}, {"c": 3}]}, [[["b", 1, "c"], 3]]),
        ({"a": 1}, {"a": None}, [[["a"], None]]),
        ({"a": 1}, {}, [[["a"]]]),
        ({"a": [1]}, {"a": [1, 2]}, [[["a"], [1, 2]]]),
        ({"a": 1}, {"a": True}, [[["a"], True]]),
        ({"a": 1}, {"a": 1}, []),
    ],
)
def test_only_what_is_another_value_is_told(before, after, made):
    assert changes(before, after) == made
