"""`fleet init`: the tables, and the login of a host with no more rights than a host needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, sql

from supervisor.fleet import fleet_schema
from supervisor.fleet.host_memory import bring
from supervisor.fleet.postgres_link import PostgresLink

__all__ = ["init"]


async def init(
    link: PostgresLink, fleet: str, login: str, password: str, *, host: str, data_dir: Path
) -> tuple[int, bool, list[str]]:
    """Make the tables and roles, and let `login` be a host; it is made with this password when there is none. What the
    data directory of `host` knows of leases, and the database does not, is brought there.

    Returns the version of the tables that was there before, whether the login is new, and the accounts that were
    brought. The password leaves this process as the verifier of it alone. Raises FleetAway, OSError.
    """

    async def work(connection: AsyncConnection[Any]) -> tuple[int, bool, list[str]]:
        before = await fleet_schema.make(connection, fleet)
        is_new = await _login(connection, login, password)
        return before, is_new, await bring(connection, host, data_dir)

    return await link.run(work, limit_s=30.0)


async def _login(connection: AsyncConnection[Any], login: str, password: str) -> bool:
    if not login:
        return False
    me = await (
        await connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
    ).fetchone()
    assert me is not None, "whoever asks has a role"
    if me[0] == login and me[1]:
        return False  # a superuser may all of it
    there = await (await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,))).fetchone()
    name = sql.Identifier(login)
    if there is None:
        words = sql.SQL("CREATE ROLE {} LOGIN").format(name)
        if password:
            verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
            words += sql.SQL(" PASSWORD {}").format(sql.Literal(verifier.decode()))
        await connection.execute(words)
    if me[0] != login:
        await connection.execute(sql.SQL("GRANT gridbot_host TO {}").format(name))
    return there is None
