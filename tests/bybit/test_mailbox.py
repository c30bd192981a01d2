"""From the connections to the worker: order, coalescing, when it is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from gridbot import background
from gridbot.bybit.mailbox import Mailbox, PrivateFrame
from gridbot.core.events import TickerEvent
from tests.bybit.support import run


def ticker(ts: int, symbol: str = "BTCUSDT") -> TickerEvent:
    return TickerEvent(symbol, Decimal(1), ts)


def private(number: int) -> PrivateFrame:
    return PrivateFrame("order", [number], 0, 0)


def in_a_loop(scene: Callable[[Mailbox, list[Any]], Any]) -> None:
    """The second argument hears of each wake-up what lay in the mailbox."""

    async def inside() -> None:
        looks: list[Any] = []

        def look() -> None:
            tickers, frames = box.open()
            looks.append(([one.exchange_ts for one in tickers], [frame.rows[0] for frame in frames]))

        box = Mailbox(asyncio.get_running_loop(), look)
        await scene(box, looks)

    run(inside())


def test_while_more_comes_the_worker_is_woken_once_and_sees_the_newest():
    async def scene(box: Mailbox, looks: list[Any]) -> None:
        for number in range(100):
            box.put_ticker(ticker(number))
            box.put_private(private(number))
        assert looks == []
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert looks == [([99], list(range(100)))]

    in_a_loop(scene)


def test_what_comes_alone_wakes_at_once():
    async def scene(box: Mailbox, looks: list[Any]) -> None:
        box.put_ticker(ticker(1), has_more=False)
        assert looks == [([1], [])]
        box.put_private(private(2), has_more=False)
        assert looks[1:] == [([], [2])]
        await asyncio.sleep(0)
        assert len(looks) == 2

    in_a_loop(scene)


def test_the_last_of_several_wakes_for_all_of_them():
    async def scene(box: Mailbox, looks: list[Any]) -> None:
        for number in range(3):
            box.put_ticker(ticker(number))
            box.put_ticker(ticker(number, "ETHUSDT"))
        box.put_private(private(7), has_more=False)
        assert looks == [([2, 2], [7])]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(looks) == 1, "and not once more for nothing"

    in_a_loop(scene)


def test_who_does_not_look_is_not_woken_again():
    async def scene() -> None:
        wakes: list[int] = []
        box = Mailbox(asyncio.get_running_loop(), lambda: wakes.append(1))
        for number in range(5):
            box.put_private(private(number), has_more=number % 2 == 0)
            box.put_ticker(ticker(number), has_more=number % 2 == 1)
        await asyncio.sleep(0)
        assert len(wakes) == 1
        assert [frame.rows[0] for frame in box.open()[1]] == list(range(5))
        box.put_private(private(5), has_more=False)
        assert len(wakes) == 2

    run(scene())


def test_what_the_worker_raises_is_reported_and_does_not_reach_the_connection():
    async def scene() -> None:
        def look() -> None:
            box.open()
            raise ZeroDivisionError

        box = Mailbox(asyncio.get_running_loop(), look)
        told: list[str] = []
        with background.watch(asyncio.get_running_loop(), lambda part, error: told.append(type(error).__name__)):
            box.put_private(private(1), has_more=False)
            box.put_private(private(2))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            box.put_ticker(ticker(3), has_more=False)
        assert told == ["ZeroDivisionError"] * 3

    run(scene())


def test_trades_wake_nobody_and_the_oldest_go_first():
    async def scene(box: Mailbox, looks: list[Any]) -> None:
        box.put_trades([1, 2])
        box.put_trades(range(30_000))
        await asyncio.sleep(0)
        assert looks == []
        taken = box.take_trades()
        assert (len(taken), taken[-1]) == (20_000, 29_999)
        assert box.take_trades() == []

    in_a_loop(scene)
