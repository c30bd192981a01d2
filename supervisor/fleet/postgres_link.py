"""One connection to the fleet's database: opened when it is needed, given up when anything is wrong with it.

Nothing here ever holds up the loop or its caller for longer than was said: an answer that does not come in time is
`FleetAway`, and what is left of the connection is closed in the background. A text never has the DSN in it.

Where the DSN is in a file, each new connection reads it again, in a thread: another user or password counts at once.
Another place does not, because nobody has looked whether the same fleet is there: `follow` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from gridbot import background
from gridbot.doors.fleet_dsn import dsn_problem, dsn_secrets
from gridbot.hidden_words import register_secret
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.opening_line import OpeningLine

__all__ = ["PostgresLink", "connection_settings", "first_words"]

T = TypeVar("T")
Work = Callable[[AsyncConnection[Any]], Awaitable[T]]
END_S = 5.0
"""So long what was given up may take to end, in the background."""
LOOK = "look whether PostgreSQL runs there and lets this machine in, and whether the DSN is right"
FULL = ("too many clients", "too many connections", "connection slots")
MORE = "raise max_connections of PostgreSQL, or the limit of this role or database: a host has six, a command one"
AT_START = "fleet.dsn counts as it was at the start: start again, or name a file (fleet.dsn_file), which is read again"
ELSEWHERE = "fleet.dsn_file names another database by now: reload goes there, when it is this fleet's"
_PLACE = ("host", "hostaddr", "port", "dbname", "service")
_SETTINGS: dict[str, Any] = {
    "gssencmode": "disable",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


def connection_settings(dsn: str, *, name: str, limit_s: float) -> dict[str, Any]:
    """What psycopg connects with: no statement takes longer than `limit_s`, and a line that is dead is noticed in time.

    Raises FleetAway when the DSN cannot be read, or leads off this machine without TLS by a variable of libpq.
    """
    if (wrong := dsn_problem(dsn, os.environ)) is not None:
        raise FleetAway(f"expected {wrong[0]}, got {wrong[1]}; {wrong[2]}")
    try:
        settings: dict[str, Any] = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise FleetAway("expected a connection string of PostgreSQL, such as postgresql://USER@HOST/NAME") from None
    milliseconds = max(1, round(limit_s * 1000))
    limits = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC"
    options = f"{settings.pop('options', '')} {limits} -c idle_in_transaction_session_timeout=10000"
    return (
        settings
        | _SETTINGS
        | {
            "options": options.strip(),
            "application_name": f"gridbot {name}",
            "connect_timeout": max(2, round(limit_s)),
            "tcp_user_timeout": milliseconds,
        }
    )


class PostgresLink:
    """Runs one piece of work after another on one connection, each in its own transaction or statement (autocommit).

    `dsn` as libpq takes it, with its secrets. Raises FleetAway when it cannot be read. `again` reads it anew for each
    connection (ValueError: why it cannot); None where it stays as it is. `hint`: what else to do when none is made.
    """

    def __init__(
        self, dsn: str, *, name: str, limit_s: float = 2.0, again: Callable[[], str] | None = None, hint: str = ""
    ) -> None:
        self._settings = connection_settings(dsn, name=name, limit_s=limit_s)
        self._again = again
        self._hint = hint
        self._name = name
        self.limit_s = limit_s
        self._connection: AsyncConnection[Any] | None = None
        self._opening = OpeningLine(limit_s)
        self._turn = asyncio.Lock()

    @property
    def server(self) -> str:
        """Where the database is, for people: host, port and name, without user or secret."""
        known = self._settings
        return f"{known.get('host', 'the local socket')}:{known.get('port', 5432)}/{known.get('dbname', '')}"

    async def run(self, work: Work[T], *, limit_s: float | None = None) -> T:
        """What `work` makes of the connection. Raises FleetAway after `limit_s` seconds, with waiting for a turn."""
        limit = self.limit_s if limit_s is None else limit_s
        task = background.awaited(self._in_turn(work), name="a question to the fleet's database")
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            self._give_up(task)
            raise
        if not done:
            self._give_up(task)
            raise FleetAway(f"expected an answer of {self.server} within {limit:g} s, got none; {LOOK}")
        return task.result()

    async def open(self) -> AsyncConnection[Any]:
        """A connection beside the one that questions share, which the caller closes. Raises psycopg.Error, OSError."""
        await self._read_again()
        return await AsyncConnection.connect(**self._settings, autocommit=True)

    def goes_to(self, other: PostgresLink) -> bool:
        """Whether both lead to the same place by the same login; how they are called, and how long they wait, apart."""
        own = ("application_name", "options", "connect_timeout", "tcp_user_timeout")
        return all(
            self._settings.get(key) == other._settings.get(key)
            for key in (self._settings.keys() | other._settings.keys()) - set(own)
        )

    def follow(self, dsn: str) -> None:
        """Every question from now on goes there; one under way is answered where it was asked. Raises FleetAway."""
        settings = connection_settings(dsn, name=self._name, limit_s=self.limit_s)
        if settings == self._settings:
            return
        self._settings = settings
        self._opening.leave()
        connection, self._connection = self._connection, None
        if connection is not None:
            background.start(self._close_after(self._turn, connection), name="leaving the fleet's former database")

    async def _read_again(self) -> str:
        """Take another login from the file; why what it has is not taken, "" when it is."""
        if self._again is None:
            return self._hint
        try:
            dsn = await asyncio.to_thread(self._again)
            settings = connection_settings(dsn, name=self._name, limit_s=self.limit_s)
        except (ValueError, FleetAway) as error:
            return str(error)
        if any(settings.get(key) != self._settings.get(key) for key in _PLACE):
            return ELSEWHERE
        for secret in dsn_secrets(dsn):
            register_secret(secret)
        self._settings = settings
        return ""

    @staticmethod
    async def _close_after(turn: asyncio.Lock, connection: AsyncConnection[Any]) -> None:
        async with turn:
            await _close(connection)

    async def close(self) -> None:
        """Close the connection in order."""
        self._opening.leave()
        connection, self._connection = self._connection, None
        if connection is not None:
            await _close(connection)

    async def _in_turn(self, work: Work[T]) -> T:
        turn = self._turn
        async with turn:
            try:
                connection = await self._connected(turn)
                try:
                    return await work(connection)
                except (psycopg.OperationalError, psycopg.InterfaceError, OSError):
                    self._drop(connection)
                    raise
            except psycopg.Error as exc:
                raise FleetAway(f"the fleet's database {self.server}: {first_words(exc)}") from None
            except OSError as exc:
                raise FleetAway(f"the fleet's database {self.server}: {exc.strerror or type(exc).__name__}") from None

    async def _connected(self, turn: asyncio.Lock) -> AsyncConnection[Any]:
        """The connection of those who share this turn. Who was given up leaves it to those after him."""
        connection = self._connection
        if connection is None or connection.closed:
            problem = await self._read_again()
            settings = self._settings
            try:
                connection = await self._opening.take(settings)
            except psycopg.OperationalError as exc:
                words = first_words(exc)
                do = MORE if any(each in words for each in FULL) else f"{LOOK}; {problem}" if problem else LOOK
                raise FleetAway(f"the fleet's database {self.server}: {words}; {do}") from None
            if settings != self._settings or (self._turn is not turn and self._connection is not None):
                await _close(connection)
                raise psycopg.OperationalError("given up")
            self._connection = connection
            if self._turn is not turn:
                raise psycopg.OperationalError("given up")
        return connection

    def _drop(self, connection: AsyncConnection[Any]) -> None:
        if self._connection is connection:
            self._connection = None
        background.start(_close(connection), name="closing a connection to the fleet's database")

    def _give_up(self, task: asyncio.Task[Any]) -> None:
        """The connection is of no use: an answer to what was given up would be taken for that of the next question."""
        connection, self._connection = self._connection, None
        self._turn = asyncio.Lock()
        background.start(_end(task, connection), name="giving up a question to the fleet's database")


async def _end(task: asyncio.Task[Any], connection: AsyncConnection[Any] | None) -> None:
    """The socket is shut first, so that the task hears of its end; closed before, its number would be another's."""
    if connection is not None:
        with contextlib.suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as shut:
            shut.shutdown(socket.SHUT_RDWR)
        await asyncio.wait({task}, timeout=END_S)
    task.cancel()
    await asyncio.wait({task}, timeout=END_S)
    if task.done() and not task.cancelled():
        task.exception()  # nobody waits for what it would say
    if connection is not None:
        await _close(connection)


async def _close(connection: AsyncConnection[Any]) -> None:
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.close()


def first_words(error: psycopg.Error) -> str:
    """The first line of what went wrong. libpq names host and user, never the password; we name neither twice."""
    text = error.diag.message_primary or str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
