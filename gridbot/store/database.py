"""The database file, as only the writer touches it: made, attached for one transaction, detached.

Between two commits nobody holds the file, so any DuckDB tool can open it read-only. This process must never open it by
other means than DuckDB, not even to read a byte: closing such a descriptor drops the POSIX lock under DuckDB's feet.
`os.stat`, `os.rename` and `os.replace` are safe.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import duckdb

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.store.bulk import LOAD_FROM, append, load
from gridbot.store.migrations import keep_copy
from gridbot.store.reading import is_lock_error
from gridbot.store.rollups import REMOVED_SUMS, ROLLUP_SOURCES, ROLLUPS
from gridbot.store.schema import SCHEMA_VERSION, STORAGE_VERSION, applied, create_table_sql, ensure_schema, quote

__all__ = ["Database", "DatabaseHeld", "Rows", "Unreadable"]

log = logging.getLogger("gridbot.store")

_CONFIG: Final[dict[str, Any]] = {"threads": 1, "async_threads": 1, "memory_limit": "1GB"}
_UNREADABLE: Final = ("not a valid DuckDB database", "version number", "Corrupt", "corrupt", "checksum", "deserialize")
ENGINE_USES: Final = 500
"""Then a new engine is started: one that attaches and detaches for ever takes more and more memory (5 kB each time)."""
_NAME: Final = "store"
"""What the file is called inside the engine; statements use plain table names."""
_HOLDER: Final = re.compile(r"held in (.+?) \(PID (\d+)\)")


class DatabaseHeld(Exception):
    """Another process has the file open. `holder` names it, such as "python3.11 (pid 4711)"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"the database is held by {holder}")
        self.holder = holder


class Unreadable(RuntimeError):
    """The file is there and is no database that can be used; the text says what to do."""


@dataclass(slots=True)
class Rows:
    """What goes into one transaction: bodies of frames by table, offsets by account, and what was wrong."""

    tables: dict[str, list[bytes]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[str, int, int, str]] = field(default_factory=list)
    rejects: list[tuple[str, int | None, str | None, str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(len(rows) for rows in self.tables.values())

    def __bool__(self) -> bool:
        return bool(self.offsets or self.gaps or self.rejects)


class Database:
    """The file at `path`, open only within `open`. `close` at the end gives back the engine's memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wal = path.with_name(path.name + ".wal")
        self.quarantined: list[Path] = []
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._uses = 0

    def prepare(self) -> None:
        """Make the file when there is none, bring its schema up to date, with a copy kept of an older version.

        Only for who has the writer's lock: what a killed predecessor left beside the file is removed. Raise as `open`,
        or SchemaTooNew, NoRoomForCopy.
        """
        self.remove_left_overs()
        if not self.path.exists():
            self._make()
            return
        with self.open() as con:
            version, _ = applied(con)
        if 0 < version < SCHEMA_VERSION:
            keep_copy(self.path, version)
        with self.open() as con:
            ensure_schema(con)

    def _make(self) -> None:
        """Make a whole new file beside, then rename it: a half-made database never has the name."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.wal.exists():  # belongs to a file that is gone
            self._set_wal_aside("its database file is gone")
        new = temporary_beside(self.path)
        with duckdb.connect(config=_CONFIG) as con:
            con.execute(f"ATTACH {quote(str(new))} AS fresh (STORAGE_VERSION {quote(STORAGE_VERSION)})")
            con.execute("USE fresh")
            ensure_schema(con)
            con.execute("USE memory")
            con.execute("DETACH fresh")
        put_in_place(new, self.path)

    def remove_left_overs(self) -> None:
        """Remove what a killed process has left: half-made files and copies, also as earlier versions named them.

        Only for who has the writer's lock.
        """
        remove_abandoned(self.path, locked=True)
        name, stem = glob.escape(self.path.name), glob.escape(self.path.stem)
        patterns = (f"{stem}.version-*.tmp", f"{name}.new-*", f"{stem}.version-*.part")
        for left_over in (path for pattern in patterns for path in self.path.parent.glob(pattern)):
            with contextlib.suppress(OSError):
                left_over.unlink()

    @contextlib.contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, open for writing while the block runs; nobody else can open it meanwhile.

        Raise DatabaseHeld, Unreadable, and duckdb.IOException when there is no file (see `prepare`); set a damaged
        write-ahead log aside and open without it. The engine stays: it takes longer to start than a flush takes.
        Except after an error, when nobody knows what state it is in.
        """
        con = self._attached()
        try:
            con.execute(f"USE {_NAME}")
            yield con
            con.execute("USE memory")
            con.execute(f"DETACH {_NAME}")  # writes the log into the file and lets go of both
        except BaseException:
            self.close()
            raise
        self._uses += 1
        if self._uses >= ENGINE_USES:
            self.close()

    def close(self) -> None:
        """Let go of everything. The next `open` begins anew."""
        engine, self._engine, self._uses = self._engine, None, 0
        if engine is not None:
            with contextlib.suppress(duckdb.Error):
                engine.close()

    def _attached(self) -> duckdb.DuckDBPyConnection:
        if not self.path.exists():  # DuckDB would make one, in its newest format and without our tables
            raise duckdb.IOException(f"{self.path} is gone; it is made anew from what the journals hold")
        for _ in range(2):
            engine = self._engine = self._engine or self._start_engine()
            try:
                engine.execute(f"ATTACH {quote(str(self.path))} AS {_NAME}")
                return engine
            except duckdb.Error as exc:
                if is_lock_error(exc):
                    raise DatabaseHeld(_holder_of(str(exc))) from exc
                self.close()
                text = str(exc).splitlines()[0]
                if "replaying WAL" in text and self.wal.exists():
                    self._set_wal_aside(text)
                    continue
                if any(sign in text for sign in _UNREADABLE):
                    raise Unreadable(
                        f"{self.path} cannot be opened: {text}. Stop the bot and run gridbot-supervisor rebuild, which "
                        "makes a new file from the journals and keeps the old one"
                    ) from exc
                raise
        raise Unreadable(f"{self.path}: the write-ahead log appeared again after it was set aside")

    def _start_engine(self) -> duckdb.DuckDBPyConnection:
        # What does not fit its memory goes beside the file, not into the working directory of whoever started us.
        return duckdb.connect(config={**_CONFIG, "temp_directory": f"{self.path}.tmp"})

    def _set_wal_aside(self, reason: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = self.wal.with_name(f"{self.wal.name}.damaged-{stamp}")
        os.replace(self.wal, target)
        self.quarantined.append(target)
        log.error(
            "the database's write-ahead log was set aside as %s (%s); its rows come again from the journals",
            target,
            reason,
        )

    def offsets(self, con: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """Last committed number per account."""
        return dict(con.execute("SELECT account, seq FROM ingest_offsets").fetchall())

    def offsets_if_readable(self) -> dict[str, int]:
        """The same beside a reader that keeps the file; empty when not even reading is possible."""
        try:
            with duckdb.connect(str(self.path), read_only=True, config=_CONFIG) as con:
                return self.offsets(con)
        except duckdb.Error:
            return {}

    def write(self, con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
        """Put everything into one transaction and commit it. Rows that no column takes go to ingest_rejects."""
        misfit = (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError, duckdb.InvalidInputException)
        try:
            self._write(con, rows, bulk=True)
        except (*misfit, CodecError):
            with contextlib.suppress(duckdb.Error):
                con.rollback()
            _reject_misfits(rows)
            self._write(con, rows, bulk=False)

    def _write(self, con: duckdb.DuckDBPyConnection, rows: Rows, *, bulk: bool) -> None:
        con.begin()
        now = datetime.now(UTC).replace(tzinfo=None)
        for table, bodies in rows.tables.items():
            if bodies:
                _insert(con, table, bodies, load if bulk and len(bodies) >= LOAD_FROM else append)
        for account, seq in rows.offsets.items():
            con.execute("INSERT OR REPLACE INTO ingest_offsets VALUES (?, ?, ?)", [account, seq, now])
        for gap in rows.gaps:
            con.execute("INSERT INTO ingest_gaps VALUES (?, ?, ?, ?, ?)", [*gap, now])
        for reject in rows.rejects:
            con.execute("INSERT INTO ingest_rejects VALUES (?, ?, ?, ?, ?, ?)", [*reject, now])
        con.commit()

    def delete_older(self, con: duckdb.DuckDBPyConnection, table: str, days: float) -> int:
        """Delete the rows of a record table that were recorded more than `days` ago; return how many."""
        if table not in codec.RECORD_TYPES:
            raise ValueError(f"expected one of {', '.join(codec.RECORD_TYPES)}, got {table!r}")
        before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
        con.begin()
        if table == REMOVED_SUMS.source:
            for statement in REMOVED_SUMS.statements(f"(SELECT * FROM {table} WHERE local_ts < ?)"):
                con.execute(statement, [before])
        row = con.execute(f"DELETE FROM {table} WHERE local_ts < ?", [before]).fetchone()
        con.commit()
        return int(row[0]) if row else 0

    def is_checkpointed(self) -> bool:
        """True when nothing of the last commit is in the write-ahead log only."""
        return not self.wal.exists()


def _insert(con: duckdb.DuckDBPyConnection, table: str, bodies: list[bytes], fill: Callable[..., None]) -> None:
    """Put bodies into their table, and what they change into its rollups."""
    if table not in ROLLUP_SOURCES:
        fill(con, table, bodies)
        return
    fresh = f"fresh_{table}"  # aside first: nothing in the table tells its newest rows from the rest cheaply
    con.execute(create_table_sql(table, fresh, temporary=True))
    fill(con, table, bodies, fresh)
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {fresh}")
    for rollup in ROLLUPS:
        if rollup.source == table:
            for statement in rollup.statements(fresh):
                con.execute(statement)
    con.execute(f"DROP TABLE temp.{fresh}")


def _reject_misfits(rows: Rows) -> None:
    """Try each record alone in memory; move those that do not fit to the rejects."""
    with duckdb.connect(config=_CONFIG) as scratch:
        for table, bodies in rows.tables.items():
            scratch.execute(create_table_sql(table))
            good = []
            for body in bodies:
                error = _misfit(scratch, table, body)
                if error is None:
                    good.append(body)
                    continue
                doc = codec.parse(body)
                rows.rejects.append((doc["account"], doc["seq"], table, error, body.decode()))
                log.error("record %s of account %s fits no row of %s: %s", doc["seq"], doc["account"], table, error)
            rows.tables[table] = good


def _misfit(con: duckdb.DuckDBPyConnection, table: str, body: bytes) -> str | None:
    try:
        append(con, table, [body])
    except (duckdb.Error, CodecError) as exc:
        return str(exc).splitlines()[0]
    return None


def _holder_of(message: str) -> str:
    """Name of the process in DuckDB's lock message."""
    found = _HOLDER.search(message)
    if not found:
        return "another process"
    pid = int(found[2])
    return f"{_command_of(pid) or os.path.basename(found[1])} (pid {pid})"


def _command_of(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    parts = [part.decode(errors="replace") for part in raw.split(b"\0") if part]
    return " ".join(os.path.basename(part) for part in parts[:3])[:80]
