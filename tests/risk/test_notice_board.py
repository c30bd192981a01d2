"""What follows from announcements: maintenance begins and ends, a symbol's terms are read, incidents stand and fall."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridbot.exchange.notices import Announcement, Maintenance, MaintenanceState
from gridbot.risk.notice_board import (
    AHEAD_MS,
    SIGHTS_MAX,
    STANDS_MS,
    Announced,
    Board,
    Effect,
    Over,
    Passed,
    ReadTerms,
    step,
    words_of,
)

NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
SCHEDULED = Maintenance("m1", "engine", MaintenanceState.SCHEDULED, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS)
DELISTING = Announcement("Delisting of BTCUSDT", "delistings", NOW_MS, url="https://x/1")
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def told(*maintenance: Maintenance, news: tuple[Announcement, ...] = ()) -> Announced:
    return Announced(maintenance, news, SYMBOLS)


def after(*events: tuple[Announced | Passed, int]) -> tuple[Board, list[Effect]]:
    """The board after these, each at some ms from now, and the effects of the last one."""
    board, effects = Board(), list[Effect]()
    for event, later_ms in events:
        board, effects = step(board, event, NOW_MS + later_ms)
    return board, effects


# ---------------------------------------------------------------------- maintenance


def test_a_maintenance_is_told_a_day_ahead_begins_by_its_time_and_ends_by_it() -> None:
    board, effects = after((told(replace(SCHEDULED, begin_ms=NOW_MS + AHEAD_MS + 1)), 0))
    assert (board.ahead(NOW_MS), board.running, effects) == ([], [], [])
    assert len(board.ahead(NOW_MS + 1)) == 1
    board, effects = after((told(SCHEDULED), 0), (Passed(), HOUR_MS - 1))
    assert (board.ahead(NOW_MS), board.running, effects) == ([SCHEDULED], [], [])
    board, effects = after((told(SCHEDULED), 0), (Passed(), HOUR_MS))
    assert (board.ahead(NOW_MS), board.running, effects) == ([], [SCHEDULED], [])
    board, effects = after((told(SCHEDULED), 0), (Passed(), HOUR_MS), (Passed(), 2 * HOUR_MS))
    assert (board, effects) == (Board(), [Over(SCHEDULED)])


def test_what_goes_on_goes_on_beyond_its_expected_end_until_the_exchange_says_so() -> None:
    ongoing = replace(SCHEDULED, state=MaintenanceState.ONGOING)
    board, effects = after((told(ongoing), 0), (Passed(), 9 * HOUR_MS))
    assert (board.running, effects) == ([ongoing], [])
    completed = replace(SCHEDULED, state=MaintenanceState.COMPLETED)
    for end in (told(completed), told()):
        board, effects = after((told(ongoing), 0), (end, HOUR_MS))
        assert board == Board()
        assert [each.maintenance.notice_id for each in effects if isinstance(each, Over)] == ["m1"]


def test_a_row_that_cannot_be_read_may_be_any_that_is_known() -> None:
    """The maintenance under way counted as over, and everything was read again in vain, each five minutes."""
    ongoing = replace(SCHEDULED, state=MaintenanceState.ONGOING)
    other = replace(SCHEDULED, notice_id="m2")
    board, effects = after((told(ongoing), 0), (replace(told(other), is_whole=False), HOUR_MS - 1))
    assert (board.running, board.ahead(NOW_MS), effects) == ([ongoing], [other], [])
    later = replace(ongoing, end_ms=NOW_MS + 5 * HOUR_MS)
    board, effects = after((told(ongoing), 0), (replace(told(later), is_whole=False), 1))
    assert (board.running, effects) == ([later], [])
    board, effects = after((told(ongoing), 0), (replace(told(), is_whole=False), 1), (told(), 2))
    assert (board, effects) == (Board(), [Over(ongoing)])


def test_it_ends_once() -> None:
    ongoing = replace(SCHEDULED, state=MaintenanceState.ONGOING)
    completed = replace(SCHEDULED, state=MaintenanceState.COMPLETED)
    assert after((told(ongoing), 0), (told(completed), 1), (told(completed), 2)) == (Board(), [])
    assert after((told(SCHEDULED), 0), (Passed(), HOUR_MS), (told(), 3 * HOUR_MS))[1] == [Over(SCHEDULED)]


@pytest.mark.parametrize("state", [MaintenanceState.COMPLETED, MaintenanceState.CANCELED])
def test_what_never_began_ends_without_a_word(state: MaintenanceState) -> None:
    assert after((told(SCHEDULED), 0), (told(replace(SCHEDULED, state=state)), 1)) == (Board(), [])
    assert after((told(SCHEDULED), 0), (told(), 1)) == (Board(), [])


def test_an_unknown_state_goes_by_its_times_and_without_an_end_until_it_is_gone() -> None:
    odd = replace(SCHEDULED, state=MaintenanceState.UNKNOWN, end_ms=0)
    board, effects = after((told(odd), 0), (Passed(), 99 * HOUR_MS))
    assert (board.running, effects) == ([odd], [])


def test_its_words() -> None:
    assert words_of(SCHEDULED, NOW_MS, is_under_way=False) == (
        "the exchange announces maintenance from 2025-10-09 09:53 UTC until 2025-10-09 10:53 UTC: engine"
    )
    assert words_of(SCHEDULED, NOW_MS, is_under_way=True) == (
        "maintenance of the exchange until 2025-10-09 10:53 UTC: engine"
    )
    assert "10:53 UTC, which has passed: engine" in words_of(SCHEDULED, NOW_MS + 2 * HOUR_MS, is_under_way=True)
    endless = replace(SCHEDULED, end_ms=0, title="")
    assert words_of(endless, NOW_MS, is_under_way=True) == "maintenance of the exchange, end not told: no title"
    assert "until" not in words_of(endless, NOW_MS, is_under_way=False)


# ---------------------------------------------------------------------- announcements


def test_a_delisting_of_a_symbol_that_is_traded_makes_its_terms_be_read_once_and_stands_for_two_days() -> None:
    board, effects = after((told(news=(DELISTING,)), 0))
    assert effects == [ReadTerms("BTCUSDT")]
    assert [str(sight) for sight in board.sights] == [
        "BTCUSDT: announced on 2025-10-09 08:53 UTC (delistings): Delisting of BTCUSDT, https://x/1"
    ]
    board, effects = after((told(news=(DELISTING,)), 0), (told(news=(DELISTING,)), 1))
    assert (len(board.sights), effects) == (1, [])
    assert len(after((told(news=(DELISTING,)), 0), (told(), STANDS_MS - 1))[0].sights) == 1, "pushed out by newer ones"
    assert after((told(news=(DELISTING,)), 0), (Passed(), STANDS_MS))[0].sights == ()


def test_its_dates_make_the_terms_be_read_again_when_they_come() -> None:
    start_ms, end_ms = NOW_MS + HOUR_MS, NOW_MS + STANDS_MS + HOUR_MS
    dated = replace(DELISTING, kind="product_updates", start_ms=start_ms, end_ms=end_ms)
    begin = told(news=(dated,)), 0
    board, effects = after(begin, (Passed(), HOUR_MS))
    assert effects == [ReadTerms("BTCUSDT")]
    assert "from 2025-10-09 09:53 UTC, until 2025-10-11 09:53 UTC" in str(board.sights[0])
    assert after(begin, (Passed(), HOUR_MS), (Passed(), HOUR_MS + 1))[1] == []
    board, effects = after(begin, (Passed(), HOUR_MS), (Passed(), STANDS_MS + HOUR_MS))
    assert (board.sights, effects) == ((), [ReadTerms("BTCUSDT")])


@pytest.mark.parametrize(
    "other",
    [
        replace(DELISTING, kind="latest_activities"),
        replace(DELISTING, title="Delisting of XRPUSDT"),
        replace(DELISTING, published_ms=NOW_MS - STANDS_MS),
    ],
)
def test_what_advertises_what_nobody_here_trades_and_what_is_old_is_nothing(other: Announcement) -> None:
    assert after((told(news=(other,)), 0)) == (Board(), [])


def test_one_announcement_may_be_about_two_symbols() -> None:
    both = replace(DELISTING, title="Delisting of BTCUSDT and ETHUSDT")
    board, effects = after((told(news=(both, replace(both, url="https://x/2"))), 0))
    assert effects == [ReadTerms("BTCUSDT"), ReadTerms("ETHUSDT")]
    assert len(board.sights) == 4


def test_they_are_bounded() -> None:
    many = tuple(replace(DELISTING, published_ms=NOW_MS - at, url=f"https://x/{at}") for at in range(3 * SIGHTS_MAX))
    board, _ = after((told(news=many), 0))
    assert len(board.sights) == SIGHTS_MAX
    assert board.sights[-1].announcement == many[0]
