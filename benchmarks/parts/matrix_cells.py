"""The kill matrix as data: its cells, what each promises, and which of them the suite runs. Pure.

A cell is a process, what happens to it, a command of the operator, and whether it happens before, during or after the
command. `expected` says what must come of it: how the command ends, and the end state once everything runs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, product

__all__ = [
    "COMMANDS",
    "FAULTS",
    "PROCESSES",
    "PROMISES",
    "WHEN",
    "Answer",
    "Cell",
    "Expected",
    "Promise",
    "all_cells",
    "expected",
    "matching",
    "pairwise",
]

PROCESSES = ("supervisor", "worker", "writer", "paper", "forks", "rescue")
FAULTS = ("SIGKILL", "SIGSTOP", "SIGTERM", "start", "loop", "hang")
"""Signals, an exception when it starts the next time, one in its loop, and a system call that does not return."""
WHEN = ("before", "during", "after")


@dataclass(frozen=True, slots=True)
class Promise:
    """What a command that was done leaves (docs/operations.md section 5).

    `state` of the strategy; `orders`: none, closes (nothing that opens), or some; `legs`: flat, held, or any.
    `by_rescue`: it is also carried out where the worker does not do it; `kept`: held for the next life of a worker that
    is down. `first`: a command that is given before, so that it has something to change. `alone`: it is for the whole
    fleet.
    """

    state: str
    orders: str
    legs: str
    by_rescue: bool = False
    kept: bool = False
    asks_worker: bool = True
    first: str = ""
    alone: bool = False


PROMISES = {
    "pause": Promise("paused", "any", "any", kept=True),
    "resume": Promise("active", "some", "any", first="pause"),
    "reduce": Promise("reducing", "closes", "any", kept=True),
    "cancel": Promise("paused", "none", "held", by_rescue=True),
    "flatten": Promise("paused", "none", "flat", by_rescue=True),
    "kill": Promise("latched", "none", "flat", by_rescue=True),
    "reconcile": Promise("active", "some", "any"),
    "adopt": Promise("active", "some", "any"),  # without --apply it shows, and changes nothing
    "reload": Promise("active", "some", "any", alone=True),
    "restart": Promise("active", "some", "any", asks_worker=False),
    "stop": Promise("active", "some", "any", asks_worker=False, alone=True),
}
"""Another command is another row."""
COMMANDS = tuple(PROMISES)


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    process: str
    fault: str
    command: str
    when: str

    def __str__(self) -> str:
        return ",".join((self.process, self.fault, self.command, self.when))

    @property
    def values(self) -> tuple[str, str, str, str]:
        return self.process, self.fault, self.command, self.when


class Answer(StrEnum):
    """How the command may end."""

    DONE = "done"  # exit code 0
    EITHER = "either"  # done, or not done and said so
    UNDONE = "undone"  # not 0


@dataclass(frozen=True, slots=True)
class Expected:
    """`done`: the promise holds in the end whatever the command said, since it was begun."""

    answer: Answer
    why: str
    done: bool = False


def expected(cell: Cell) -> Expected:
    """What must come of a cell. Where a command says that it was not carried out, nothing of it may have been."""
    promise = PROMISES[cell.command]
    needs_worker = promise.asks_worker and not (promise.by_rescue or promise.kept)
    if cell.process == "rescue" and needs_worker:
        return Expected(Answer.EITHER, "while a rescue is there no worker trades")
    if cell.when == "after":
        return Expected(Answer.DONE, "the command was over; what holds is durable", done=True)
    match cell.process:
        case "writer" | "forks":
            return Expected(Answer.DONE, "no command needs the writer, or a fork that is made now", done=True)
        case "paper" if promise.by_rescue:
            return Expected(Answer.EITHER, "without an exchange it goes on until there is one again", done=True)
        case "paper":
            return Expected(Answer.DONE, "what holds needs no exchange", done=True)
        case "worker" if promise.by_rescue:
            return Expected(Answer.DONE, "a rescue does it, or the next life of the worker", done=True)
        case "worker" if not promise.asks_worker:
            return Expected(Answer.DONE, "the supervisor does it", done=True)
        case "worker":
            return Expected(Answer.EITHER, "it is taken, kept for the next life, or said not to be carried out")
        case "rescue":
            return Expected(Answer.EITHER, "what the rescue has begun the next process of the account goes on with")
        case "supervisor" if cell.fault == "loop":
            return Expected(Answer.DONE, "a fault in its loop is contained", done=True)
        case "supervisor" if cell.when == "before" and cell.fault in ("SIGKILL", "start"):
            return Expected(Answer.UNDONE, "nobody is there who could take it")
        case _:
            return Expected(Answer.EITHER, "it may have been taken before the supervisor went away, or not")


def all_cells() -> Iterator[Cell]:
    """The whole matrix, the processes one after another."""
    for values in product(PROCESSES, FAULTS, COMMANDS, WHEN):
        yield Cell(*values)


def matching(words: Sequence[str]) -> list[Cell]:
    """Cells by words like worker,SIGSTOP,flatten: each names a value, and a dimension that is not named is whole.

    Raises ValueError for a word that is none.
    """
    known = {*PROCESSES, *FAULTS, *COMMANDS, *WHEN}
    if strange := [word for word in words if word not in known]:
        raise ValueError(f"expected some of {', '.join(sorted(known))}, got {', '.join(strange)}")
    asked = [{*values} & {*words} or {*values} for values in (PROCESSES, FAULTS, COMMANDS, WHEN)]
    return [cell for cell in all_cells() if all(value in some for value, some in zip(cell.values, asked, strict=True))]


def pairwise(cells: Iterable[Cell]) -> list[Cell]:
    """The fewest cells, chosen greedily and always the same, in which each pair of values occurs that occurs at all."""
    left = list(cells)
    open_pairs = {pair for cell in left for pair in _pairs(cell)}
    chosen = []
    while open_pairs:
        best = max(left, key=lambda cell: len(open_pairs & _pairs(cell)))  # the first of the best
        chosen.append(best)
        open_pairs -= _pairs(best)
    return chosen


def _pairs(cell: Cell) -> set[tuple[tuple[int, str], tuple[int, str]]]:
    return set(combinations(enumerate(cell.values), 2))
