"""Time that jumps, and lives that end in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from gridbot.simulation.virtual_loop import LIFE, Stuck, VirtualLoop


def made() -> VirtualLoop:
    return VirtualLoop()  # type: ignore[abstract]


def in_life(life: object) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(LIFE.set, life)
    return context


def test_a_day_takes_no_time_and_timers_keep_their_order() -> None:
    loop, seen = made(), []

    async def main() -> None:
        for name, delay_s in (("late", 86_400.0), ("first", 1.0), ("second", 1.0)):
            loop.call_later(delay_s, seen.append, name)
        await asyncio.sleep(90_000)

    loop.run(main())
    assert seen == ["first", "second", "late"]
    assert loop.time() == 1000.0 + 90_000


def test_asyncio_s_own_tools_work() -> None:
    loop = made()

    async def late() -> int:
        await asyncio.sleep(5)
        return 1

    async def main() -> list[Any]:
        try:
            async with asyncio.timeout(2):
                await late()
        except TimeoutError:
            return list(await asyncio.gather(late(), late()))
        return []

    assert loop.run(main()) == [1, 1]
    assert loop.time() == 1007.0


def test_a_killed_life_runs_no_further_not_even_its_finally() -> None:
    loop, life, seen = made(), object(), []

    async def worker() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                seen.append(loop.time())
        finally:
            seen.append(-1.0 if loop.time() < 2000 else 0.0)

    async def main() -> list[float]:
        loop.create_task(worker(), context=in_life(life))
        await asyncio.sleep(2.5)
        loop.kill(life)
        loop.call_later(1, seen.append, 7.0, context=in_life(life))
        await asyncio.sleep(10)
        return list(seen)

    assert loop.run(main()) == [1001.0, 1002.0]


def test_a_stalled_life_runs_what_was_due_when_its_time_has_come_in_order() -> None:
    loop, life, seen = made(), object(), []

    async def main() -> None:
        context = in_life(life)
        loop.call_later(3, lambda: seen.append(("late", loop.time())), context=context)
        loop.call_later(2, lambda: seen.append(("early", loop.time())), context=context)
        loop.call_later(2.5, lambda: seen.append(("other", loop.time())))
        loop.stall(life, 10)
        loop.stall(life, 5)
        assert loop.is_stalled(life)
        await asyncio.sleep(20)
        assert not loop.is_stalled(life)

    loop.run(main())
    assert seen == [("other", 1002.5), ("early", 1010.0), ("late", 1010.0)]


def test_a_fuse_ends_a_life_after_so_many_of_its_steps() -> None:
    loop, life, seen = made(), object(), []

    async def worker() -> None:
        for number in range(10):
            seen.append(number)
            await asyncio.sleep(0)

    async def main() -> None:
        loop.fused, loop.fuse, loop.on_fuse = life, 4, lambda: loop.kill(life)
        loop.create_task(worker(), context=in_life(life))
        await asyncio.sleep(1)

    loop.run(main())
    assert seen == [0, 1, 2]


def test_a_failed_callback_is_noted() -> None:
    loop = made()

    async def main() -> None:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    loop.run(main())
    assert "ZeroDivisionError" in loop.failures[0]


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def without_time() -> None:
    while True:
        await asyncio.sleep(0)


@pytest.mark.parametrize("main", [for_ever, without_time])
def test_standing_still_and_spinning_are_noticed(main: Callable[[], Any]) -> None:
    with pytest.raises(Stuck):
        made().run(main())


def test_what_the_dead_say_at_their_burial_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    """An asynchronous generator that waits cannot be closed, which its user takes for a fault (seed 4198)."""
    loop, life = made(), object()

    async def pages() -> AsyncGenerator[int, None]:
        await asyncio.sleep(3_600)
        yield 1

    async def ask() -> None:
        try:
            async with contextlib.aclosing(pages()) as listing:
                async for _ in listing:
                    pass
        except Exception:
            logging.getLogger("asking").exception("failed")
            told.append("failed")

    told: list[str] = []

    async def begin() -> None:
        task = loop.create_task(ask(), context=in_life(life))
        await asyncio.sleep(1)
        loop.kill(life)
        assert not task.done()

    loop.run(begin())
    loop.bury()
    assert told == ["failed"]
    assert caplog.messages == []
    logging.getLogger("asking").error("heard again")
    assert caplog.messages == ["heard again"]
