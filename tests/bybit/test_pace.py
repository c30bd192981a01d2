from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gridbot.bybit import pace as module
from gridbot.bybit.pace import Pace
from gridbot.rolling_limit import RollingLimit


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    time = Time()
    with monkeypatch.context() as patch:
        patch.setattr(module, "monotonic_s", lambda: time.now_s)
        patch.setattr(asyncio, "sleep", time.sleep)
        yield time


def passed(time: Time, pace: Pace, turns: int) -> list[float]:
    async def run() -> list[float]:
        found = []
        for _ in range(turns):
            await pace.turn()
            found.append(round(time.now_s - 100.0, 3))
        return found

    return asyncio.run(run())


def test_the_tightest_limit_decides(time: Time) -> None:
    pace = Pace(RollingLimit(2, 1.0), RollingLimit(3, 5.0))
    assert passed(time, pace, 4) == [0.0, 0.0, 1.0, 5.0]


def test_without_limits_nothing_waits(time: Time) -> None:
    assert passed(time, Pace(), 3) == [0.0, 0.0, 0.0]
