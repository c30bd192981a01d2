"""How many WebSockets an account has opened lately is known to its next process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridbot.budget.line_starts import ALL_LINES, LineStarts
from gridbot.bybit.line_room import WINDOW_S, LineRoom
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from gridbot.state.state_files import StateFiles
from gridbot.worker.line_file import room_of, wait_for_room
from gridbot.worker.spec import WorkerSpec
from tests.execution.support import ManualClock

ACCOUNTS = ALL_LINES // 4
"""With so many on the address each may open four."""


def begun(directory: Path, clock: ManualClock) -> tuple[LineRoom, StateFiles]:
    """A process begins."""
    files = StateFiles(directory)
    settings = GridbotConfig(
        accounts=tuple(AccountConfig(name=f"a{number}", environment=Environment.PAPER) for number in range(ACCOUNTS))
    )
    return room_of(WorkerSpec("a0", settings, directory, "run"), files, clock), files


def test_the_next_process_has_what_is_left(tmp_path: Path) -> None:
    clock = ManualClock()
    room, files = begun(tmp_path, clock)
    for _ in range(3):
        room.opened(clock.now_s)
        clock.now_s += 10
    files.close()
    room, files = begun(tmp_path, clock)
    assert room.start_wait_s(clock.now_s) == pytest.approx(WINDOW_S - 30, abs=0.1), "three of four are used"
    files.close()
    clock.now_s += WINDOW_S - 30
    room, files = begun(tmp_path, clock)
    assert room.start_wait_s(clock.now_s) == 0.0
    files.close()


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"torn {", 4),
        (b'{"version": 1}', 4),
        (b'{"version": 1, "opened_ms": 5}', 4),
        (b'{"version": 1, "opened_ms": ["soon", null, 9.5]}', 4),
        (json.dumps({"version": 1, "opened_ms": [99999999999999]}).encode(), 3),
    ],
    ids=["torn", "nothing", "no list", "no times", "of a clock that was ahead"],
)
def test_a_file_that_says_nothing_counts_as_none(tmp_path: Path, content: bytes, left: int) -> None:
    (tmp_path / "lines.json").write_bytes(content)
    clock = ManualClock()
    room, files = begun(tmp_path, clock)
    for _ in range(left - 2):
        room.opened(clock.now_s)
    assert room.start_wait_s(clock.now_s) == 0.0
    room.opened(clock.now_s)
    assert room.start_wait_s(clock.now_s) > 0.0
    files.close()


@pytest.mark.parametrize(
    ("answers", "took_s", "alerts"),
    [([], 0, 0), ([0.0], 0, 0), ([40.0, 0.0], 40, 1), ([WINDOW_S + 9], WINDOW_S - 1, 1), (None, WINDOW_S - 1, 1)],
    ids=["own part", "granted", "granted later", "own part later", "nobody grants"],
)
async def test_a_start_waits_for_room(answers: list[float] | None, took_s: float, alerts: int) -> None:
    clock, room, told = ManualClock(), LineRoom(4), list[tuple[str, str, str]]()
    for _ in range(2 if answers == [] else 4):
        room.opened(clock.now_s)
    clock.now_s += 1
    began_s = clock.now_s
    starts = LineStarts(clock, None if answers is None else lambda _: starts.on_message({"wait_s": answers.pop(0)}))
    await wait_for_room(room, starts, clock, lambda *alert: told.append(alert))
    assert clock.now_s - began_s == pytest.approx(took_s, abs=0.1)
    assert [(level, kind) for level, kind, _ in told] == [("warning", "start")] * alerts
