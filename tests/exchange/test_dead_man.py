"""How `dead_man` is written."""

from __future__ import annotations

import pytest

from gridbot.exchange.dead_man import DeadMan
from tests.case_table import case_table


@pytest.mark.parametrize(("text", "after_s"), [("dcp 3", 3), ("DCP   300", 300), (" dcp 30 ", 30)])
def test_it_is_read_and_written(text: str, after_s: int) -> None:
    assert DeadMan.parse(text) == DeadMan(after_s)
    assert DeadMan.parse(str(DeadMan(after_s))) == DeadMan(after_s)


@case_table("text", ["", "dcp", "30", "dcp 2", "dcp 301", "dcp 3s", "dcp 1e1", "dcp -5", "dcp 99999"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected dcp with 3 to 300 seconds"):
        DeadMan.parse(text)
