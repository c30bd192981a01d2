"""Fixes of issue 11 taken out again: how a worker catches up with the exchange (`reverts` names them)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from gridbot.orders import reconcile_look_ups, reconciliation
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import Asked
from gridbot.risk.margin_brake import BrakeState
from gridbot.simulation.taken_out import replaced, together
from gridbot.state.documents import StopFile
from gridbot.worker import cap_guard, strategy_positions
from gridbot.worker.clockwork import Clockwork
from gridbot.worker.jobs import Jobs
from gridbot.worker.readings import Readings
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.schedule import JobKind

__all__ = [
    "ask_for_no_missing",
    "brake_nothing",
    "drop_the_wish",
    "keep_no_cap_latch",
    "keep_no_latch",
    "take_older_rows",
]

LATCH, CAPS = "latch.json", "caps.json"


def drop_the_wish() -> AbstractContextManager[Any]:
    """What is asked for while a pass runs, in the mailbox or of the reconciler itself, is that pass."""
    begin, post, start = reconciliation._on_asked, RefreshRequests.reconcile, Clockwork._start_jobs
    jobs: WeakKeyDictionary[RefreshRequests, Jobs] = WeakKeyDictionary()

    def asked(turn: Turn, event: Asked) -> None:
        run = turn.state.run
        if run is None:
            begin(turn, event)
        else:
            wish = replace(run.wish, tickets=(*run.wish.tickets, event.ticket))
            turn.change(run=replace(run, wish=wish))

    def start_jobs(clockwork: Clockwork, now_s: float) -> None:
        jobs[clockwork._context.requests] = clockwork._jobs
        start(clockwork, now_s)

    def reconcile(requests: RefreshRequests, reason: str, *, since_ms: int | None = None) -> None:
        if requests not in jobs or JobKind.RECONCILE not in jobs[requests].running:
            post(requests, reason, since_ms=since_ms)

    return together(
        replaced(reconciliation, _on_asked=asked),
        replaced(Clockwork, _start_jobs=start_jobs),
        replaced(RefreshRequests, reconcile=reconcile),
    )


def ask_for_no_missing() -> AbstractContextManager[Any]:
    """What a finished order lacks comes with the next pass that is due, or never."""
    return together(
        replaced(reconcile_look_ups, _ask_missing=lambda turn: None),
        replaced(Readings, again=lambda readings: ""),
    )


def take_older_rows() -> AbstractContextManager[Any]:
    """The row that comes last counts, not the newest."""
    return replaced(strategy_positions, is_outdated=lambda one, known: False)


def keep_no_latch() -> AbstractContextManager[Any]:
    """The loss limit is in memory alone, and counts anew after each death."""
    return _keep_nothing_in(LATCH)


def keep_no_cap_latch() -> AbstractContextManager[Any]:
    """The latch of caps and the peak are in memory alone."""
    return _keep_nothing_in(CAPS)


def _keep_nothing_in(name: str) -> AbstractContextManager[Any]:
    real = StopFile.save

    def save(file: StopFile, document: dict[str, Any]) -> None:
        if file._name != name:
            real(file, document)

    return replaced(StopFile, save=save)


def brake_nothing() -> AbstractContextManager[Any]:
    """The margin ratio is looked at, and nothing follows."""
    return replaced(cap_guard, brake_step=lambda state, event, most: BrakeState())
