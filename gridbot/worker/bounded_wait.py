"""Waiting for an event with a timeout, on a clock that may be virtual."""

from __future__ import annotations

import asyncio

from gridbot import background
from gridbot.ports import Clock

__all__ = ["is_set_within"]


async def is_set_within(event: asyncio.Event, seconds: float, clock: Clock) -> bool:
    """Wait until `event` is set, at most `seconds`; returns whether it is set."""
    waits: tuple[asyncio.Task[object], ...] = (
        background.awaited(event.wait(), name="an event"),
        background.awaited(clock.sleep(seconds), name="a time"),
    )
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return event.is_set()
