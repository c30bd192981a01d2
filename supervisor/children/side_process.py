"""What the processes beside the workers share (page, messages, Telegram): they give way, report, and end when asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

__all__ = ["Ends", "ends_of", "give_way", "tell"]

NICE: Final = 10


@dataclass(frozen=True, slots=True)
class Ends:
    """`stop`: the process has to end. `gone`: because the supervisor is, which says nothing any more."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


def give_way() -> None:
    """To whatever trades."""
    with contextlib.suppress(OSError):
        os.nice(NICE)


def tell(report: Connection, message: dict[str, Any]) -> None:
    """Send it to the supervisor, unless that does not read."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [report], [], 0)[1]:
            report.send(message)


@contextlib.contextmanager
def ends_of(life: Connection) -> Iterator[Ends]:
    """Set by SIGTERM, by SIGINT, and by the end of `life`, over which nothing ever comes. Within a running loop."""
    loop = asyncio.get_running_loop()
    ends = Ends()

    def ended() -> None:
        ends.gone.set()
        ends.stop.set()
        loop.remove_reader(life.fileno())

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ends.stop.set)
    loop.add_reader(life.fileno(), ended)
    try:
        yield ends
    finally:
        loop.remove_reader(life.fileno())
