"""Scenes of a line and a raw peer: what the peer does, and what has to be heard of it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable

from gridbot import background
from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.line_base import LineBase
from tests.bybit.raw_peer import Call, Hearer, RawPeer, dial
from tests.bybit.support import eventually, run

__all__ = ["Make", "call_accepted", "over", "quietly", "scene_of"]

Make = Callable[..., LineBase]


@contextlib.asynccontextmanager
async def quietly() -> AsyncIterator[None]:
    """Nothing may reach the loop's exception handler, and every line is over at the end."""
    told: list[str] = []
    with background.watch(asyncio.get_running_loop(), lambda part, error: told.append(f"{part}: {error!r}")):
        yield
        gc.collect()
        await asyncio.sleep(0.01)
    assert told == []


async def over(hearer: Hearer) -> None:
    await eventually(lambda: hearer.line.is_over)
    assert not hearer.line.is_open


def call_accepted(script: Callable[[Call], Awaitable[None]]) -> Callable[[Call], Awaitable[None]]:
    """`script` after the upgrade was accepted."""

    async def accepted(call: Call) -> None:
        call.accept()
        await script(call)

    return accepted


def scene_of(
    each_line: Make, script: Callable[[Call], Awaitable[None]], check: Callable[[Hearer], Awaitable[None]], **options
) -> None:
    """`script` after the upgrade was accepted; `check` is awaited with what was heard."""

    async def scene() -> None:
        async with quietly(), RawPeer(call_accepted(script)) as peer:
            hearer = dial(each_line, peer.url, **options)
            await check(hearer)
            hearer.line.abandon()
            await over(hearer)
            if isinstance(hearer.line, AiohttpLine) and hearer.opens:
                assert hearer.line._socket is not None
                assert hearer.line._socket._response.connection is None, "it would complain when it is collected"

    run(scene())
