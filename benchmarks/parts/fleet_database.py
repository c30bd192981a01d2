"""A PostgreSQL of a benchmark's own, from the wheel, with the fleet's tables; and what it does in a span of time."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from supervisor.fleet import fleet_schema
from supervisor.fleet.embedded_server import EmbeddedServer, start

__all__ = ["Load", "Sample", "load_between", "own_server", "sample"]


@contextlib.contextmanager
def own_server(connections: int) -> Iterator[EmbeddedServer]:
    """As `initdb` sets it up, synced to the disk, with so many connections; gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="gridbot-scale-postgres-"))
    server = start(home, settings=(f"max_connections = {connections}",))
    try:
        asyncio.run(_make(server))
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def _make(server: EmbeddedServer) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection:
        await fleet_schema.make(connection, "scale")


@dataclass(frozen=True, slots=True)
class Sample:
    """A server's counters at one time (monotonic, s): CPU of all its processes in s, and since its tables were made the
    transactions, bytes of write-ahead log, changed lease rows and those of them that needed no new index entry."""

    at_s: float
    cpu_s: float
    transactions: int
    log_bytes: int
    changed: int
    changed_in_place: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did per second; `cpu` in cores, `in_place` a share of 1."""

    transactions: float
    cpu: float
    log_bytes: float
    changed: float
    in_place: float


def sample(server: EmbeddedServer) -> Sample:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT (SELECT sum(xact_commit) FROM pg_stat_database), pg_current_wal_lsn() - '0/0'::pg_lsn,"
            " n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'lease'"
        ).fetchone()
    assert row is not None, "the tables were made"
    return Sample(time.monotonic(), _cpu_s(server), *(int(value) for value in row))


def load_between(before: Sample, after: Sample) -> Load:
    seconds = after.at_s - before.at_s
    changed = after.changed - before.changed
    return Load(
        (after.transactions - before.transactions) / seconds,
        (after.cpu_s - before.cpu_s) / seconds,
        (after.log_bytes - before.log_bytes) / seconds,
        changed / seconds,
        (after.changed_in_place - before.changed_in_place) / changed if changed else 1.0,
    )


def _cpu_s(server: EmbeddedServer) -> float:
    """Of the server and its children, those that have ended among them."""
    total = 0.0
    postmaster = psutil.Process(server.pid)
    with contextlib.suppress(psutil.Error):
        times = postmaster.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    for child in postmaster.children():
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return total
