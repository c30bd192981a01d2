from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.compare.tolerances import Tolerance, tolerance_of
from tests.case_table import case_table


def test_each_part_may_be_given_once_or_with_others() -> None:
    assert tolerance_of([]) == Tolerance()
    found = tolerance_of(["price=1, time=0.5", "size=2%,rows=0.1%", "money=3"])
    assert found == Tolerance(Decimal(1), Decimal(2), Decimal("0.5"), Decimal("0.1"), Decimal(3))
    assert str(found) == "price=1,size=2,time=0.5,rows=0.1,money=3"
    assert tolerance_of([str(found)]) == found
    assert str(Tolerance()) == "price=0,size=0,time=5,rows=0"


@case_table("text", ["time", "time=", "time=-1", "time=1e99", "colour=1", "time=5%", "=1", "time=nan"])
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        tolerance_of([text])
    assert str(caught.value) == (
        "expected NAME=NUMBER of price (ticks), size (percent), time (seconds), rows (percent), money (USDT), "
        f"got {text!r}"
    )
