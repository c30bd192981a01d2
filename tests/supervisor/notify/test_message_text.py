"""Messages as a person reads them."""

from __future__ import annotations

import pytz
from hypothesis import given
from hypothesis import strategies as st

from supervisor.notify.alert_notices import LEVELS, Kind, Notice
from supervisor.notify.message_text import LONGEST_BODY, Message, compose, fitting
from tests.supervisor.notify.notice_kit import NOON_US, US, notice


def text(*notices: Notice, lost: int = 0) -> Message:
    return compose("north", notices, pytz.timezone("Europe/Berlin"), NOON_US, lost)


def test_one_alert_is_a_message_of_its_own() -> None:
    made = text(notice("k3x9aq", Kind.BEGUN, text="btc is halted:\na fault"))
    assert made.title == "north: ERROR alice/btc: halt"
    assert made.body == "btc is halted:\\na fault\n\nat 13:00:00, id k3x9aq"
    assert made.mood == "failure"


def test_its_end_says_how_often_it_came_and_what_had_no_message() -> None:
    made = text(notice("k3x9aq", Kind.ENDED, text="over", count=35, unsent=34, at_us=NOON_US - 86_400 * US))
    assert made.title == "north: over, alice/btc: halt"
    assert made.body.endswith("first at 2026-01-01 13:00:00, id k3x9aq, came 35 times, 34 of them without a message")
    assert made.mood == "success"
    assert text(notice("a", Kind.WORSE, level="CRITICAL")).title == "north: worse, CRITICAL alice/btc: halt"
    assert text(notice("a", Kind.PASSED, level="WARNING")).title == "north: over already, WARNING alice/btc: halt"
    passed = text(notice("a", Kind.PASSED, key="news", about="supervisor", text="over, 2 times in 9 s: no room"))
    assert (passed.title, passed.body.split("\n")[0]) == (
        "north: over already, ERROR supervisor",
        "2 times in 9 s: no room",
    )
    assert text(notice("a", Kind.BEGUN, level="WARNING")).mood == "warning"


def test_many_share_a_message_those_of_a_kind_a_line() -> None:
    made = text(
        notice("a", Kind.BEGUN),
        notice("b", Kind.BEGUN, about="bob/eth"),
        notice("c", Kind.BEGUN, level="CRITICAL", key="down", about="carol", text="killed"),
        notice("d", Kind.ENDED, about="dave/eth", text="over"),
        lost=3,
    )
    assert made.title == "north: 4 alerts, worst CRITICAL, 1 over"
    assert made.body.splitlines() == [
        "13:00:00 ERROR halt (2): alice/btc, bob/eth: halted",
        "13:00:00 CRITICAL down: carol: killed",
        "13:00:00 ERROR halt, over: dave/eth: over",
        "",
        "Given up, since they could not be delivered: 3 earlier notices.",
    ]
    assert text(notice("a", Kind.ENDED), notice("b", Kind.PASSED)).title == "north: 2 alerts, all over"


def test_a_letter_keeps_its_lines() -> None:
    made = text(notice("x", Kind.LETTER, level="INFO", about="daily summary", text="one\ntwo\x1b"))
    assert made == Message("north: daily summary", "one\ntwo\\x1b", "info")
    assert text(notice("x", Kind.LETTER, level="ERROR", about="began again", text="x")).mood == "failure"


@given(
    st.lists(
        st.builds(
            lambda name, kind, level, key, about, words: notice(
                str(name), kind, level=level, key=key, about=about, text=words
            ),
            *(st.integers(), st.sampled_from([Kind.BEGUN, Kind.ENDED, Kind.PASSED]), st.sampled_from(LEVELS)),
            *(st.sampled_from(["halt", "stale_price"]), st.text("ab/-", min_size=1, max_size=65)),
            st.text("xy ", max_size=400),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_what_fits_is_short_enough_and_everything_of_it_is_named(notices: list[Notice]) -> None:
    count = fitting(notices)
    assert 1 <= count <= len(notices)
    made = text(*notices[:count])
    assert len(made.title) + len(made.body) <= LONGEST_BODY + 200
    assert all(each.about in made.body + made.title for each in notices[:count])


def test_a_letter_is_never_among_others() -> None:
    letter, alert = notice("x", Kind.LETTER), notice("a", Kind.BEGUN)
    assert [fitting(those) for those in ([letter, alert], [alert, alert, letter, alert], [alert])] == [1, 2, 1]
