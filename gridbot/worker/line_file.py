"""The WebSockets that an account has opened lately, across restarts: one document, `lines.json`, with their times.

An address may open so many in five minutes (`bybit/line_room.py`). A process that knew nothing of those before it would
open more than its part, and a fleet that is restarted again and again more than the exchange allows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gridbot.budget.line_starts import LineStarts
from gridbot.bybit.line_room import WINDOW_S, LineRoom, part_of
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.ports import Clock, Files
from gridbot.state.documents import StateFile
from gridbot.worker.spec import WorkerSpec

__all__ = ["VERSION", "room_of", "stream_settings", "wait_for_room"]

VERSION: Final = 1


def stream_settings(spec: WorkerSpec, files: Files, clock: Clock) -> StreamSettings:
    """How the account's streams are run."""
    return StreamSettings(
        public_trades=spec.settings.storage.public_trades,
        dead_man=spec.settings.account(spec.account).dead_man is not None,
        room=room_of(spec, files, clock),
    )


def room_of(spec: WorkerSpec, files: Files, clock: Clock) -> LineRoom:
    """The account's part of its address, less what earlier processes have opened; what this one opens is kept.

    A file that says nothing, or cannot be read, counts as none. A time that is still to come (the clock was ahead)
    counts as now.
    """
    room, file = LineRoom(part_of(spec.neighbours)), StateFile(files, "lines.json")
    now_ms, now_s = clock.wall_ms(), clock.monotonic_s()
    try:
        document = file.load() or {}
    except OSError:
        document = {}
    times_ms = document.get("opened_ms")
    ages_s = [(now_ms - each) / 1000 for each in times_ms if type(each) is int] if isinstance(times_ms, list) else []
    room.earlier(now_s - max(0.0, age_s) for age_s in ages_s if age_s < WINDOW_S)

    def keep(times_s: Sequence[float]) -> None:
        ahead_s = clock.wall_ms() / 1000 - clock.monotonic_s()
        file.save({"version": VERSION, "opened_ms": [round((each_s + ahead_s) * 1000) for each_s in times_s]})

    room.keep_with(keep)
    return room


async def wait_for_room(
    room: LineRoom, starts: LineStarts, clock: Clock, alert: Callable[[str, str, str], object]
) -> None:
    """Return when a start may open its WebSockets: of its own part, or as one of the few that are granted beyond it."""
    while own_s := room.start_wait_s(clock.monotonic_s()):
        granted_s = await starts.wait_s()
        if granted_s == 0:
            return
        wait_s = own_s if granted_s is None else min(own_s, granted_s)
        text = f"expected room for two WebSockets, got none for {wait_s:.0f} s more: restarts have used up what an "
        alert("warning", "start", text + "address may open in five minutes; this account starts then")
        await clock.sleep(wait_s)
