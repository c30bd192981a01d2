"""Each door for a fraction of a second; `bin/bench fuzz` does the same for ten million inputs."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import Result, inputs_of, run_door
from tests.fuzz.doors import DOORS, Door

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
