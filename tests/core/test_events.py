"""What follows from an event without a look at anything else."""

from __future__ import annotations

from gridbot.core import OrderStatus, PositionEvent
from tests.core.helpers import LONG, SHORT, SYMBOL, d, fill


def test_open_order_statuses():
    names = {status.value for status in OrderStatus if status.is_open}
    assert names == {"New", "PartiallyFilled", "Untriggered", "Triggered"}


def test_executions_and_positions_know_what_they_are():
    assert (fill("1").is_close, fill("1").direction) == (False, LONG)
    closing = fill("1", closed_size=d(1))
    assert (closing.is_close, closing.direction) == (True, SHORT)
    assert PositionEvent(SYMBOL, LONG, d(2), d(50)).entry_value == 100
    assert PositionEvent(SYMBOL, LONG, d(2)).entry_value == 0
