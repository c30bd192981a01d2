"""The thread of the writer process that ships committed records into the fleet's database, each once.

It reads a chunk above the position that PostgreSQL has for this host and account, and puts rows, rollups and the new
position there in one transaction. So it does not matter where either side dies: what is not in the position comes
again, what is in it never does. Commits of the writer do not wait for it (`Database.read`), nor for PostgreSQL.

    away:    wait, and say since when; the records stay in DuckDB, and the lag grows
    refused: a record that PostgreSQL cannot hold is left out, with a line in the log; DuckDB has it
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb
import orjson
import psycopg

from gridbot.config.dsn_files import read_dsn
from gridbot.config.fleet_models import FleetConfig
from gridbot.doors.fleet_dsn import dsn_secrets
from gridbot.doors.pseudo_account import OF_HOST, shared_name
from gridbot.hidden_words import register_secret
from gridbot.lease.record_floor import epoch_of
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.database import Database
from gridbot.store.fresh_bodies import FreshBodies
from gridbot.store.record_bodies import BodyRow, Chunk, chunk_above
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.history_writer import HistoryWriter
from supervisor.fleet.postgres_link import connection_settings, first_words
from supervisor.fleet.record_statements import (
    BEGUN,
    COMPLETE,
    COPY,
    ENDED,
    FORGET,
    FORGET_EQUITY,
    FORGET_IDS,
    FORGET_ORDERS,
    INCOMING,
    MOVE,
    POSITIONS,
    TAKEN,
)
from supervisor.fleet.shipped_twice import made_one

__all__ = ["LOCAL_KINDS", "RecordShipper"]

log = logging.getLogger("supervisor.fleet")

LOCAL_KINDS: Final = frozenset({"tickers", "public_trades", "raw_messages"})
"""Most of the bytes, and nobody asks them of all hosts at once: they stay in each host's DuckDB."""
SHIPPED_KINDS: Final = tuple(kind for kind in RECORD_TYPES if kind not in LOCAL_KINDS)
CHUNK: Final = 2000
LIMIT_S: Final = 20.0
"""How long a statement may take."""
LOOK_S: Final = 2.0
"""A look that finds something is a transaction of PostgreSQL."""
LAST_S: Final = 1.5
"""How long it may take, at an orderly end, to ship what is left."""
COMPLETE_S: Final = 5.0
AWAY_S: Final = (0.5, 5.0)
FORGET_S: Final = 600.0
FORGET_REST_S: Final = 6 * 3600.0
FORGOTTEN: Final = 5000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Moved(Exception):
    """The position is not what it was: another process of this host has shipped, or an answer got lost."""


@dataclass(slots=True)
class ShipState:
    """What the writer's health says of it. `complete` and `since` are `time.monotonic` seconds."""

    complete: float
    rows: int = 0
    error: str | None = None


class RecordShipper:
    """Owner of the connection, the positions and the thread. `committed`: by account what the database has."""

    def __init__(
        self,
        database: Database,
        fleet: FleetConfig,
        committed: Callable[[], Mapping[str, int]],
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._committed = committed
        self.fresh = FreshBodies(SHIPPED_KINDS)
        """What the writer has just committed; it puts it in."""
        self._look_s = look_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ships records", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._dsn = ""
        self._positions: dict[str, int] = {}
        self._skipped: dict[str, int] = {}
        """Up to where there was nothing to ship above the position, as with tickers only: PostgreSQL is not told."""
        self._told = 0.0
        self._next_forget = time.monotonic() + FORGET_S / 10
        self._next_forget_rest = self._next_forget
        self._history = HistoryWriter(fleet) if fleet.history else None
        self.state = ShipState(time.monotonic())

    def start(self) -> None:
        """Begin, and the history; returns at once."""
        self._thread.start()
        if self._history is not None:
            self._history.start()

    def close(self, within_s: float = 2.0) -> None:
        """Ship what is left, or as much of it as goes within `LAST_S`; the history ends with what is under way."""
        self._stop.set()
        if self._history is not None:
            self._history.close(within_s)
        if not self._thread.is_alive():
            self._drop()
            return
        self._thread.join(LAST_S)
        if self._thread.is_alive() and (connection := self._connection) is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                connection.cancel_safe(timeout=within_s / 2)
            self._thread.join(within_s / 2)

    def health(self) -> dict[str, Any]:
        """For the writer's health message. `lag_s`: since when not everything is in the fleet's database."""
        state = self.state
        history = None if self._history is None else self._history.health()
        lag_s = round(time.monotonic() - state.complete, 1)
        return {"lag_s": lag_s, "rows": state.rows, "error": state.error, "history": history}

    # -- the thread

    def _run(self) -> None:
        wait, away = 0.0, AWAY_S[0]
        while not self._stop.wait(wait):
            try:
                more = self.once()
                wait, away, self.state.error = 0.0 if more else self._look_s, AWAY_S[0], None
                continue
            except duckdb.InterruptException:
                wait = 0.05  # the writer wants the file
                continue
            except _Moved:
                wait = 0.1
                self._positions = {}
            except (duckdb.Error, FleetAway, ValueError, psycopg.Error, OSError) as error:
                self._failed(error)
                wait, away = away, min(2 * away, AWAY_S[1])
            except Exception as error:  # a fault of ours must not end shipping for good, nor the writer
                log.exception("a fault while records were shipped")
                self._failed(error)
                wait = AWAY_S[1]
            self._drop()
        if self._connection is not None and self.state.error is None:
            self._ship_last(self._connection)
        self._drop()

    def _ship_last(self, connection: psycopg.Connection[Any]) -> None:
        """The writer has committed all there is: what is left of it goes, and whoever looks is told that it is all."""
        until = time.monotonic() + LAST_S
        try:
            while time.monotonic() < until:
                if not self.once():
                    connection.execute(ENDED, {"host": self._fleet.host})
                    return
        except (duckdb.Error, FleetAway, ValueError, psycopg.Error, OSError, _Moved) as error:
            log.info("not all records are shipped at the end: %s; they come with the next start", error)

    def _failed(self, error: Exception) -> None:
        text = first_words(error) if isinstance(error, psycopg.Error) else str(error).partition("\n")[0]
        if text != self.state.error:
            log.warning("records are not shipped to the fleet's database: %s; they wait in ours", text)
        self.state.error = text

    def once(self) -> bool:
        """Ship a chunk, when there is one. True when there may be more. Raises what the thread handles."""
        connection = self._connected()
        started = time.monotonic()
        positions, committed = self._positions | self._skipped, dict(self._committed())
        more = False
        if any(positions.get(account, 0) < seq for account, seq in committed.items()):
            fresh = self.fresh.take(positions, committed, CHUNK)
            chunk = fresh if fresh is not None and fresh.upto else self._from_file(positions)
            more = chunk.more
            bringing = {row.account for row in chunk.rows}
            self._skipped |= {account: seq for account, seq in chunk.upto.items() if account not in bringing}
            if bringing:
                chunk.upto = {account: chunk.upto[account] for account in bringing}
                self._ship(connection, chunk)
        if not more:
            self._complete(connection, started)
        if started >= self._next_forget and not self._stop.is_set():
            self._forget(connection)
            self._next_forget = started + FORGET_S
        return more

    def _from_file(self, positions: Mapping[str, int]) -> Chunk:
        with self._database.read() as con:
            return chunk_above(con, positions, CHUNK, SHIPPED_KINDS)

    def _connected(self) -> psycopg.Connection[Any]:
        dsn = read_dsn(self._fleet)
        if self._connection is not None and dsn != self._dsn:
            log.info("records are shipped to where fleet.dsn_file says by now")
            self._drop()
        if self._connection is None:
            for secret in dsn_secrets(dsn):
                register_secret(secret)
            self._dsn = dsn
            settings = connection_settings(dsn, name=f"{self._fleet.host} records", limit_s=LIMIT_S)
            connection = psycopg.connect(**settings, autocommit=True)
            self._connection = connection
            connection.execute(INCOMING)
            connection.execute(BEGUN, {"host": self._fleet.host})
            self._positions = {}
            self._told = 0.0
        if not self._positions:
            found = self._connection.execute(POSITIONS, (self._fleet.host,)).fetchall()
            self._positions = {name.partition(OF_HOST)[0]: seq for name, seq in found}
            self._skipped = {}
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                connection.close()

    # -- one chunk

    def _ship(self, connection: psycopg.Connection[Any], chunk: Chunk) -> None:
        try:
            self._commit(connection, chunk)
        except psycopg.DataError:
            self._one_by_one(connection, chunk)

    def _one_by_one(self, connection: psycopg.Connection[Any], chunk: Chunk) -> None:
        for row in chunk.rows:
            alone = Chunk([row], {row.account: row.seq})
            try:
                self._commit(connection, alone)
            except psycopg.DataError as error:
                why = first_words(error)
                log.error("account %s: %s record %d is not shipped: %s", row.account, row.kind, row.seq, why)
                self._commit(connection, Chunk([], alone.upto))
        rest = {account: seq for account, seq in chunk.upto.items() if self._positions.get(account, 0) < seq}
        if rest:
            self._commit(connection, Chunk([], rest))

    def _commit(self, connection: psycopg.Connection[Any], chunk: Chunk) -> None:
        host = self._fleet.host
        with connection.transaction():
            for account, upto in sorted(chunk.upto.items()):
                name = shared_name(account, str(host))
                values = {"host": host, "account": name, "upto": upto, "above": self._positions.get(account, 0)}
                if connection.execute(TAKEN, values).fetchone() is None:
                    raise _Moved
            if chunk.rows:
                with connection.cursor() as cursor:
                    with cursor.copy(COPY) as copy:
                        for values_of_row in _incoming(chunk.rows, str(host)):
                            copy.write_row(values_of_row)
                    made_one(cursor, str(host))
                    cursor.execute(MOVE, {"host": host})
        self._positions |= chunk.upto
        for account in chunk.upto:
            self._skipped.pop(account, None)
        self.state.rows += len(chunk.rows)

    def _complete(self, connection: psycopg.Connection[Any], started: float) -> None:
        """All that was committed at `started` is there."""
        self.state.complete = started
        if started - self._told >= COMPLETE_S or not self._told:
            connection.execute(COMPLETE, {"host": self._fleet.host, "ago": time.monotonic() - started})
            self._told = started

    def _forget(self, connection: psycopg.Connection[Any]) -> None:
        """Rows that are older than what is kept. Any host removes those of all."""
        if self._fleet.keep_records is None:
            return
        values = {"keep": self._fleet.keep_records.total_seconds(), "limit": FORGOTTEN}
        while not self._stop.is_set() and connection.execute(FORGET, values).rowcount == FORGOTTEN:
            pass
        if time.monotonic() >= self._next_forget_rest:
            for statement in (FORGET_IDS, FORGET_ORDERS, FORGET_EQUITY):
                connection.execute(statement, values)
            self._next_forget_rest = time.monotonic() + FORGET_REST_S


def _incoming(rows: Iterable[BodyRow], host: str) -> Iterable[tuple[Any, ...]]:
    """Rows of the table `incoming`. PostgreSQL has no zero character."""
    for row in rows:
        body = row.body.replace("\\u0000", "\\ufffd")
        doc = orjson.loads(body)
        data, epoch = doc["data"], epoch_of(row.seq)
        at = _EPOCH + timedelta(microseconds=doc["local_ts"])
        is_real = row.kind == "executions" and not data["shadow"] and data["exec_id"]
        origin = "" if epoch else host
        yield (
            shared_name(row.account, host),
            epoch,
            row.seq,
            origin,
            row.kind,
            at,
            data["exec_id"] if is_real else None,
            body,
        )
