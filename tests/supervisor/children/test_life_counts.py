"""Counts of one process after the other: nothing goes back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.life_counts import added_up
from tests.supervisor.conftest import unheard_child

COUNTS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"sent": st.integers(0, 1000), "times": st.lists(st.integers(0, 9), min_size=3, max_size=3)},
    optional={"codes": st.dictionaries(st.sampled_from("abc"), st.integers(0, 9))},
)


def test_what_only_one_has_stays() -> None:
    before = {"a": 1, "codes": {"0": 2}, "times": [1, 2], "sum": 0.5, "old": 7}
    now = {"a": 2, "codes": {"0": 1, "5": 1}, "times": [0, 3], "sum": 0.25, "new": None}
    assert added_up(before, now) == {
        "a": 3,
        "codes": {"0": 3, "5": 1},
        "times": [1, 5],
        "sum": 0.75,
        "old": 7,
        "new": None,
    }
    assert added_up({}, now) == now
    assert added_up(before, {}) == before


def test_what_does_not_fit_together_is_as_it_is_now() -> None:
    assert added_up({"a": [1], "b": 1, "c": True}, {"a": [1, 2], "b": {"x": 1}, "c": 2}) == {
        "a": [1, 2],
        "b": {"x": 1},
        "c": 2,
    }


@given(st.lists(COUNTS, max_size=5), COUNTS)
def test_a_new_life_takes_nothing_back(lives: list[Any], now: Any) -> None:
    total: Any = {}
    for life in lives:
        total = added_up(total, life)
    more = added_up(total, now)
    for key in ("sent",):
        assert more[key] >= total.get(key, 0)
    assert all(new >= old for new, old in zip(more["times"], total.get("times", [0, 0, 0]), strict=True))
    assert all(more["codes"][code] >= count for code, count in total.get("codes", {}).items())


def test_a_report_without_counts_takes_none_back() -> None:
    """The first and the last report of a worker have none, nor has one whose counts could not be made."""
    child = unheard_child(ChildSpec("worker-a", ChildKind.WORKER, "x:y", account="a"))
    assert child.counts == {}
    for message in ({"counts": {"sent": 5}}, {}, {"counts": None}):
        child._take({"type": "health", **message})
        assert child.counts == {"sent": 5}
