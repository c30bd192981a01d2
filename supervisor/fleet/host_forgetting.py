"""A host that has left for good goes from the fleet's tables: what speaks against it, and how it is done.

Its row goes, and the wishes that accounts go to it. What says which of its records are here stays (`shipped`,
`shipping`, `history_at`): so the records of one that comes back later go on where they ended, each once, and another
host goes on writing the files of what it had shipped. Leases and shares of caps are the accounts': the next holder
has them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from supervisor.fleet.fleet_services import is_service
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["Leaver", "forget", "objection"]

# The lock keeps the host from joining again meanwhile. PostgreSQL gives it to who may change any column.
_LEAVER: Final[LiteralString] = """
    SELECT extract(epoch FROM h.until - clock_timestamp())::float8,
        CASE WHEN s.ended AND h.state = 'down' THEN 0
            ELSE extract(epoch FROM clock_timestamp() - s.complete_to) END::float8
    FROM gridbot.host AS h LEFT JOIN gridbot.shipping AS s ON s.host = h.name
    WHERE h.name = %s FOR UPDATE OF h
"""
_HELD: Final[LiteralString] = """
    SELECT account, until > clock_timestamp() FROM gridbot.lease WHERE host = %s AND state = 'held' ORDER BY account
"""
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Leaver:
    """A host that is to be forgotten, as the database has it. `left_s`: until its registration ends, negative after
    that. `behind_s`: since when not all of its records are here, 0 for all of them, None while they never were.
    `holds`: the leases that have not run out; `waiting`: accounts of the configuration that nobody has taken over."""

    name: str
    left_s: float
    behind_s: float | None
    holds: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def objection(leaver: Leaver, *, anyway: bool) -> str:
    """Why the host cannot be forgotten, and what to do; "" when it can. `anyway`: also without its last records."""
    name = leaver.name
    if leaver.left_s > 0:
        return (
            f"expected a host that has left, got {name}, which lives: stop it there first; "
            f"one that was killed counts as dead in {leaver.left_s:.0f} s"
        )
    if leaver.holds:
        return (
            f"expected a host without leases, got {name} with {_some(leaver.holds)}: wait some seconds until they have "
            "run out"
        )
    if leaver.waiting:
        return (
            f"expected the accounts of {name} to be with other hosts, got {_some(leaver.waiting)}, which nobody has "
            "taken over: fleet status says why; give another host the keys and room, or take them out of the "
            "configuration"
        )
    if leaver.behind_s != 0 and not anyway:
        here = (
            "they never were"
            if leaver.behind_s is None
            else f"all were there {leaver.behind_s:.0f} s ago the last time"
        )
        return (
            f"expected all records of {name} in the fleet's database, got a host that did not end in order ({here}): "
            "start it once more and stop it, or, where it is lost, add --anyway; what is missing stays in its own data "
            "directory and is shipped when it comes back"
        )
    return ""


async def forget(link: PostgresLink, host: str, accounts: Collection[str], *, anyway: bool) -> str | None:
    """Forget a host, when nothing speaks against it: "" then, else what does; None when there is no such host.

    `accounts`: those of the configuration in force. Raises FleetAway.
    """

    async def work(connection: AsyncConnection[Any]) -> str | None:
        async with connection.transaction():
            row = await (await connection.execute(_LEAVER, (host,))).fetchone()
            if row is None:
                return None
            left_s, behind_s = row
            held = await (await connection.execute(_HELD, (host,))).fetchall()
            holds = tuple(name for name, runs in held if runs)
            waiting = tuple(name for name, _ in held if name in accounts and not is_service(name))
            why = objection(Leaver(host, left_s, behind_s, holds, waiting), anyway=anyway)
            if not why:
                await connection.execute("DELETE FROM gridbot.host WHERE name = %s", (host,))
                await connection.execute("DELETE FROM gridbot.wish WHERE host = %s", (host,))
                await connection.execute("SELECT pg_notify('gridbot', %s)", (f"host {host}",))
            return why

    return await link.run(work)


def _some(names: Collection[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {more} more" if more > 0 else "")
