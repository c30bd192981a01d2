"""What waits together becomes one notice; none of the news is lost in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.notify.alert_notices import LEVELS, Kind, Notice, joined, rank
from tests.supervisor.notify.notice_kit import notice

KINDS = st.sampled_from([kind for kind in Kind if kind is not Kind.LETTER])
NOTICES = st.lists(
    st.builds(
        lambda name, kind, level, count: notice(name, kind, level=level, count=count),
        *(st.sampled_from("abc"), KINDS, st.sampled_from(LEVELS), st.integers(1, 9)),
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        ("begun worse", "begun"),
        ("begun ended", "passed"),
        ("begun ended begun", "begun"),
        ("begun ended worse ended", "passed"),
        ("worse ended", "ended"),
        ("worse worse", "worse"),
        ("ended begun", "worse"),
        ("ended begun ended", "ended"),
        ("passed ended", "passed"),
    ],
)
def test_what_waits_together_is_one(kinds: str, kind: str) -> None:
    [made] = joined((), [notice("a", Kind(each)) for each in kinds.split()])
    assert (made.kind, made.news) == (Kind(kind), len(kinds.split()))


def test_it_has_the_worst_level_the_newest_text_and_the_first_time() -> None:
    first = notice("a", Kind.BEGUN, level="CRITICAL", text="first", at_us=1)
    then = notice("a", Kind.WORSE, level="ERROR", text="then", at_us=2)
    [made] = joined([first], [then])
    assert (made.level, made.text, made.at_us, made.count) == ("CRITICAL", "then", 1, 1)
    [over] = joined([made], [replace(then, kind=Kind.ENDED, count=7, unsent=6)])
    [again] = joined([over], [notice("a", Kind.BEGUN)])
    assert (over.count, over.unsent, again.count, again.unsent) == (7, 6, 8, 6)


def test_a_level_that_nobody_knows_is_the_worst() -> None:
    assert [rank(level) for level in ("INFO", "warning", "Error", "CRITICAL", "?")] == [0, 1, 2, 3, 3]


@given(NOTICES, NOTICES)
def test_joining_loses_no_news_keeps_the_order_and_does_not_depend_on_how_it_was_cut(
    one: list[Notice], other: list[Notice]
) -> None:
    made = joined(joined((), one), other)
    assert made == joined(one, other)
    assert sum(each.news for each in made) == len(one) + len(other)
    assert [each.name for each in made] == list(dict.fromkeys(each.name for each in (*one, *other)))
    assert tuple(Notice.from_document(each.to_document()) for each in made) == made


def test_a_document_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError):
        Notice.from_document(["a"])
    with pytest.raises(ValueError):
        Notice.from_document([*notice("a", Kind.BEGUN).to_document()[:1], "burnt", *[""] * 10])
