"""Which of the news is worth a message: one alert, one beginning, one end, whatever processes do in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.notify import incident_book
from supervisor.notify.incident_book import GONE_US, Book, Event, News, Seen, Standing, Tick, read_row, step
from tests.supervisor.notify.notice_kit import NOON_US, US, seen


class Desk:
    """A book whose time the test moves."""

    def __init__(self) -> None:
        self.book, self.now_us = Book(), NOON_US

    def hears(self, event: Event, later_s: float = 0.0) -> list[tuple[str, str]]:
        self.now_us += round(later_s * US)
        self.book, notices = step(self.book, event, self.now_us)
        return [(notice.name, str(notice.kind)) for notice in notices]

    def news(self, *rows: Seen, calm: Mapping[str, int] | None = None, later_s: float = 0.0) -> list[tuple[str, str]]:
        return self.hears(News(rows, calm or {}), later_s)


def test_an_alert_begins_gets_worse_and_ends() -> None:
    desk = Desk()
    assert desk.news(seen("a")) == [("a", "begun")]
    assert desk.news(seen("a", "worse", level="CRITICAL")) == [("a", "worse")]
    assert desk.news(seen("a", "ended", level="ERROR", count=9)) == [("a", "ended")]
    assert desk.book == Book()


def test_one_that_begins_anew_with_its_worker_is_the_same_and_its_end_says_how_many_had_no_message() -> None:
    desk = Desk()
    desk.news(seen("a"))
    assert desk.hears(Standing((), silent={"alice"}), 120) == []
    assert desk.news(seen("a")) == []
    book, [notice] = step(desk.book, News((seen("a", "ended", count=3),)), desk.now_us)
    assert (book, notice.count, notice.unsent) == (Book(), 3, 3)
    assert notice.at_us == NOON_US


def test_what_the_news_have_lost_is_told_from_the_list_of_open_alerts() -> None:
    desk = Desk()
    assert desk.hears(Standing((seen("a"),))) == [("a", "begun")]
    assert desk.hears(Standing((seen("a", level="CRITICAL"),))) == [("a", "worse")]
    assert desk.hears(Standing(())) == []
    assert desk.hears(Standing((seen("a"),)), 59) == [], "it was only starting"
    assert desk.hears(Standing(()), 1) == []
    assert desk.hears(Standing(()), GONE_US / US + 1) == [("a", "ended")]


def test_nobody_knows_what_is_open_in_an_account_whose_worker_is_silent() -> None:
    desk = Desk()
    desk.news(seen("a"), seen("b", account="bob"))
    desk.hears(Standing((), silent={"alice"}))
    assert desk.hears(Standing((), silent={"alice"}), 3600) == [("b", "ended")]


def test_a_muted_alert_is_not_told_nor_its_end_and_is_when_it_is_shown_again() -> None:
    desk = Desk()
    assert desk.news(seen("a", is_muted=True), seen("b", is_muted=True)) == []
    assert desk.news(seen("b", "ended", is_muted=True)) == []
    assert desk.book.quiet == 1
    assert desk.hears(Standing((seen("a"),)), 60) == [("a", "begun")]
    assert desk.news(seen("a", "worse", level="CRITICAL", is_muted=True)) == []
    assert desk.news(seen("a", "ended", is_muted=True)) == []


def test_soon_after_a_restart_that_was_asked_for_only_critical_alerts_are_told_and_others_if_they_stay() -> None:
    desk = Desk()
    calm = {"alice": NOON_US + 60 * US}
    rows = (seen("a"), seen("b"), seen("c", level="CRITICAL"), seen("d", account="bob"), seen("e"))
    assert desk.news(*rows, calm=calm) == [("c", "begun"), ("d", "begun")]
    assert desk.news(seen("b", "ended"), calm=calm) == [], "it passed by itself"
    assert desk.news(seen("e", "worse", level="CRITICAL"), calm=calm) == [("e", "begun")]
    assert desk.hears(Tick(), 59) == []
    assert desk.hears(Tick(), 1) == [("a", "begun")]
    assert desk.news(seen("f"), calm={"": desk.now_us + US}) == [], "the supervisor's own start"


def test_a_clock_that_is_set_back_by_an_hour_holds_up_no_alert_and_no_end() -> None:
    desk = Desk()
    assert desk.news(seen("a"), calm={"": desk.now_us + 60 * US}) == []
    assert desk.hears(Tick(), -3600) == [("a", "begun")]
    assert desk.hears(Standing(()), 3600) == []
    assert desk.hears(Standing(()), -3600) == []
    assert desk.hears(Standing(()), 61) == [("a", "ended")]


def test_a_row_of_the_supervisor_is_read() -> None:
    row: dict[str, Any] = {
        "id": "k3x9aq",
        "account": "",
        "strategy": "",
        "child": "worker-alice",
        "key": "down",
        "level": "ERROR",
    }
    row |= {"text": "killed", "count": 2, "phase": "worse", "muted_until": "2026-01-02T03:04:05Z"}
    assert read_row(row) == Seen("k3x9aq", "worse", "ERROR", "alice", "alice", "down", "killed", 2, True)
    row |= {"account": "alice", "strategy": "btc", "child": "", "key": "halt.BTCUSDT", "muted_until": None}
    assert (read_row(row).about, read_row(row).key, read_row(row).is_muted) == ("alice/btc", "halt", False)
    row |= {"account": "", "strategy": "", "child": "writer"}
    assert (read_row(row).about, read_row(row).account) == ("writer", "")
    with pytest.raises(KeyError):
        read_row({"id": "x"})


def test_not_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_book, "MOST", 3)
    desk = Desk()
    desk.news(*(seen(name) for name in "abcde"))
    assert list(desk.book.known) == ["c", "d", "e"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["begun", "worse", "ended", "list", "tick"]),
        st.sampled_from("abc"),
        st.sampled_from(["WARNING", "ERROR", "CRITICAL"]),
        st.booleans(),
        st.integers(0, 90),
    ),
    max_size=40,
)


@given(EVENTS)
def test_of_each_alert_beginnings_and_ends_take_turns(events: list[tuple[str, str, str, bool, int]]) -> None:
    """Whatever comes, in whatever order, muted or not: nobody hears of an end without a beginning, nor of two."""
    desk, told = Desk(), set[str]()
    for phase, name, level, is_muted, seconds in events:
        row = seen(name, phase, level=level, is_muted=is_muted)
        calm = {"alice": NOON_US + 300 * US}
        others: dict[str, Event] = {"list": Standing((row,)), "tick": Tick()}
        event = others.get(phase, News((row,), calm))
        for which, kind in desk.hears(event, seconds):
            assert (which in told) is (kind != "begun"), (which, kind)
            told = told | {which} if kind == "begun" else told - {which} if kind == "ended" else told
        known = {each for each, what in desk.book.known.items() if what.is_told}
        assert known <= told, "one whose end was muted may be forgotten"
        told = known
