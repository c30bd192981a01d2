"""The worker's side of the caps of fleet and groups: what it keeps to, and what it says."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.limits import OnBreach
from gridbot.risk.fleet_share import SILENT_S, CapHold, FleetShare
from tests.case_table import case_table
from tests.examples import examples

D = Decimal
HELD = {"reason": "fell too far", "since_ms": 7, "action": "cancel"}


def word(
    share: object = "100", number: int = 1, *, held: dict[str, Any] | None = None, resumes: int = 0
) -> dict[str, Any]:
    return {"shares": {"fleet/paper": [str(share), number]}, "held": held or {}, "resumes": resumes}


def test_nothing_is_lent_before_the_supervisor_has_spoken_nor_when_it_says_nothing_for_ten_seconds() -> None:
    share = FleetShare({"fleet/paper": True})
    assert (share.share(0.0), share.is_silent(0.0)) == (D(0), True)
    share.hear(word(), D(0), 1.0)
    assert share.share(1.0 + SILENT_S) == 100
    assert share.share(1.1 + SILENT_S) == 0
    share.hear(word(), D(0), 20.0)
    assert share.share(20.0) == 100


def test_where_no_cap_on_notional_is_there_is_no_share() -> None:
    for scopes in ({}, {"fleet/paper": False}):
        share = FleetShare(scopes)
        assert share.share(0.0) is None
        assert share.is_silent(0.0) is share.is_capped is bool(scopes)


def test_the_smallest_share_of_all_scopes_counts_and_unknown_ones_do_not() -> None:
    share = FleetShare({"fleet/paper": True, "group g/paper": True})
    told = {"shares": {"fleet/paper": ["100", 1], "group g/paper": ["40", 1], "group h/paper": ["1", 1]}}
    share.hear({**told, "held": {}, "resumes": 0}, D(0), 1.0)
    assert share.share(1.0) == 40
    assert share.said()["shares"] == {"fleet/paper": ["100", 1], "group g/paper": ["40", 1]}


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=12))
def test_a_share_shrinks_to_what_is_used_and_says_what_it_kept(words: list[tuple[int, int]]) -> None:
    share = FleetShare({"fleet/paper": True})
    for number, (told, used) in enumerate(words, start=1):
        before = share.share(float(number - 1)) or D(0)
        share.hear(word(told, number), D(used), float(number))
        now = share.share(float(number))
        assert now == max(D(told), min(before, D(used)))
        assert share.said()["shares"] == {"fleet/paper": [str(now), number]}


def test_what_holds_the_account_stays_until_it_is_resumed_whatever_older_words_say() -> None:
    share = FleetShare({"fleet/paper": False})
    held = {"fleet/paper": HELD}
    assert share.hear(word(held=held), D(0), 1.0)
    assert not share.hear(word(held=held), D(0), 1.0), "no news"
    assert not share.hear(word(), D(0), 1.0)
    assert share.held == {"fleet/paper": CapHold("fell too far", 7, OnBreach.CANCEL)}
    assert share.said()["held"] == held
    again = FleetShare({})
    again.restore(share.held)
    assert again.held == share.held, "the next life"
    share.clear()
    assert (share.held, share.said()["resumes"]) == ({}, 1)
    assert not share.hear(word(held=held), D(0), 2.0), "said before it was resumed"
    assert share.held == {}
    assert share.hear(word(held=held, resumes=1), D(0), 3.0), "crossed again"


@case_table(
    "broken",
    [
        {},
        {"shares": {}, "held": {}},
        {**word(), "shares": {"fleet/paper": ["much", 1]}},
        {**word(), "held": {"fleet/paper": {"reason": "x", "since_ms": 1, "action": "kill"}}},
    ],
)
def test_a_word_that_none_of_ours_sends_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        FleetShare({"fleet/paper": True}).hear(broken, D(0), 1.0)
