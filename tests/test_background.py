"""Work in the background: whatever raises is heard of, by whoever asked to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from gridbot import background


async def broken(text: str = "broken") -> None:
    raise ValueError(text)


def shout() -> None:
    raise ValueError("broken")


async def heard(begin: Any, count: int = 1) -> list[tuple[str, str]]:
    """What `watch` tells of what `begin` starts."""
    found: list[tuple[str, str]] = []
    loop = asyncio.get_running_loop()
    with background.watch(loop, lambda part, error: found.append((part, f"{type(error).__name__}: {error}"))):
        begin(loop)
        while len(found) < count:
            await asyncio.sleep(0.001)
    return found


def test_a_task_that_raises_is_told_by_its_name() -> None:
    found = asyncio.run(heard(lambda _: background.start(broken(), name="the look-ups")))
    assert found == [("the look-ups has ended", "ValueError: broken")]


def test_a_task_that_ends_well_or_is_cancelled_says_nothing() -> None:
    async def run() -> None:
        found: list[str] = []
        with background.watch(asyncio.get_running_loop(), lambda part, error: found.append(part)):
            done = background.start(asyncio.sleep(0), name="done")
            long = background.start(asyncio.sleep(60), name="long")
            await done
            long.cancel()
            await asyncio.gather(long, return_exceptions=True)
            await asyncio.sleep(0)
        assert found == []

    asyncio.run(run())


def test_what_is_awaited_raises_at_its_starter() -> None:
    async def run() -> None:
        with pytest.raises(ValueError, match="broken"):
            await background.awaited(broken(), name="a start")

    asyncio.run(run())


def test_a_part_that_goes_on_can_report() -> None:
    found = asyncio.run(heard(lambda _: background.report("a frame", KeyError("x"))))
    assert found == [("a frame", "KeyError: 'x'")]


@pytest.mark.parametrize("how", ["call_soon", "call_later", "threadsafe", "reader", "done"])
def test_callbacks_of_the_loop_are_heard_of(how: str) -> None:
    def begin(loop: asyncio.AbstractEventLoop) -> None:
        if how == "call_soon":
            loop.call_soon(shout)
        elif how == "call_later":
            loop.call_later(0.001, shout)
        elif how == "threadsafe":
            threading.Thread(target=loop.call_soon_threadsafe, args=(shout,)).start()
        elif how == "reader":
            import socket

            ours, theirs = socket.socketpair()
            sockets.extend((ours, theirs))
            theirs.send(b"x")

            def read() -> None:
                loop.remove_reader(ours)
                shout()

            loop.add_reader(ours, read)
        else:
            background.start(asyncio.sleep(0), name="x").add_done_callback(lambda _: shout())

    sockets: list[Any] = []
    [(part, error)] = asyncio.run(heard(begin))
    for one in sockets:
        one.close()
    assert error == "ValueError: broken"
    assert "shout" in part or "callback" in part


def test_a_context_without_an_exception_is_heard_of_too() -> None:
    found = asyncio.run(heard(lambda loop: loop.call_exception_handler({"message": "odd"})))
    assert found == [("odd", "RuntimeError: odd")]


def test_a_thread_that_ends_by_an_exception_is_heard_of_on_the_loop() -> None:
    found = asyncio.run(heard(lambda _: threading.Thread(target=shout, name="sender").start()))
    assert found == [("the thread sender", "ValueError: broken")]


def test_a_thread_can_report_and_go_on() -> None:
    def work() -> None:
        try:
            shout()
        except ValueError as error:
            background.report_in_thread("a frame", error)
        went_on.set()

    went_on = threading.Event()
    found = asyncio.run(heard(lambda _: threading.Thread(target=work, name="reader").start()))
    assert found == [("the thread reader", "RuntimeError: a frame: ValueError: broken")]
    assert went_on.wait(5)


def test_afterwards_everything_is_as_before() -> None:
    async def run() -> None:
        loop, hook = asyncio.get_running_loop(), threading.excepthook
        with background.watch(loop, lambda part, error: None):
            assert threading.excepthook is not hook
        assert threading.excepthook is hook
        assert loop.get_exception_handler() is None

    asyncio.run(run())


def test_a_thread_that_outlives_the_loop_is_no_second_fault() -> None:
    async def run() -> Any:
        with background.watch(asyncio.get_running_loop(), lambda part, error: None):
            return threading.excepthook

    hook = asyncio.run(run())
    hook(threading.ExceptHookArgs((ValueError, ValueError("late"), None, threading.current_thread())))
    hook(threading.ExceptHookArgs((SystemExit, None, None, None)))
