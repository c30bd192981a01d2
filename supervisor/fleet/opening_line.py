"""How a connection to the fleet's database is opened, by attempts that outlive the question that wanted one.

A question waits two seconds. Where opening takes longer than that (a far database, one that just began and is asked by
every host at once) each question would give up its attempt and begin another one, and none ever came to its end. So an
attempt goes on, and the next question finds what came of it. One that hangs holds up nobody: the next question that is
as late begins another one beside it, and the first that is done is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from gridbot import background

__all__ = ["OpeningLine"]

ATTEMPTS: Final = 3
"""So many are under way at most; each is given up after so many times the limit of a question."""


class OpeningLine:
    """The attempts of one `PostgresLink`. `limit_s` is how long a question waits."""

    def __init__(self, limit_s: float) -> None:
        self._settings: dict[str, Any] = {}
        self._limit_s = limit_s
        self._attempts: dict[asyncio.Task[AsyncConnection[Any]], None] = {}
        self._newest_s = 0.0

    async def take(self, settings: dict[str, Any]) -> AsyncConnection[Any]:
        """A connection by these settings of psycopg, of which the caller is the owner. Raises psycopg.Error, OSError.
        Who stops waiting leaves the attempts to the next."""
        if settings != self._settings:
            self.leave()
            self._settings = settings
        now_s = asyncio.get_running_loop().time()
        if not self._attempts or (len(self._attempts) < ATTEMPTS and now_s - self._newest_s >= self._limit_s * 0.9):
            patient = {**settings, "connect_timeout": max(2, round(ATTEMPTS * self._limit_s))}
            connect = AsyncConnection.connect(**patient, autocommit=True)
            self._attempts[background.awaited(connect, name="a connection to the fleet's database")] = None
            self._newest_s = now_s
        while True:
            done, _ = await asyncio.wait(list(self._attempts), return_when=asyncio.FIRST_COMPLETED)
            found = next((each for each in done if each in self._attempts and each.exception() is None), None)
            if found is not None:
                del self._attempts[found]
                self.leave()
                return found.result()
            failed = [each.exception() for each in done if self._attempts.pop(each, done) is None]
            if not self._attempts:
                raise next(iter(failed), None) or psycopg.OperationalError("given up")

    def leave(self) -> None:
        """Nobody wants what is under way."""
        attempts, self._attempts = self._attempts, {}
        for each in attempts:
            background.start(_left(each), name="leaving a connection to the fleet's database")


async def _left(attempt: asyncio.Task[AsyncConnection[Any]]) -> None:
    attempt.cancel()
    await asyncio.wait({attempt})
    if not attempt.cancelled() and attempt.exception() is None:
        with contextlib.suppress(psycopg.Error, OSError):
            await attempt.result().close()
