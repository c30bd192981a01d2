"""The fleet's tables in PostgreSQL, in a schema of their own, with a version. `fleet init` makes them.

Each step of `STEPS` takes the tables from one version to the next, in one transaction. A database made by a newer
program is refused. Roles (groups without login, one set for the whole server) say who may do what:

    gridbot_host        leases, documents, all that a supervisor writes
    gridbot_operator    what a host may read; gives commands
    gridbot_reader      reads
"""

from __future__ import annotations

from typing import Any, LiteralString

from psycopg import AsyncConnection

from supervisor.fleet.cap_tables import CAP_STEP
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.history_tables import HISTORY_STEP
from supervisor.fleet.host_tables import FORGET_STEP, HOST_STEP, OFFERS_STEP
from supervisor.fleet.record_tables import ARRIVED_STEP, ENDED_STEP, RECORD_STEP, START_STEP

__all__ = ["ROLES", "SCHEMA", "STEPS", "VERSION", "make", "version"]

SCHEMA = "gridbot"
ROLES: tuple[LiteralString, ...] = ("gridbot_host", "gridbot_operator", "gridbot_reader")
_LOCK = 0x67726964626F7420
"""The advisory lock of whoever makes or changes the tables."""

_FIRST: tuple[LiteralString, ...] = (
    """
    CREATE TABLE gridbot.fleet (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        name text NOT NULL,
        version integer NOT NULL,
        made_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE gridbot.host (
        name text PRIMARY KEY,
        instance text NOT NULL,
        until timestamptz NOT NULL,
        state text NOT NULL DEFAULT 'up',
        capacity integer NOT NULL DEFAULT 0,
        address text NOT NULL DEFAULT '',
        program text NOT NULL DEFAULT '',
        since timestamptz NOT NULL DEFAULT now()
    )
    """,
    # Rows are changed in place all the time: room on each page for new versions of them (HOT), and no other index.
    """
    CREATE TABLE gridbot.lease (
        account text PRIMARY KEY,
        epoch bigint NOT NULL,
        host text NOT NULL,
        instance text NOT NULL,
        state text NOT NULL CHECK (state IN ('held', 'ended', 'free')),
        until timestamptz NOT NULL,
        previous text NOT NULL DEFAULT '',
        since timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE gridbot.document (
        account text NOT NULL,
        name text NOT NULL,
        epoch bigint NOT NULL,
        seq bigint NOT NULL,
        body bytea NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (account, name)
    ) WITH (fillfactor = 70)
    """,
    "GRANT USAGE ON SCHEMA gridbot TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT SELECT ON gridbot.fleet, gridbot.host, gridbot.lease TO gridbot_host, gridbot_operator, gridbot_reader",
    "GRANT SELECT ON gridbot.document TO gridbot_host, gridbot_operator",
    "GRANT INSERT, UPDATE, DELETE ON gridbot.host TO gridbot_host",
    "GRANT INSERT, UPDATE ON gridbot.lease, gridbot.document TO gridbot_host",
)
STEPS: tuple[tuple[LiteralString, ...], ...] = (
    _FIRST,
    HOST_STEP,
    RECORD_STEP,
    OFFERS_STEP,
    HISTORY_STEP,
    CAP_STEP,
    START_STEP,
    ENDED_STEP,
    ARRIVED_STEP,
    FORGET_STEP,
)
"""`STEPS[n]` leads from version n to n + 1. A step that a release had is never changed."""
VERSION = len(STEPS)


async def version(connection: AsyncConnection[Any]) -> int:
    """The version of the tables that are there; 0 when there are none."""
    cursor = await connection.execute("SELECT to_regclass('gridbot.fleet') IS NOT NULL")
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return 0
    found = await (await connection.execute("SELECT version FROM gridbot.fleet")).fetchone()
    return int(found[0]) if found else 0


async def make(connection: AsyncConnection[Any], fleet: str) -> int:
    """Make the roles and tables, or bring older ones up to date; the version that was there before.

    Raises FleetAway when the database is another fleet's or a newer program's, psycopg.Error.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        there = await version(connection)
        if there > VERSION:
            raise FleetAway(
                f"expected the fleet's tables in version {VERSION} or older, got {there}: install the newer program"
            )
        if there:
            row = await (await connection.execute("SELECT name FROM gridbot.fleet")).fetchone()
            if row is None or row[0] != fleet:
                got = row[0] if row else "none"
                raise FleetAway(
                    f"expected a database of the fleet {fleet!r}, got one of {got!r}: each fleet has its own"
                )
        else:
            for role in ROLES:
                await _role(connection, role)
            await connection.execute("CREATE SCHEMA IF NOT EXISTS gridbot")
        for statements in STEPS[there:]:
            for statement in statements:
                await connection.execute(statement)
        if not there:
            await connection.execute("INSERT INTO gridbot.fleet (name, version) VALUES (%s, %s)", (fleet, VERSION))
        elif there < VERSION:
            await connection.execute("UPDATE gridbot.fleet SET version = %s", (VERSION,))
    return there


async def _role(connection: AsyncConnection[Any], role: LiteralString) -> None:
    """Roles belong to the server, not to the database: another fleet may have made it, even at this moment."""
    await connection.execute(
        "DO $$ BEGIN CREATE ROLE " + role + " NOLOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
