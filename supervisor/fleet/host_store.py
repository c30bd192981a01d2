"""Hosts, configuration and wishes of a fleet in PostgreSQL: each question is one statement or one transaction.

Raises FleetAway when the database cannot be asked. Times are those of the database's clock: ages in seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from supervisor.fleet import fleet_schema
from supervisor.fleet.fleet_store import NeedsHands, OtherTables
from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View
from supervisor.fleet.host_tables import CHANNEL
from supervisor.fleet.lease_types import HostId
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["ConfigVersion", "HostFacts", "HostStore"]

_TELL: LiteralString = "SELECT pg_notify('gridbot', %s)"
_REGISTER: LiteralString = """
    INSERT INTO gridbot.host AS h (name, instance, until, capacity, address, program)
    VALUES (%(name)s, %(instance)s, clock_timestamp() + make_interval(secs => %(ttl)s), %(capacity)s, %(address)s,
            %(program)s)
    ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, until = excluded.until, capacity = excluded.capacity,
        address = excluded.address, program = excluded.program, state = 'up', since = clock_timestamp(), trouble = '',
        status = NULL, status_at = NULL, offers = '{}', offers_mark = '', applied = 0
    WHERE h.until < clock_timestamp() OR h.instance = excluded.instance
    RETURNING name
"""
_BEAT: LiteralString = """
    UPDATE gridbot.host SET until = clock_timestamp() + make_interval(secs => %(ttl)s), offers = %(offers)s,
        offers_mark = %(offers_mark)s, not_offered = %(not_offered)s, applied = %(applied)s, trouble = %(trouble)s,
        status = %(status)s, status_at = clock_timestamp()
    WHERE name = %(name)s AND instance = %(instance)s RETURNING draining
"""
# Only `reload` on a host that runs has a version count, and all may wait because of the one that counts.
_COUNTS: LiteralString = """
    INSERT INTO gridbot.config_force AS f (version, who) VALUES (%s, %s)
    ON CONFLICT (one) DO UPDATE SET version = excluded.version, who = excluded.who, leave_positions = false,
        at = clock_timestamp()
    WHERE (SELECT bool_and(applied = 0) FROM gridbot.host WHERE until > clock_timestamp())
"""
# A list of thousands of names comes only when it was not seen before: its mark is enough.
_HOSTS: LiteralString = """
    SELECT name, instance, state, capacity, address, program, offers_mark,
        CASE WHEN offers_mark = ANY(%s) THEN NULL ELSE offers END, not_offered, draining, applied, trouble,
        extract(epoch FROM until - clock_timestamp())::float8 AS left_s,
        extract(epoch FROM clock_timestamp() - status_at)::float8 AS status_age_s
    FROM gridbot.host ORDER BY name
"""
_LEASES: LiteralString = """
    SELECT account, epoch, host, instance, state, previous,
        extract(epoch FROM until - clock_timestamp())::float8 AS left_s,
        extract(epoch FROM clock_timestamp() - since)::float8 AS held_s
    FROM gridbot.lease WHERE NOT starts_with(account, '@key:') ORDER BY account
"""

_PUSHES = 0x6772_6964_7075
"""Of PostgreSQL's advisory locks: one version is numbered after the other. A lock of the table needs rights that no
role has."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host says of itself with each sign of life."""

    offers: frozenset[str] = frozenset()
    not_offered: Mapping[str, str] = field(default_factory=dict)
    applied: int = 0
    trouble: str = ""
    status: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A version of the shared configuration. `leave_positions`: whether it was put in force so."""

    version: int
    body: str = field(repr=False)
    who: str
    note: str
    at: str
    leave_positions: bool = False


class HostStore:
    """One per process; `link` may be shared with others who ask."""

    def __init__(self, link: PostgresLink) -> None:
        self.link = link
        self._offers: dict[str, frozenset[str]] = {}
        """By their mark, what hosts of the newest view offer."""

    async def check(self, fleet: str) -> None:
        """Raises FleetAway when the tables are missing, of another version, or of another fleet."""

        async def work(connection: AsyncConnection[Any]) -> tuple[int, str]:
            there = await fleet_schema.version(connection)
            if not there:
                return 0, ""
            row = await (await connection.execute("SELECT name FROM gridbot.fleet")).fetchone()
            return there, str(row[0]) if row else ""

        there, name = await self.link.run(work)
        if not there:
            text = "expected the fleet's tables in the database, got none: make them once with fleet init"
            raise OtherTables(text, init_helps=True)
        if there != fleet_schema.VERSION:
            is_old = there < fleet_schema.VERSION
            do = "fleet init brings them up to date" if is_old else "install the newer program"
            text = f"expected the fleet's tables in version {fleet_schema.VERSION}, got {there}: {do}"
            raise OtherTables(text, init_helps=is_old)
        if name != fleet:
            raise NeedsHands(
                f"expected a database of the fleet {fleet!r}, got one of {name!r}: see fleet.name and the DSN"
            )

    # ------------------------------------------------------------------ hosts

    async def register(self, me: HostId, ttl_s: float, capacity: int, address: str, program: str) -> HostRow | None:
        """None when it is done; the other host's row when one of that name lives."""
        values = {"name": me.name, "instance": me.instance, "ttl": ttl_s, "capacity": capacity, "address": address,
                  "program": program}  # fmt: skip

        async def work(connection: AsyncConnection[Any]) -> HostRow | None:
            async with connection.transaction():
                if await (await connection.execute(_REGISTER, values)).fetchone() is not None:
                    await connection.execute(_TELL, (f"host {me.name}",))
                    return None
                rows = await self._hosts(connection)
            return next((row for row in rows if row.name == me.name), None)

        return await self.link.run(work)

    async def beat(self, me: HostId, ttl_s: float, facts: HostFacts) -> bool:
        """A sign of life; False when another run has our name now."""
        values = {
            "name": me.name,
            "instance": me.instance,
            "ttl": ttl_s,
            "offers": (offers := sorted(facts.offers)),
            "offers_mark": _mark(offers),
            "not_offered": Jsonb(dict(facts.not_offered)),
            "applied": facts.applied,
            "trouble": facts.trouble,
            "status": None if facts.status is None else Jsonb(facts.status),
        }

        async def work(connection: AsyncConnection[Any]) -> bool:
            return await (await connection.execute(_BEAT, values)).fetchone() is not None

        return await self.link.run(work)

    async def leave(self, me: HostId) -> None:
        """The host has ended in order."""

        async def work(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                await connection.execute(
                    "UPDATE gridbot.host SET until = clock_timestamp(), state = 'down'"
                    " WHERE name = %s AND instance = %s",
                    (me.name, me.instance),
                )
                await connection.execute(_TELL, (f"host {me.name}",))

        await self.link.run(work)

    async def drain(self, host: str, *, on: bool) -> bool:
        """Have a host hand its accounts over, or take some again; False when there is no such host."""

        async def work(connection: AsyncConnection[Any]) -> bool:
            async with connection.transaction():
                cursor = await connection.execute("UPDATE gridbot.host SET draining = %s WHERE name = %s", (on, host))
                await connection.execute(_TELL, (f"host {host}",))
            return cursor.rowcount == 1

        return await self.link.run(work)

    async def view(self) -> View:
        """Hosts, leases, wishes and which configuration counts, in one look."""

        async def work(connection: AsyncConnection[Any]) -> View:
            async with connection.pipeline():  # one way to the database and back
                hosts = await connection.execute(_HOSTS, (list(self._offers),))
                leases = await connection.cursor(row_factory=args_row(LeaseSeen)).execute(_LEASES)
                wishes = await connection.execute("SELECT account, host FROM gridbot.wish")
                force = await connection.execute("SELECT version, at::text FROM gridbot.config_force")
                version, at = await force.fetchone() or (0, "")
                return View(
                    tuple(self._read(await hosts.fetchall())),
                    tuple(await leases.fetchall()),
                    dict(await wishes.fetchall()),
                    int(version),
                    str(at),
                )

        return await self.link.run(work)

    async def _hosts(self, connection: AsyncConnection[Any]) -> list[HostRow]:
        cursor = await connection.execute(_HOSTS, (list(self._offers),))
        return self._read(await cursor.fetchall())

    def _read(self, rows: Iterable[tuple[Any, ...]]) -> list[HostRow]:
        known = self._offers
        offered: dict[str, frozenset[str]] = {}
        found = []
        for row in rows:
            mark, offers = row[6:8]
            names = known[mark] if offers is None else frozenset(offers)
            if mark:
                offered[mark] = names
            found.append(HostRow(*(*row[:6], names, *row[8:])))
        self._offers = offered
        return found

    async def statuses(self) -> dict[str, tuple[float, dict[str, Any]]]:
        """By host the newest status that it has told, and its age in seconds."""

        async def work(connection: AsyncConnection[Any]) -> dict[str, tuple[float, dict[str, Any]]]:
            rows = await (
                await connection.execute(
                    "SELECT name, extract(epoch FROM clock_timestamp() - status_at)::float8, status FROM gridbot.host"
                    " WHERE status IS NOT NULL"
                )
            ).fetchall()
            return {str(name): (float(age), status) for name, age, status in rows}

        return await self.link.run(work)

    async def records_behind(self) -> dict[str, float | None]:
        """By host the seconds since all that it had recorded was here; None: not yet once. 0 when it has ended in
        order, with all of it here."""

        async def work(connection: AsyncConnection[Any]) -> dict[str, float | None]:
            rows = await (
                await connection.execute(
                    "SELECT s.host, CASE WHEN s.ended AND h.state = 'down' THEN 0"
                    " ELSE extract(epoch FROM clock_timestamp() - s.complete_to) END::float8"
                    " FROM gridbot.shipping s LEFT JOIN gridbot.host h ON h.name = s.host"
                )
            ).fetchall()
            return dict(rows)

        return await self.link.run(work)

    # ------------------------------------------------------------------ wishes

    async def wish(self, moves: Mapping[str, str], who: str) -> None:
        """Where an operator wants accounts."""

        async def work(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                for account, host in moves.items():
                    await connection.execute(
                        "INSERT INTO gridbot.wish (account, host, who) VALUES (%s, %s, %s) ON CONFLICT (account)"
                        " DO UPDATE SET host = excluded.host, who = excluded.who, at = clock_timestamp()",
                        (account, host, who),
                    )
                await connection.execute(_TELL, ("wish",))

        await self.link.run(work)

    async def granted(self, wishes: Mapping[str, str]) -> None:
        """These wishes are fulfilled."""

        async def work(connection: AsyncConnection[Any]) -> None:
            for account, host in wishes.items():
                await connection.execute("DELETE FROM gridbot.wish WHERE account = %s AND host = %s", (account, host))

        await self.link.run(work)

    # ------------------------------------------------------------------ configuration

    async def push(self, body: str, who: str, note: str) -> tuple[int, bool]:
        """Keep a text as the next version; its number, and whether it counts at once: the first one does, and one that
        comes while hosts wait to join and none goes by any version."""

        async def work(connection: AsyncConnection[Any]) -> tuple[int, bool]:
            async with connection.transaction():
                await connection.execute(
                    "SELECT pg_advisory_xact_lock(%s)", (_PUSHES,)
                )  # a lock of the table needs more
                row = await (
                    await connection.execute(
                        "INSERT INTO gridbot.config_version (version, body, who, note)"
                        " SELECT coalesce(max(version), 0) + 1, %s, %s, %s FROM gridbot.config_version"
                        " RETURNING version",
                        (body, who, note),
                    )
                ).fetchone()
                assert row is not None, "an INSERT returns its row"
                counts = await connection.execute(_COUNTS, (row[0], who))
                await connection.execute(_TELL, (f"config {row[0]}",))
            return int(row[0]), counts.rowcount == 1

        return await self.link.run(work)

    async def force(self, version: int, who: str, *, leave_positions: bool) -> None:
        """Have a version count for all hosts."""

        async def work(connection: AsyncConnection[Any]) -> None:
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO gridbot.config_force (version, who, leave_positions) VALUES (%s, %s, %s)"
                    " ON CONFLICT (one) DO UPDATE SET version = excluded.version, who = excluded.who,"
                    " leave_positions = excluded.leave_positions, at = clock_timestamp()",
                    (version, who, leave_positions),
                )
                await connection.execute(_TELL, (f"config {version}",))

        await self.link.run(work)

    async def versions(self) -> tuple[int, list[ConfigVersion]]:
        """Which version counts (0: none), and all that were pushed, the newest first."""

        async def work(connection: AsyncConnection[Any]) -> tuple[int, list[ConfigVersion]]:
            force = await (await connection.execute("SELECT version FROM gridbot.config_force")).fetchone()
            cursor = await connection.execute(
                "SELECT version, '', who, note, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                " FROM gridbot.config_version ORDER BY version DESC"
            )
            rows = await cursor.fetchall()
            return int(force[0]) if force else 0, [ConfigVersion(*row) for row in rows]

        return await self.link.run(work)

    async def config(self, version: int = 0) -> ConfigVersion | None:
        """That version; 0: the newest one. None when there is none."""

        async def work(connection: AsyncConnection[Any]) -> ConfigVersion | None:
            cursor = await connection.execute(
                "SELECT v.version, v.body, v.who, v.note,"
                " to_char(v.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
                " coalesce(f.leave_positions, false)"
                " FROM gridbot.config_version v LEFT JOIN gridbot.config_force f ON f.version = v.version"
                " WHERE %(version)s = 0 OR v.version = %(version)s ORDER BY v.version DESC LIMIT 1",
                {"version": version},
            )
            row = await cursor.fetchone()
            return None if row is None else ConfigVersion(*row)

        return await self.link.run(work)


def _mark(offers: list[str]) -> str:
    """The same for the same names; never empty."""
    return hashlib.sha256("\n".join(offers).encode()).hexdigest()[:32]


assert CHANNEL == "gridbot", "the statements above name the channel"
