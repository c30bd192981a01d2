"""Which execution ids are kept, and how many."""

from __future__ import annotations

import pytest

from gridbot.core.counted_ids import IDS_KEPT, CountedIds


def test_the_newest_are_kept_in_the_order_of_counting() -> None:
    ids = CountedIds()
    for number in (3, 1, 2):
        ids.add(f"e{number}", number)
    assert list(ids) == [("e3", 3), ("e1", 1), ("e2", 2)]
    assert ids.has("e1", 0)
    assert not ids.has("e4", 0)


def test_what_is_final_goes_when_there_are_many_and_its_time_tells_that_it_was_counted() -> None:
    ids = CountedIds()
    for number in range(IDS_KEPT + 10):
        ids.add(f"e{number}", number, final_to=7)
    assert len(list(ids)) == IDS_KEPT + 3, "those that may be listed again stay"
    assert ids.has("e7")
    assert not ids.has("e6")
    assert ids.has("e6", 6)
    assert not ids.has("late", 7)


def test_even_so_there_is_a_limit_which_says_nothing_of_what_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.core.counted_ids.IDS_MOST", IDS_KEPT + 5)
    ids = CountedIds()
    for number in range(IDS_KEPT + 10):
        ids.add(f"e{number}", number)
    assert len(list(ids)) == IDS_KEPT + 5
    assert not ids.has("e0", 0)
