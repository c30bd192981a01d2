"""Each door for a fraction of a second; `bin/bench fuzz` does the same for ten million inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fuzz import market_doors
from tests.fuzz.campaign import Result, inputs_of, run_door
from tests.fuzz.doors import DOORS, Door
from tests.fuzz.mutations import dumped

INPUTS = 12_000
COUNTS = inputs_of(INPUTS, DOORS)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_nothing_unexpected_comes_of_what_others_send(door: Door) -> None:
    result: Result = run_door(door, COUNTS[door.name], seed=15)
    assert result.finds == []
    assert result.outcomes[door.expected[0]], "what is good gets through"


def test_a_find_is_told_with_its_input() -> None:
    def breaks(value: int) -> str:
        if value > 3:
            raise RecursionError(value)
        return "fine" if value else "odd"

    result = run_door(Door("broken", lambda rng: rng.randrange(6), breaks, ("fine",)), 200, seed=1)
    assert set(result.outcomes) == {"fine", "odd", "raised RecursionError"}
    assert {find.what.split("\n")[-2].split(":")[0] for find in result.finds if find.value in "45"} == {
        "RecursionError"
    }
    assert {find.what for find in result.finds if find.value == "0"} == {"unexpected outcome odd"}


@pytest.mark.parametrize(
    ("try_one", "value"),
    [
        (
            market_doors.imported,
            ("BTCUSDT.json", dumped({"result": {"symbol": "BTCUSDT", "list": [["1"] * 6]}}), False),
        ),
        (market_doors.imported, ("BTCUSDT-x.csv", b"time,side,size,price\n1,Buy,1,60000,\xac\n", False)),
        (market_doors.day_read, dumped({"format": 1, "form": "trades", "symbol": "BTCUSDT", "date": "x" * 10_000})),
        (market_doors.map_read, b"lines: text\nline: 'a{184467440737095516164}'\n"),
    ],
    ids=["a candle of six parts", "a row too long that is no text", "a date without end", "a large repetition"],
)
def test_what_was_found_is_refused(try_one: Callable[[Any], str], value: Any) -> None:
    assert try_one(value) == "refused"
