"""Who waits for the end of a pass, or of a reading of positions: a ticket for each, and what it is told."""

from __future__ import annotations

import asyncio

from gridbot.orders import reconcile_words as words
from gridbot.orders.reconcile_state import Report

__all__ = ["Waiters"]


class Waiters:
    """The futures behind the tickets that `Finished` and `Failed` name. After `close` each new one is cancelled."""

    def __init__(self) -> None:
        self._told: dict[int, asyncio.Future[Report | None]] = {}
        self._tickets = 0
        self._closed = False

    def ticket(self) -> tuple[int, asyncio.Future[Report | None]]:
        """A new ticket, and the future that gets its report or its error."""
        self._tickets += 1
        told = self._told[self._tickets] = asyncio.get_running_loop().create_future()
        if self._closed:
            told.cancel()
        return self._tickets, told

    def tell(self, end: words.Finished | words.Failed) -> None:
        """Tell those who wait how it ended."""
        for ticket in end.tickets:
            told = self._told.pop(ticket)
            if told.cancelled():
                continue
            if isinstance(end, words.Failed):
                told.set_exception(end.error)
                told.exception()  # whoever asked may have stopped waiting
            else:
                told.set_result(end.report)

    def close(self) -> None:
        """Nobody will be told any more."""
        self._closed = True
        for told in self._told.values():
            told.cancel()
