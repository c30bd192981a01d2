"""A real PostgreSQL for tests: one server for the whole test run, which all workers of xdist share.

The first that needs it starts it, the last one that leaves ends it by its process id. Who uses it is a list of process
ids under a lock; those of processes that were killed do not count. Each test has a database of its own, a copy of one
that has the fleet's tables.

A whole run may be killed: then nobody is left to end the server. So every user holds a pipe in its directory open, and
a shell that reads it ends the server when the last one is gone, however that went.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from supervisor.fleet import fleet_schema
from supervisor.fleet.embedded_server import EmbeddedServer, start

TEMPLATE = "with_tables"
FLEET = "tests"
# What is lost when the machine dies is of no interest here; that a killed server loses nothing committed stays true.
SETTINGS = ("fsync = off", "full_page_writes = off", "shared_buffers = 32MB", "max_connections = 200")
PIPE = "alive"
WATCH = """
cat alive > /dev/null
if read -r pid < data/postmaster.pid && kill -QUIT "$pid"; then
    for each in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$pid" || break
        sleep 0.5
    done
    kill -KILL "$pid"
fi
rm -rf "$PWD"
"""
_numbers = itertools.count()


@contextlib.contextmanager
def shared_server(place: Path) -> Iterator[EmbeddedServer]:
    """The server of the run whose shared directory is `place`."""
    with _locked(place):
        server = _join(place)
    try:
        yield server
    finally:
        with _locked(place):
            _leave(place, server)


def new_database(server: EmbeddedServer, *, template: str = TEMPLATE) -> str:
    """The connection string of a new database, with the fleet's tables unless the template is another one."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY".encode())
    return server.dsn(name)


def watch(directory: Path) -> subprocess.Popen[bytes]:
    """Have the server in this directory end when the last process that holds its pipe open has ended."""
    os.mkfifo(directory / PIPE)
    hold_open(directory)
    nothing = subprocess.DEVNULL
    return subprocess.Popen(
        ["sh", "-c", WATCH], cwd=directory, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )


def hold_open(directory: Path) -> int:
    """The descriptor of the pipe. Open for both ways: so it waits for nobody."""
    return os.open(directory / PIPE, os.O_RDWR | os.O_CLOEXEC)


def _join(place: Path) -> EmbeddedServer:
    users = _users(place)
    where = place / "directory"
    if not users or not where.exists():
        directory = Path(tempfile.mkdtemp(prefix="gridbot-test-postgres-"))
        server = start(directory, settings=SETTINGS)
        watch(directory)
        asyncio.run(_make_template(server))
        where.write_text(str(directory))
    server = EmbeddedServer.attach(Path(where.read_text()))
    hold_open(server.directory)
    _write(place, {*users, os.getpid()})
    return server


def _leave(place: Path, server: EmbeddedServer) -> None:
    users = _users(place) - {os.getpid()}
    _write(place, users)
    if not users:
        server.stop(at_once=True)  # its directory has a thousand files a database: the shell removes it, beside us
        (place / "directory").unlink(missing_ok=True)


async def _make_template(server: EmbeddedServer) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    made: psycopg.AsyncConnection[Any]
    async with await psycopg.AsyncConnection.connect(server.dsn(TEMPLATE), autocommit=True) as made:
        await fleet_schema.make(made, FLEET)


def _users(place: Path) -> set[int]:
    with contextlib.suppress(FileNotFoundError):
        return {pid for pid in map(int, (place / "users").read_text().split()) if psutil.pid_exists(pid)}
    return set()


def _write(place: Path, users: set[int]) -> None:
    (place / "users").write_text(" ".join(map(str, sorted(users))))


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
