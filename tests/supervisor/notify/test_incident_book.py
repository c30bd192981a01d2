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

    def other(self, event: Event, lived_s: float, later_s: float = 0.0) -> list[tuple[str, str]]:
        """The same while another host tells, which has surely lived so many seconds ago."""
        self.now_us += round(later_s * US)
        self.book, notices = step(self.book, event, self.now_us, self.now_us - round(lived_s * US))
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


def test_one_host_of_a_fleet_tells_and_who_comes_after_it_tells_what_that_one_cannot_have_told() -> None:
    desk = Desk()
    both = Standing((seen("a"), seen("b")))
    assert desk.other(Standing((seen("a"),)), 1) == []
    assert desk.other(both, 1, later_s=40) == [], "the other one has told a, and lives"
    assert desk.hears(both) == [("b", "begun")], "it died with b: now we tell"
    assert desk.hears(Standing((seen("b"),)), 1) == []
    assert desk.hears(Standing((seen("b"),)), GONE_US / US + 1) == [("a", "ended")]


def test_while_nobody_is_known_to_tell_everything_waits() -> None:
    desk = Desk()
    desk.book, notices = step(desk.book, Standing((seen("a"),)), desk.now_us, 0)
    assert notices == []
    desk.book, notices = step(desk.book, Tick(), desk.now_us + 3600 * US, 0)
    assert notices == []
    assert desk.hears(Tick(), 3600) == [("a", "begun")]


def test_what_got_worse_while_another_tells_is_told_by_us_when_that_one_has_died_with_it() -> None:
    desk = Desk()
    desk.other(Standing((seen("a"),)), 1)
    desk.other(Standing((seen("a"),)), 1, later_s=60)
    assert desk.other(Standing((seen("a", level="CRITICAL"),)), 1) == []
    assert desk.hears(Tick(), 1) == [("a", "begun")]
    assert desk.other(News((seen("a", "ended"),)), 1) == [], "its end tells the other one"


def test_nobody_knows_what_is_open_in_processes_of_a_host_that_is_silent() -> None:
    desk = Desk()
    desk.news(seen("a", account="", host="h2"), seen("b", account="", host="h3"))
    silent = Standing((), silent={"host h2"})
    assert desk.hears(silent) == []
    assert desk.hears(silent, 3600) == [("b", "ended")]


@given(deaths=st.lists(st.floats(1, 90), min_size=1, max_size=4), begins=st.floats(0, 120))
def test_whoever_tells_an_alert_is_told_and_at_most_once_more_for_each_that_died_soon_after(
    deaths: list[float], begins: float
) -> None:
    """Hosts in a row: each tells until it dies; all hear of the alert."""
    hosts = [Desk() for _ in range(len(deaths) + 1)]
    ends = [sum(deaths[: n + 1]) for n in range(len(deaths))]
    told = []
    for second in range(int(ends[-1]) + 200):
        teller = next((n for n, end in enumerate(ends) if second < end), len(ends))
        for number, desk in enumerate(hosts[teller:], start=teller):
            event = Standing((seen("a"),)) if second >= begins else Tick()
            desk.now_us = NOON_US + second * US
            if number == teller:
                told += desk.hears(event)
            else:
                desk.other(event, 0)
    soon = sum(begins - 1 <= end <= begins + 31 for end in ends)
    assert 1 <= len(told) <= 1 + soon
