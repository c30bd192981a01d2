"""Fills in the log: one line a minute, which has the sums of those that had none."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from gridbot.core import ExecutionEvent, Side
from gridbot.worker.fill_lines import QUIET_S, FillLines

FILL = ExecutionEvent("BTCUSDT", "e1", "o", "l", Side.BUY, Decimal(100), Decimal(1), fee=Decimal("0.5"), exchange_ts=1)


def test_a_minute_has_one_line_with_the_sums_of_the_others(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 5.0
    log = logging.LoggerAdapter(logging.getLogger("gridbot.worker.fills"), {})
    lines = FillLines(log, lambda: now_s)
    with caplog.at_level(logging.DEBUG, "gridbot.worker.fills"):
        for number in range(4):
            lines.tell(FILL, Decimal(number))
        now_s += QUIET_S
        lines.tell(FILL, Decimal(9))
        now_s += QUIET_S
        lines.tell(FILL, Decimal(9))
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert len(caplog.records) == 6, "each has its line at DEBUG"
    assert [line.partition(" (and ")[2] for line in told] == [
        "",
        "3 more since the last line: realised 6.0000, fees 1.5000)",
        "",
    ]


def test_what_no_fill_follows_is_told_after_a_minute_and_at_a_stop(caplog: pytest.LogCaptureFixture) -> None:
    """The last burst before a silence, or before a stop, had no line at INFO."""
    now_s = 5.0
    lines = FillLines(logging.LoggerAdapter(logging.getLogger("gridbot.worker.fills"), {}), lambda: now_s)
    with caplog.at_level(logging.INFO, "gridbot.worker.fills"):
        for number in range(4):
            lines.tell(FILL, Decimal(number))
        now_s += QUIET_S - 1
        lines.look()
        assert len(caplog.records) == 1
        now_s += 1
        lines.look()
        lines.look()
        lines.tell_rest()
        lines.tell(FILL, Decimal(7))
        lines.tell_rest()
        lines.tell_rest()
    assert [record.getMessage() for record in caplog.records[1:]] == [
        "[fill] 3 more since the last line: realised 6.0000, fees 1.5000",
        "[fill] 1 more since the last line: realised 7.0000, fees 0.5000",
    ]
