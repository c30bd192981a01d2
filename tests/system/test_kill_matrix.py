"""The kill matrix: its cells, and a part of it on a real fleet. `bin/bench kill_matrix --all` runs all of it.

`GRIDBOT_KILL_MATRIX` has the words of the cells that are run here (worker,SIGSTOP), or `pairwise`.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks.parts.matrix_cells import (
    COMMANDS,
    FAULTS,
    PROCESSES,
    PROMISES,
    Cell,
    all_cells,
    expected,
    matching,
    pairwise,
)
from benchmarks.parts.matrix_run import batches, run_cells
from gridbot.commands.command_table import COMMANDS as DECLARED

ASKED = os.environ.get("GRIDBOT_KILL_MATRIX", "")
MOST = 8
"""Cells that share a moment here: each has a worker."""


def in_the_suite() -> list[Cell]:
    """Each fault of a worker, the two worst of a rescue, and each command that goes on without a worker: one moment."""
    commands = ("flatten", "pause", "kill", "cancel", "restart", "reduce", "flatten", "cancel")
    victims = [*(("worker", fault) for fault in FAULTS), ("rescue", "SIGKILL"), ("rescue", "SIGSTOP")]
    whens = ("during", "before")
    return [
        Cell(process, fault, command, whens[number % 2])
        for number, ((process, fault), command) in enumerate(zip(victims, commands, strict=True))
    ]


def test_each_pair_of_values_is_in_the_pairwise_part() -> None:
    def pairs(cells: list[Cell]) -> set[tuple[tuple[int, str], ...]]:
        return {pair for cell in cells for pair in combinations(enumerate(cell.values), 2)}

    whole, few = list(all_cells()), pairwise(all_cells())
    assert pairs(few) == pairs(whole)
    assert few == pairwise(all_cells()), "the same each time"
    assert len(few) < len(whole) / 15
    assert len(whole) == len(set(whole)) == len(PROCESSES) * len(FAULTS) * len(COMMANDS) * 3


def test_commands_and_expectations_are_those_of_the_program() -> None:
    declared = {command.name: command for command in DECLARED}
    assert set(PROMISES) <= set(declared)
    for name, promise in PROMISES.items():
        assert (promise.by_rescue, promise.kept) == (declared[name].rescued, declared[name].kept), name
    assert all(expected(cell).why for cell in all_cells())


def test_cells_are_named_by_some_of_their_values() -> None:
    assert [str(cell) for cell in matching(["SIGSTOP", "worker", "during", "kill"])] == ["worker,SIGSTOP,kill,during"]
    assert len(matching(["writer"])) == len(FAULTS) * len(COMMANDS) * 3
    with pytest.raises(ValueError, match="got signal"):
        matching(["worker", "signal"])


def test_cells_of_one_moment_share_a_batch_and_a_stop_is_alone() -> None:
    found = list(batches(all_cells(), 5))
    assert sorted(cell for batch in found for cell in batch) == sorted(all_cells())
    for batch in found:
        assert len(batch) <= (1 if PROMISES[batch[0].command].alone else 5)
        if batch[0].process not in ("worker", "rescue"):
            assert len({(cell.process, cell.fault, cell.when) for cell in batch}) == 1


@pytest.mark.system
def test_each_cell_ends_as_promised(tmp_path: Path) -> None:
    if ASKED == "pairwise":
        cells = pairwise(all_cells())
    else:
        cells = matching(ASKED.split(",")) if ASKED else in_the_suite()
    wrong = [str(outcome) for outcome in run_cells(tmp_path, cells, MOST) if outcome.wrong]
    assert not wrong, "\n".join(wrong)
