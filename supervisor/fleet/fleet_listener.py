"""Hears what changes in the fleet (LISTEN), on a connection of its own; what is missed is found by looking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, sql

from supervisor.fleet.host_tables import CHANNEL
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["Listener"]

log = logging.getLogger("supervisor")

AGAIN_S: Final = 1.0
CHECK_S: Final = 5.0
"""A connection that says nothing is asked so often whether it is still there."""


class Listener:
    """`heard` gets each word that was sent, and "" after each new connection: then anything may have changed."""

    def __init__(self, link: PostgresLink, heard: Callable[[str], None]) -> None:
        self._link = link
        self._heard = heard
        self._moved = False

    def follow(self) -> None:
        """The link leads elsewhere: within `CHECK_S` it listens there."""
        self._moved = True

    async def run(self) -> None:
        """For ever: without a database it is tried again each second."""
        while True:
            with contextlib.suppress(psycopg.Error, OSError, TimeoutError):
                self._moved = False
                connection: AsyncConnection[Any] = await self._link.open()
                try:
                    await self._listen(connection)
                finally:
                    with contextlib.suppress(psycopg.Error, OSError):
                        await connection.close()
            await asyncio.sleep(AGAIN_S)

    async def _listen(self, connection: AsyncConnection[Any]) -> None:
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        self._heard("")
        while not self._moved:
            async for notice in connection.notifies(timeout=CHECK_S):
                self._heard(notice.payload)
            async with asyncio.timeout(CHECK_S):
                await connection.execute("SELECT 1")
