"""Reads what `doctor` looks at of the fleet's database; nothing is changed there."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, LiteralString

from psycopg import AsyncConnection

from gridbot.config.models import GridbotConfig
from gridbot.doctor.fleet_findings import CapFact, FleetFacts
from gridbot.doors.fleet_dsn import dsn_problem, place_of
from gridbot.store.history_place import PlaceAway, mark_problem, place_at
from supervisor.caps.fleet_scope import ScopeSeen
from supervisor.caps.host_caps import over_rows
from supervisor.fleet.cap_store import CapStore
from supervisor.fleet.fleet_begin import link_of
from supervisor.fleet.fleet_services import is_service
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_memory import behind, behind_text, known_here
from supervisor.fleet.host_store import ConfigVersion, HostStore

__all__ = ["examined", "version_in_force"]

NEEDED: Final[tuple[tuple[str, LiteralString], ...]] = (
    ("change leases", "has_table_privilege('gridbot.lease', 'INSERT, UPDATE')"),
    ("change documents", "has_table_privilege('gridbot.document', 'INSERT, UPDATE')"),
    ("register as a host", "has_table_privilege('gridbot.host', 'INSERT, UPDATE')"),
    ("share caps", "has_table_privilege('gridbot.cap_use', 'INSERT, UPDATE')"),
    ("answer commands", "has_table_privilege('gridbot.command', 'UPDATE')"),
    ("read the configuration", "has_table_privilege('gridbot.config_version', 'SELECT')"),
)


async def examined(own: GridbotConfig) -> FleetFacts:
    """The facts of the database that a host's file names. Never raises for what is wrong with it."""
    try:
        link = link_of(own, "doctor")
    except FleetAway as error:
        return FleetFacts("the fleet's database", str(error))
    dsn = own.fleet.dsn.get_secret_value()
    server = place_of(dsn) if dsn_problem(dsn) is None else "the fleet's database"
    store = HostStore(link)
    try:
        await store.check(str(own.fleet.name))
        facts = await link.run(lambda connection: _read(connection, server))
        history = await link.run(_history)
        known = await asyncio.to_thread(known_here, own.storage.data_dir)
        forgotten = await link.run(lambda connection: behind(connection, known))
        view = await store.view()
        caps = [_cap(scope) for scope in await CapStore(link).newest()]
    except FleetAway as error:
        return FleetFacts(server, str(error))
    finally:
        await link.close()
    held = {lease.account for lease in view.leases if lease.held}
    placed = {lease.account for lease in view.leases if lease.state == "held"}
    alive = [row for row in view.hosts if row.alive]
    twin = next((row for row in alive if row.name == own.fleet.host), None)
    return FleetFacts(
        **facts,
        **await asyncio.to_thread(_place, own, history),
        configured=view.force,
        dead=[row.name for row in view.hosts if not row.alive and row.state != "down"],
        twin="" if twin is None or twin.address == own.fleet.address else f"{twin.name} at {twin.address or '?'}",
        versions=[row.program for row in alive],
        homeless=sorted(name for name in placed - held if not is_service(name)),
        caps=caps,
        forgotten=behind_text(forgotten) if forgotten else "",
    )


async def version_in_force(own: GridbotConfig) -> ConfigVersion | None:
    """The configuration that counts for all hosts; None when there is none, or the database cannot be used."""
    try:
        link = link_of(own, "doctor")
    except FleetAway:
        return None
    store = HostStore(link)
    try:
        await store.check(str(own.fleet.name))
        force, _ = await store.versions()
        return await store.config(force) if force else None
    except FleetAway:
        return None
    finally:
        await link.close()


def _cap(seen: ScopeSeen) -> CapFact:
    uses = ", ".join(f"{row['cap']}: {row['used']} of {row['limit']}" for row in over_rows([seen], ""))
    return CapFact(seen.scope, uses, sorted(seen.held), seen.age_s)


async def _read(connection: AsyncConnection[Any], server: str) -> dict[str, Any]:
    missing = []
    for what, question in NEEDED:
        row = await (await connection.execute("SELECT " + question)).fetchone()
        if row is None or not row[0]:
            missing.append(what)
    before_s = time.time()
    row = await (
        await connection.execute(
            "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('synchronous_commit'),"
            " (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        )
    ).fetchone()
    after_s = time.time()
    assert row is not None, "a SELECT without FROM has one row"
    cursor = await connection.execute(
        "SELECT coalesce(nullif(application_name, ''), 'a standby'), coalesce(sync_state, 'not shown')"
        " FROM pg_stat_replication"
    )
    return {
        "server": server,
        "missing": missing,
        "is_superuser": bool(row[2]),
        "clock_s": float(row[0]) - (before_s + after_s) / 2,
        "clock_wrong_s": (after_s - before_s) / 2,
        "synchronous_commit": str(row[1]),
        "standbys": [(str(name), str(state)) for name, state in await cursor.fetchall()],
    }


async def _history(connection: AsyncConnection[Any]) -> tuple[str, str, float]:
    """Mark and name of the place of the fleet's history, "" without, and for how long a record waits for its file."""
    row = await (
        await connection.execute(
            "SELECT mark, place, (SELECT max(extract(epoch FROM clock_timestamp() - coalesce(h.at, s.at)))::float8"
            " FROM gridbot.shipped AS s LEFT JOIN gridbot.history_at AS h USING (host, account)"
            " WHERE s.seq > coalesce(h.seq, 0)) FROM gridbot.history_place"
        )
    ).fetchone()
    return ("", "", 0.0) if row is None else (str(row[0]), str(row[1]), float(row[2] or 0.0))


def _place(own: GridbotConfig, known: tuple[str, str, float]) -> dict[str, Any]:
    """Whether this host can write where the others do. What is written to see that is removed again."""
    mark, elsewhere, behind_s = known
    name = own.fleet.history
    if not name:
        return {"history_elsewhere": elsewhere}
    probe = f"doctor/{own.fleet.host}-{time.time_ns()}"
    try:
        place = place_at(name)
        problem = mark_problem(place, mark) if mark else ""
        if not problem:
            place.put(probe, b"")
            place.remove(probe)
    except PlaceAway as error:
        problem = str(error)
    return {"history": name, "history_problem": problem, "history_behind_s": behind_s}
