"""What a host's data directory knows of the fleet's leases, beside a database that knows less: a new one, or one that
was set back to a backup.

There epochs would begin again below those that orders at the exchange, records and state have. So a host does not join
before `fleet init` has brought what it knows (`bring`): the last epoch that each account began with here, and the state
of it as the documents that the next holder begins with. Whichever host knows most of an account is believed, in
whatever order they are asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from gridbot.state.brought_state import OF_THE_HOST
from supervisor.fleet.fleet_store import FleetAway, NeedsHands
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.takeover import HOLDER, Begun, begun_with

__all__ = ["behind", "behind_text", "bring", "known_here", "refuse_copied", "refuse_forgetful"]

_BEHIND: Final[LiteralString] = """
    SELECT t.account, t.epoch, coalesce(l.epoch, 0)
    FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS t (account, epoch, host)
    LEFT JOIN gridbot.lease l ON l.account = t.account
    WHERE coalesce(l.epoch, 0) < t.epoch OR (l.epoch = t.epoch AND t.host <> '' AND l.host <> t.host)
    ORDER BY t.account
"""
# A holder that is there now loses the lease with its next renewal; whoever is next waits for its end.
_RAISE: Final[LiteralString] = """
    INSERT INTO gridbot.lease AS l (account, epoch, host, instance, state, until)
    VALUES (%(account)s, %(epoch)s, %(host)s, '', 'ended', clock_timestamp())
    ON CONFLICT (account) DO UPDATE SET epoch = excluded.epoch, host = excluded.host, instance = '', state = 'ended',
        previous = l.host, until = greatest(l.until, clock_timestamp()), since = clock_timestamp()
    WHERE l.epoch <= excluded.epoch
    RETURNING 1
"""
_DOCUMENT: Final[LiteralString] = """
    INSERT INTO gridbot.document AS d (account, name, epoch, seq, body) VALUES (%s, %s, %s, 0, %s)
    ON CONFLICT (account, name) DO UPDATE
    SET epoch = excluded.epoch, seq = excluded.seq, body = excluded.body, at = clock_timestamp()
    WHERE d.epoch <= excluded.epoch
"""
Behind = tuple[str, int, int]
"""An account, the epoch that it had here, and the one that the database has; 0 for none."""


def known_here(data_dir: Path) -> dict[str, Begun]:
    """By account the last holder that began with the state in this data directory. Raises FleetAway."""
    try:
        places = sorted((data_dir / "state").iterdir())
        found = {place.name: begun_with(place) for place in places if place.is_dir() and ".before-" not in place.name}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise FleetAway(f"expected to read {error.filename}, got {error.strerror}: see to its rights") from None
    return {account: begun for account, begun in found.items() if begun.epoch}


async def behind(connection: AsyncConnection[Any], known: Mapping[str, Begun]) -> list[Behind]:
    """Those accounts of which the database knows less. Raises psycopg.Error."""
    columns = ([*known], [each.epoch for each in known.values()], [each.host for each in known.values()])
    return [(row[0], row[1], row[2]) for row in await (await connection.execute(_BEHIND, columns)).fetchall()]


def behind_text(found: list[Behind]) -> str:
    """What is wrong and what to do, for people."""
    some = ", ".join(f"{account} ({here}, there {there})" for account, here, there in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (
        f"expected the database to know every lease that this host has had, got one that has earlier ones only: {some}"
        f"{more}; is it a new database, or an older copy? fleet init brings it what is in this data directory; do so "
        "on every host of the fleet before one of them trades (docs/fleet-lost.md)"
    )


def refuse_copied(known: Mapping[str, Begun], host: str, data_dir: Path) -> None:
    """Raises FleetAway for a data directory of another host: its records would come into the fleet's a second time,
    and be those of two hosts."""
    others = sorted({begun.host for begun in known.values()} - {"", host})
    if others:
        raise FleetAway(
            f"expected {data_dir} to be a data directory of host {host}, or a new one, got one of {', '.join(others)}:"
            " give this host a storage.data_dir of its own, or its former fleet.host"
        )


async def refuse_forgetful(link: PostgresLink, data_dir: Path, host: str) -> None:
    """Raises FleetAway when this database would grant epochs again that this host has had, when they are another
    host's, or when the database cannot be asked."""
    known = await asyncio.to_thread(known_here, data_dir)
    refuse_copied(known, host, data_dir)
    found = await link.run(lambda connection: behind(connection, known)) if known else []
    if found:
        raise NeedsHands(behind_text(found))


async def bring(connection: AsyncConnection[Any], host: str, data_dir: Path) -> list[str]:
    """Have the database know what this host does; the accounts of which it knew less. Raises psycopg.Error, OSError."""
    known = known_here(data_dir)
    brought = []
    for account, epoch, _ in await behind(connection, known) if known else []:
        async with connection.transaction():
            values = {"account": account, "epoch": epoch, "host": known[account].host or host}
            if await (await connection.execute(_RAISE, values)).fetchone() is None:
                continue  # another host that knows more was here at this moment
            for name, body in _documents(data_dir / "state" / account):
                await connection.execute(_DOCUMENT, (account, name, epoch, body))
        brought.append(account)
    return brought


def _documents(state: Path) -> list[tuple[str, bytes]]:
    names = ((path.relative_to(state).as_posix(), path) for path in sorted(state.rglob("*.json")))
    return [(name, path.read_bytes()) for name, path in names if name not in OF_THE_HOST and name != HOLDER]
