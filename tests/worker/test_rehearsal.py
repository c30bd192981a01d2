"""Rehearsals of an order: each makes one, nothing of it leaves or stays, and they give way to real work."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridbot import background
from gridbot.system_ports import SystemClock
from gridbot.worker.rehearsal import EVERY_S, LATE_S, MOST_UNSETTLED, REST_S, Rehearsal
from gridbot.worker.rehearsal_stage import RehearsalFailed, RehearsalStage
from tests.execution.support import ManualClock


def unexpected(part: str, error: BaseException) -> None:
    """A fault on a stage on which none is expected: `play` raises it."""
    raise error


async def settled(stage: RehearsalStage) -> None:
    while not stage.is_settled:
        await asyncio.sleep(0)


def descriptors() -> dict[int, str]:
    """What this process has open."""
    return {int(name): os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name)}


def _is_open(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")  # that of the listing itself is gone


def test_each_rehearsal_makes_one_order_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        connect = loop.create_connection

        async def to_itself(make: Any, *address: object, sock: socket.socket | None = None) -> Any:
            assert sock is not None, "a rehearsal connects to an address"
            assert _leads_nowhere(sock.fileno())
            return await connect(make, sock=sock)

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(loop, "create_connection", to_itself)
        before = descriptors()
        stage = RehearsalStage(SystemClock(), unexpected)
        await settled(stage)
        begun = stage.heard
        for number in range(40):
            stage.play()
            await settled(stage)
            assert stage.heard == begun + number + 1
        fresh = {fd: what for fd, what in descriptors().items() if fd not in before}
        assert fresh
        for fd, what in fresh.items():
            assert what == os.devnull or _leads_nowhere(fd), what
        stage.close()
        stage.close()
        async with asyncio.timeout(30):
            while fresh.keys() & descriptors().keys():
                await asyncio.sleep(0)  # all is closed in the turns that follow

    asyncio.run(run())
    assert list(tmp_path.iterdir()) == []


def _leads_nowhere(fd: int) -> bool:
    """Whether it is one end of a pair of sockets."""
    with socket.socket(fileno=os.dup(fd)) as end:
        return end.family == socket.AF_UNIX and not end.getsockname() and not end.getpeername()


def test_a_stage_goes_on_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of the wallet grow old, and what is old lets nothing pass."""

    async def run() -> None:
        clock = SystemClock()
        stage = RehearsalStage(clock, unexpected)
        await settled(stage)
        began_s = clock.monotonic_s()
        monkeypatch.setattr(SystemClock, "monotonic_s", staticmethod(lambda: began_s + 3_600))
        stage.play()
        stage.close()

    asyncio.run(run())


class _Stage:
    """Counts; `fails` is raised by the next play."""

    def __init__(self) -> None:
        self.played, self.is_settled, self.is_closed = 0, True, False
        self.fails: Exception | None = None

    def play(self) -> None:
        if self.fails is not None:
            raise self.fails
        self.played += 1

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> _Stage:
    made = _Stage()
    monkeypatch.setattr("gridbot.worker.rehearsal.RehearsalStage", lambda clock, on_fault: made)
    return made


def go(clock: ManualClock, seconds: float) -> None:
    asyncio.run(clock.advance(seconds))


def begun(clock: ManualClock, frame_ns: Callable[[], int] = lambda: 0) -> Rehearsal:
    rehearsal = Rehearsal(clock, frame_ns)
    rehearsal.start()
    return rehearsal


def test_they_come_one_after_another_and_end(stage: _Stage) -> None:
    clock = ManualClock()
    rehearsal = begun(clock)
    for _ in range(3):
        go(clock, EVERY_S)
    stage.is_settled = False  # the answer has not come
    go(clock, EVERY_S)
    assert stage.played == 3
    stage.is_settled = True
    rehearsal.stop()
    rehearsal.stop()
    go(clock, 1)
    assert (stage.played, stage.is_closed) == (3, True)


def test_none_right_after_a_price(stage: _Stage) -> None:
    clock = ManualClock()
    came_s = clock.monotonic_s() + EVERY_S / 2
    rehearsal = begun(clock, lambda: int(came_s * 1e9))
    go(clock, EVERY_S)
    assert stage.played == 0, "the price has kept all warm"
    go(clock, EVERY_S)
    assert stage.played == 1
    rehearsal.stop()


def test_a_late_timer_means_a_rest(stage: _Stage) -> None:
    clock = ManualClock()
    rehearsal = begun(clock)
    clock.now_s += EVERY_S + 2 * LATE_S
    go(clock, 0)
    go(clock, REST_S - EVERY_S)
    assert stage.played == 0
    go(clock, EVERY_S)
    assert stage.played == 1
    rehearsal.stop()


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        (RehearsalFailed("expected 5 orders so far, got 4"), "expected 5 orders so far, got 4"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_one_that_goes_wrong_is_the_last(
    stage: _Stage, caplog: pytest.LogCaptureFixture, fails: Exception, says: str
) -> None:
    clock = ManualClock()
    begun(clock)
    stage.fails = fails
    go(clock, EVERY_S)
    go(clock, 1)
    assert stage.is_closed
    assert caplog.messages == [f"keep_warm: {says}; nothing is rehearsed until the next start of this worker"]


def test_a_request_without_an_answer_ends_them(stage: _Stage, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    begun(clock)
    stage.is_settled = False
    go(clock, EVERY_S * (MOST_UNSETTLED + 2))
    assert stage.is_closed
    assert "expected an answer to a rehearsed request within 1000 turns, got none" in caplog.text


def test_an_account_trades_without_a_stage_where_none_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(clock: object, on_fault: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("gridbot.worker.rehearsal.RehearsalStage", refused)
    clock = ManualClock()
    begun(clock).stop()
    assert clock.timers == []
    assert "Too many open files; nothing is rehearsed" in caplog.text


@pytest.mark.parametrize(
    "part",
    [
        "gridbot.worker.strategy_runner.StrategyRunner.on_order_update",
        "gridbot.worker.router.Router.route",
        "gridbot.bybit.session.RestTransport._outcome",
        "gridbot.execution.executor.Executor._learn",
        "gridbot.execution.executor.Executor._landed",
    ],
)
def test_whatever_breaks_in_one_is_told_in_one_line(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No alert, and no line about an order that nobody has."""
    caplog.handler.addFilter(lambda record: not background.is_apart())  # as `logging_setup` does
    monkeypatch.setattr("gridbot.worker.rehearsal.LATE_S", 3_600)
    alerts: list[str] = []

    async def run() -> None:
        rehearsal = Rehearsal(SystemClock(), lambda: 0)
        with background.watch(asyncio.get_running_loop(), lambda part, error: alerts.append(part)):
            rehearsal.start()
            async with asyncio.timeout(60):
                while rehearsal.played < 2:
                    await asyncio.sleep(EVERY_S)
                monkeypatch.setattr(part, broken)
                while not caplog.messages:
                    await asyncio.sleep(EVERY_S)

    asyncio.run(run())
    assert alerts == []
    [line] = caplog.messages
    assert line.startswith("keep_warm: a rehearsal went wrong: "), line
    assert "KeyError: 'broken'; nothing is rehearsed" in line
    assert "in broken" in caplog.text, "the traceback"


def broken(*_: object) -> None:
    raise KeyError("broken")
