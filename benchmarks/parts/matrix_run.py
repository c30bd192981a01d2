"""Runs cells of the kill matrix on a real fleet, and judges each by the exchange's own lists and by `status`.

Cells of one batch share a moment: what happens to a worker, or to the rescue of an account, is that account's own, and
what happens to a process of all is shared by the accounts of the batch. Each cell has an account, whose worker has an
order at rest and an open leg when it begins.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

from benchmarks.parts.fleet import FleetError
from benchmarks.parts.matrix_cells import PROMISES, Answer, Cell, expected
from benchmarks.parts.matrix_fleet import Given, MatrixFleet, matrix_configuration, until
from benchmarks.parts.own_supervisor import Status, child_rows
from supervisor.exit_codes import ExitCode

__all__ = ["NEIGHBOUR", "Outcome", "batches", "cell_accounts", "run_batch", "run_cells"]

NEIGHBOUR = "next"
SPARE = "spare"
"""Its worker is killed so that a fork is asked for, where that is what fails."""
OWN = ("worker", "rescue")
"""Processes of one account: cells of different faults can share a batch."""
UNTOUCHED = "was not carried out"


def cell_accounts(count: int) -> list[str]:
    """At most five letters: the kernel keeps fifteen of a process's name."""
    return [f"c{number:02d}" for number in range(count)]


@dataclass
class Outcome:
    """What came of a cell; `wrong` is empty where it is as expected."""

    cell: Cell
    account: str
    given: Given | None = None
    pid: int | None = None
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        word = "ok" if not self.wrong else "WRONG: " + "; ".join(self.wrong)
        return f"{self.cell} [{self.account}] {self.given}: {word}"


def run_cells(home: Path, cells: Sequence[Cell], accounts: int, first: int = 0) -> Iterator[Outcome]:
    """All of them on one fleet, batch by batch, beginning with the batch `first`. Raises FleetError."""
    together = list(batches(cells, accounts))[first:]
    names = cell_accounts(max(map(len, together), default=1))
    fleet = MatrixFleet(home, matrix_configuration([*names, NEIGHBOUR, SPARE]))
    fleet.launch()
    try:
        for batch in together:
            yield from run_batch(fleet, batch, names)
    finally:
        pids = fleet.everyone()
        fleet.let_go()
        fleet.stop()
        left = [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if left:
            raise FleetError(f"still there after the end: {left}")


def batches(cells: Iterable[Cell], accounts: int) -> Iterator[list[Cell]]:
    """Cells that can share a moment, at most one for each account; what is for the whole fleet is alone."""

    def moment(cell: Cell) -> tuple[str, ...]:
        if PROMISES[cell.command].alone:
            return cell.process, cell.fault, cell.when, "alone", cell.command
        return ("own",) if cell.process in OWN else (cell.process, cell.fault, cell.when)

    for key, group in groupby(sorted(cells, key=moment), key=moment):
        together = list(group)
        size = 1 if "alone" in key else accounts
        for start in range(0, len(together), size):
            yield together[start : start + size]


def run_batch(fleet: MatrixFleet, cells: Sequence[Cell], accounts: Sequence[str]) -> list[Outcome]:
    """Begin, strike, recover, judge, and once more after another life of each worker."""
    outcomes = [Outcome(cell, account) for cell, account in zip(cells, accounts, strict=False)]
    status = _ready(fleet, outcomes)
    before = fleet.newest_fill(NEIGHBOUR)
    for outcome in outcomes:
        outcome.pid = child_rows(status)[f"worker-{outcome.account}"]["pid"]
        if first := PROMISES[outcome.cell.command].first:
            fleet.give(first, outcome.account).result()
        if outcome.cell.command == "reload":
            fleet.change_ladder(outcome.account)
    _act(fleet, outcomes)
    alive = not {cell.process for cell in cells} & {"paper", "supervisor"} and cells[0].command != "stop"
    if alive:
        _neighbour_trades(fleet, before, outcomes, "while it lasts")
    for outcome in outcomes:
        if outcome.given is not None and outcome.given.code is None:
            outcome.given.result()
    _judge_answers(outcomes)
    try:
        status = fleet.settled()
    except FleetError as error:
        for outcome in outcomes:
            outcome.wrong.append(str(error))
        return outcomes
    _judge(fleet, outcomes, "in the end")
    after = fleet.newest_fill(NEIGHBOUR)
    _neighbour_trades(fleet, after, outcomes, "afterwards")
    _next_life(fleet, outcomes)
    _judge(fleet, outcomes, "after another life")
    return outcomes


def _ready(fleet: MatrixFleet, outcomes: Sequence[Outcome]) -> Status:
    """Every account trades: an order rests and a leg is open."""
    status = fleet.settled()
    for row in status["accounts"]:
        if row["account"] in {outcome.account for outcome in outcomes} and row["strategies"][0]["state"] != "active":
            fleet.give("resume", row["account"]).result()
    for outcome in outcomes:
        until(partial(_trades, fleet, outcome.account), f"{outcome.account} to trade", 120, 0.2)
    return fleet.settled()


def _trades(fleet: MatrixFleet, account: str) -> bool:
    books = fleet.books(account)
    return bool(books.opening and books.legs)


def _name(outcome: Outcome) -> str:
    process = outcome.cell.process
    return f"{process}-{outcome.account}" if process in OWN else process


def _words(outcome: Outcome) -> tuple[str, ...]:
    command = outcome.cell.command
    return (command,) if PROMISES[command].alone else (command, outcome.account)


def _act(fleet: MatrixFleet, outcomes: Sequence[Outcome]) -> None:
    """The fault and the command, in the order of the cell."""
    for outcome in outcomes:
        if outcome.cell.process == "rescue":  # there is one only where the worker does not answer
            os.kill(outcome.pid or 0, signal.SIGSTOP)
            if not PROMISES[outcome.cell.command].by_rescue:
                fleet.give("cancel", outcome.account, "--leave-running")
    for outcome in _struck(outcomes, "before"):
        _strike(fleet, outcome)
    for outcome in _struck(outcomes, "before"):
        _wait_for(fleet, outcome)
    for outcome in outcomes:
        outcome.given = fleet.give(*_words(outcome))
    for outcome in _struck(outcomes, "during"):
        if outcome.given is not None:
            until(outcome.given.is_on_its_way, f"{outcome.given} to begin", 30, 0.002)
        time.sleep(random.uniform(0.0, 0.1))  # not waiting for anything: the moment is the cell's input
        _strike(fleet, outcome)
    for outcome in outcomes:
        if outcome.cell.when == "after" and outcome.given is not None:
            outcome.given.result()
    for outcome in _struck(outcomes, "after"):
        _strike(fleet, outcome)


def _struck(outcomes: Sequence[Outcome], when: str) -> list[Outcome]:
    """Those at this moment; of a process that all share one."""
    found = [outcome for outcome in outcomes if outcome.cell.when == when]
    return found if found and found[0].cell.process in OWN else found[:1]


def _strike(fleet: MatrixFleet, outcome: Outcome) -> None:
    cell, name = outcome.cell, _name(outcome)
    late = cell.process == "rescue" and cell.fault.startswith("SIG")
    if late:
        with contextlib.suppress(FleetError):
            until(lambda: fleet.pid_of(name), f"{name} to begin", 8, 0.005)
    with contextlib.suppress(FleetError, ProcessLookupError):
        if not late or fleet.pid_of(name):
            fleet.strike(name, cell.fault)
    if cell.process == "forks" and (pid := fleet.pid_of(f"worker-{SPARE}")):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if cell.process == "supervisor" and cell.fault == "start" and fleet.supervisor is not None:
        fleet.supervisor.wait(30)
        fleet.launch()  # and this one cannot start
        fleet.supervisor.wait(60)


def _wait_for(fleet: MatrixFleet, outcome: Outcome) -> None:
    """Until what was armed has come; a rescue's comes with the command."""
    if outcome.cell.process != "rescue":
        with contextlib.suppress(FleetError):
            until(lambda: fleet.struck(_name(outcome), outcome.cell.fault), "the fault", 15, 0.02)


# ------------------------------------------------------------------ judging


def _judge_answers(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        given, want = outcome.given, expected(outcome.cell)
        if given is None or given.code is None:
            continue
        if given.code not in set(ExitCode) or "Traceback" in given.said:
            outcome.wrong.append(f"expected an exit code of the table and no traceback, got {given.code}")
        if want.answer is Answer.DONE and given.code != ExitCode.OK:
            outcome.wrong.append(f"expected exit code 0 ({want.why})")
        if want.answer is Answer.UNDONE and given.code == ExitCode.OK:
            outcome.wrong.append(f"expected another exit code than 0 ({want.why})")
        if given.code not in (ExitCode.OK, None) and not given.said:
            outcome.wrong.append("it did not say why it was not done")


def _judge(fleet: MatrixFleet, outcomes: Sequence[Outcome], when: str) -> None:
    for outcome in outcomes:
        problems: list[str] = []

        def good(outcome: Outcome = outcome, problems: list[str] = problems) -> bool:
            problems[:] = _problems(fleet, outcome)
            return not problems

        try:
            until(good, "the end state", 20, 0.3)
        except FleetError:
            outcome.wrong += [f"{when}: {problem}" for problem in problems]


def _problems(fleet: MatrixFleet, outcome: Outcome) -> list[str]:
    """Against what was promised, or against nothing having happened, whichever the answer allows."""
    given, want = outcome.given, expected(outcome.cell)
    assert given is not None
    promised = _against(fleet, outcome, outcome.cell.command)
    if given.code == ExitCode.OK or not promised:
        undone_said = given.code != ExitCode.OK and UNTOUCHED in given.said
        if promised or not undone_said or not _distinct(outcome.cell.command):
            return promised
    untouched = _against(fleet, outcome, PROMISES[outcome.cell.command].first or "reconcile")
    if want.done and promised and UNTOUCHED not in given.said:
        return promised
    if UNTOUCHED in given.said:
        return [f"said that it was not carried out, and: {problem}" for problem in untouched]
    return [] if not promised else [f"neither done ({'; '.join(promised)}) nor untouched: {p}" for p in untouched]


def _distinct(command: str) -> bool:
    """Whether its end state is another one than that of nothing at all."""
    return PROMISES[command].state != "active" or bool(PROMISES[command].first)


def _against(fleet: MatrixFleet, outcome: Outcome, command: str) -> list[str]:
    promise, account = PROMISES[command], outcome.account
    status = fleet.status()
    if status is None:
        return ["no status"]
    [row] = [row for row in status["accounts"] if row["account"] == account]
    state, books = row["strategies"][0]["state"], fleet.books(account)
    problems = []
    if state != promise.state:
        problems.append(f"expected {promise.state}, got {state}")
    if promise.orders == "none" and books.resting:
        problems.append(f"expected no orders, got {books.resting}")
    if promise.orders == "closes" and books.opening:
        problems.append(f"expected no orders that open, got {books.opening}")
    if promise.orders == "some" and not books.opening:
        problems.append("expected orders that open, got none")
    if promise.legs == "flat" and books.legs:
        problems.append(f"expected no legs, got {books.legs}")
    if promise.legs == "held" and not books.legs:
        problems.append("expected the legs to stay, got none")
    if books.doubled:
        problems.append(f"more than one order at {', '.join(books.doubled)}")
    if command == "restart" and row["process"]["pid"] == outcome.pid:
        problems.append(f"expected another process than {outcome.pid}")
    return problems


def _neighbour_trades(fleet: MatrixFleet, before: str, outcomes: Sequence[Outcome], when: str) -> None:
    try:
        until(lambda: fleet.newest_fill(NEIGHBOUR) != before, "a fill of the neighbour", 60, 0.2)
    except FleetError as error:
        outcomes[0].wrong.append(f"{when}: {error}")


def _next_life(fleet: MatrixFleet, outcomes: Sequence[Outcome]) -> None:
    rows = child_rows(fleet.settled())
    for outcome in outcomes:
        outcome.pid = rows[f"worker-{outcome.account}"]["pid"]
        os.kill(int(outcome.pid or 0), signal.SIGKILL)

    def back() -> bool:
        status = fleet.status()
        now = {} if status is None else child_rows(status)
        return bool(now) and all(now[f"worker-{o.account}"]["pid"] not in (None, o.pid) for o in outcomes)

    until(back, "another life of each worker", 60, 0.1)
    fleet.settled()
