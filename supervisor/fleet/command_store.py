"""Commands for accounts that another host has, as rows: who holds the account takes them, and answers there.

A row is taken once, before its time is over, or never: what nobody took in time is closed by who has asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from supervisor.fleet.lease_types import HostId
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["CommandStore", "Given", "Outcome"]

KEPT: Final = "7 days"
_TELL: LiteralString = "SELECT pg_notify('gridbot', %s)"
# A host that stood still still believes that it has its accounts. What it took then would be done where nobody trades.
_TAKE: LiteralString = """
    UPDATE gridbot.command SET host = %(host)s, taken_at = clock_timestamp() WHERE id IN (
        SELECT id FROM gridbot.command c WHERE account = ANY(%(accounts)s) AND taken_at IS NULL
        AND expires > clock_timestamp() AND NOT EXISTS (
            SELECT 1 FROM gridbot.lease l WHERE l.account = c.account AND NOT (l.host = %(host)s
            AND l.instance = %(instance)s AND l.state = 'held' AND l.until > clock_timestamp()))
        ORDER BY id FOR UPDATE SKIP LOCKED)
    RETURNING id, account, request, who, origin
"""


@dataclass(frozen=True, slots=True)
class Given:
    """A command to be carried out here. `who` has given it, on the host `origin`."""

    number: int
    account: str
    request: Mapping[str, Any]
    who: str
    origin: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command stands: which host has taken it (empty: none), and its answer."""

    host: str
    answer: dict[str, Any] | None


class CommandStore:
    """Raises FleetAway when the database cannot be asked."""

    def __init__(self, link: PostgresLink) -> None:
        self._link = link

    async def give(self, account: str, request: Mapping[str, Any], who: str, origin: str, wait_s: float) -> int:
        """Its number. It has to be taken within `wait_s`."""

        async def work(connection: AsyncConnection[Any]) -> int:
            async with connection.transaction():
                cursor = await connection.execute(
                    "INSERT INTO gridbot.command (account, request, who, origin, expires) VALUES (%s, %s, %s, %s,"
                    " clock_timestamp() + make_interval(secs => %s)) RETURNING id",
                    (account, Jsonb(dict(request)), who, origin, wait_s),
                )
                row = await cursor.fetchone()
                assert row is not None, "an INSERT returns its row"
                await connection.execute(_TELL, (f"command {account}",))
            return int(row[0])

        return await self._link.run(work)

    async def look(self, number: int) -> Outcome:
        """How it stands."""

        async def work(connection: AsyncConnection[Any]) -> Outcome:
            cursor = await connection.execute("SELECT host, answer FROM gridbot.command WHERE id = %s", (number,))
            row = await cursor.fetchone()
            return Outcome("", None) if row is None else Outcome(str(row[0] or ""), row[1])

        return await self._link.run(work)

    async def close(self, number: int) -> Outcome:
        """Nobody may take it from now on; how it stands."""

        async def work(connection: AsyncConnection[Any]) -> None:
            await connection.execute(
                "UPDATE gridbot.command SET taken_at = clock_timestamp() WHERE id = %s AND taken_at IS NULL", (number,)
            )

        await self._link.run(work)
        return await self.look(number)

    async def take(self, me: HostId, accounts: Collection[str]) -> list[Given]:
        """The commands for these accounts that nobody has taken, if we have their lease: they are ours now."""
        values = {"host": me.name, "instance": me.instance, "accounts": sorted(accounts)}

        async def work(connection: AsyncConnection[Any]) -> list[Given]:
            rows = await (await connection.execute(_TAKE, values)).fetchall()
            return [Given(int(row[0]), *row[1:]) for row in sorted(rows)]

        return await self._link.run(work) if accounts else []

    async def answered(self, number: int, answer: Mapping[str, Any]) -> None:
        """What came of it."""

        async def work(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                await connection.execute(
                    "UPDATE gridbot.command SET answer = %s, answered_at = clock_timestamp() WHERE id = %s",
                    (Jsonb(dict(answer)), number),
                )
                await connection.execute("DELETE FROM gridbot.command WHERE at < now() - %s::interval", (KEPT,))
                await connection.execute(_TELL, (f"answer {number}",))

        await self._link.run(work)
