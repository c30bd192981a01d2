"""Nothing that the exchange says is later than now."""

from __future__ import annotations

import pytest

from gridbot.bybit.event_times import SKEW_MS, Horizon
from gridbot.bybit.parse_account import parse_execution, parse_position
from gridbot.bybit.raw_fields import FieldError
from gridbot.core.events import PositionEvent
from gridbot.exchange.stream_news import OneWayPosition
from tests.bybit.support import execution_row, position_row
from tests.case_table import case_table

NOW_MS = 1_800_000_000_000


def horizon() -> Horizon:
    return Horizon(lambda: NOW_MS)


def test_what_lies_ahead_of_our_clock_happens_now_and_the_rest_is_left_alone():
    times = (NOW_MS - 5, NOW_MS + SKEW_MS, NOW_MS + SKEW_MS + 1, 9_999_999_999_999)
    events = [parse_execution(execution_row(f"e{at}", execTime=str(at))) for at in times]
    found = horizon().bounded(events)
    assert [event.exchange_ts for event in found] == [NOW_MS - 5, NOW_MS + SKEW_MS, NOW_MS, NOW_MS]
    assert [event.exec_id for event in found] == [event.exec_id for event in events]
    assert found[3].qty == events[3].qty, "its money counts"


def test_what_has_no_time_is_left_alone():
    leg = parse_position(position_row(1, updatedTime="9999999999999"))
    one_way, bounded = horizon().bounded([OneWayPosition("BTCUSDT"), leg])
    assert one_way == OneWayPosition("BTCUSDT")
    assert isinstance(bounded, PositionEvent)
    assert bounded.exchange_ts == NOW_MS


@case_table("value", [None, "", "soon", -1, 2**63 - 1, [], 1.5, True])
def test_what_can_be_no_time_of_a_frame(value: object):
    with pytest.raises(FieldError, match="expected a time in ms of a frame"):
        horizon().frame_time(value)


def test_a_frame_is_no_later_than_now():
    found = horizon()
    times = (NOW_MS + 500, NOW_MS + SKEW_MS, NOW_MS + SKEW_MS + 1, 9_999_999_999_999, NOW_MS + 500)
    assert [found.frame_time(at_ms) for at_ms in times] == [*times[:2], NOW_MS, NOW_MS, times[0]]


def test_the_clock_is_asked_only_for_what_lies_beyond_what_it_allowed_last():
    asked: list[int] = []

    def clock() -> int:
        asked.append(NOW_MS)
        return NOW_MS

    found = Horizon(clock)
    for at_ms in range(NOW_MS, NOW_MS + SKEW_MS, 1000):
        assert found.frame_time(at_ms) == at_ms
    assert len(asked) == 1
