"""Nothing that the exchange says is later than now."""

from __future__ import annotations

import pytest

from gridbot.bybit.event_times import SKEW_MS, bounded, frame_time
from gridbot.bybit.parse_account import parse_execution, parse_position
from gridbot.bybit.raw_fields import FieldError
from gridbot.exchange.stream_news import OneWayPosition
from tests.bybit.support import execution_row, position_row

NOW_MS = 1_800_000_000_000


def test_what_lies_ahead_of_our_clock_happens_now_and_the_rest_is_left_alone():
    times = (NOW_MS - 5, NOW_MS + SKEW_MS, NOW_MS + SKEW_MS + 1, 9_999_999_999_999)
    events = [parse_execution(execution_row(f"e{at}", execTime=str(at))) for at in times]
    found = bounded(events, NOW_MS)
    assert [event.exchange_ts for event in found] == [NOW_MS - 5, NOW_MS + SKEW_MS, NOW_MS, NOW_MS]
    assert [event.exec_id for event in found] == [event.exec_id for event in events]
    assert found[3].qty == events[3].qty, "its money counts"
    assert bounded(events[:2], NOW_MS) is not found


def test_what_has_no_time_is_left_alone():
    leg = parse_position(position_row(1, updatedTime="9999999999999"))
    found = bounded([OneWayPosition("BTCUSDT"), leg], NOW_MS)
    assert found[0] == OneWayPosition("BTCUSDT")
    assert found[1] is not None
    assert found[1].exchange_ts == NOW_MS


@pytest.mark.parametrize("value", [None, "", "soon", -1, 2**63 - 1, [], 1.5, True])
def test_what_can_be_no_time_of_a_frame(value: object):
    with pytest.raises(FieldError, match="expected a time in ms of a frame"):
        frame_time(value, NOW_MS)


def test_a_frame_is_no_later_than_now():
    assert frame_time(NOW_MS + 500, NOW_MS) == NOW_MS + 500
    assert frame_time(NOW_MS + SKEW_MS + 1, NOW_MS) == NOW_MS
