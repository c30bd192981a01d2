"""Which execution ids are kept, and how many."""

from __future__ import annotations

import pytest

from gridbot.core.counted_ids import IDS_KEPT, CountedIds


def test_the_newest_are_kept_in_the_order_of_counting() -> None:
    ids = CountedIds()
    for number in (3, 1, 2):
        ids.add(f"e{number}", number)
    assert list(ids) == [("e3", 3), ("e1", 1), ("e2", 2)]
    assert "e1" in ids
    assert "e4" not in ids


def test_what_is_not_listed_again_goes_when_there_are_many() -> None:
    ids = CountedIds()
    for number in range(IDS_KEPT + 10):
        ids.add(f"e{number}", number, paged_from=7)
    assert len(list(ids)) == IDS_KEPT + 3, "those that may be listed again stay"
    assert "e7" in ids
    assert "e6" not in ids


def test_even_so_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.core.counted_ids.IDS_MOST", IDS_KEPT + 5)
    ids = CountedIds()
    for number in range(IDS_KEPT + 10):
        ids.add(f"e{number}", number)
    assert len(list(ids)) == IDS_KEPT + 5
