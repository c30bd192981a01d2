"""Numbers of a configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from gridbot.doors.strict_model import StrictModel
from tests.case_table import case_table


class Keys(StrictModel):
    step: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    count: int = 1
    wait: float | None = None
    name: str = ""
    either: int | str = 0


@case_table("text", ["1_000", "١٢", "1e30", "1e999999", "²", " 1", "", "NaN", "9" * 5000])
@case_table("key", ["step", "count", "wait"])
def test_what_is_no_number(key: str, text: str) -> None:
    with pytest.raises(ValidationError, match="expected a"):
        Keys.model_validate({key: text})


def test_what_is_one() -> None:
    keys = Keys.model_validate({"step": "0.25", "count": "12", "wait": "1.5", "name": "1_000", "either": "1_000"})
    assert (keys.step, keys.count, keys.wait, keys.name) == (Decimal("0.25"), 12, 1.5, "1_000")
    assert Keys.model_validate({"step": 3, "count": 7, "wait": None}).step == 3
