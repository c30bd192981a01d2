"""The database file for the process that writes it: created, attached for one transaction, detached.

Between two commits the file is not locked, so any DuckDB tool can open it read-only: it is detached, or stays attached
without its lock (`shared_file`). While DuckDB has it, this process must not open it in any other way, not even to read
a byte: closing such a descriptor drops DuckDB's POSIX lock. `os.stat`, `os.rename` and `os.replace` are safe.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from gridbot.atomic_file import process_lives, put_in_place, remove_abandoned, temporary_beside
from gridbot.private_files import make_directory
from gridbot.store.commit import stored_offsets
from gridbot.store.file_errors import first_line, holder_of, is_damage, is_lock_error, is_log_damage, rebuild_line
from gridbot.store.linked_file import dead_link
from gridbot.store.migrations import keep_copy
from gridbot.store.schema import GROUP_ROWS, NEW_FILE, SCHEMA_VERSION, applied, ensure_schema, quote
from gridbot.store.shared_file import FileState, SharedFile, file_state

__all__ = ["Database", "DatabaseHeld", "Unreadable", "spill_directory"]

log = logging.getLogger("gridbot.store")

_CONFIG: Final[dict[str, Any]] = {"threads": 1, "async_threads": 1, "memory_limit": "1GB"}
_WRITES: Final[dict[str, Any]] = {"checkpoint_threshold": "1B", "auto_checkpoint_skip_wal_threshold": 0}
"""A commit goes into the file itself at once, where closing would put it anyway, and not into its log before that."""
ENGINE_USES: Final = 500
"""After so many uses a new engine is started, because attaching and detaching leaks memory (5 kB each time)."""
QUARANTINED_SHOWN: Final = 20
"""The newest write-ahead logs that were set aside."""
_INTERRUPT_AGAIN_S: Final = 0.01
_SPILLED: Final = re.compile(r"duckdb_temp_(\d+)_")
_NAME: Final = "store"
"""Name of the attached file inside the engine; statements use plain table names."""


class DatabaseHeld(Exception):
    """Another process has the file open. `holder` names it, such as "python3.11 (pid 4711)"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"the database is held by {holder}")
        self.holder = holder


class Unreadable(RuntimeError):
    """The file exists and cannot be used as a database; the text says what to do."""


def spill_directory(path: Path) -> Path:
    """Where DuckDB puts what does not fit its memory, also when it reads the file; not into the working directory."""
    return path.with_name(f"{path.name}.tmp")


class Database:
    """The file at `path`, open only within `open`. `close` at the end gives back the engine's memory.

    `group_rows`: how many rows of a table are written together (a multiple of 2048).
    """

    def __init__(self, path: Path, *, group_rows: int = GROUP_ROWS) -> None:
        self.path = path
        self._options = f"(ROW_GROUP_SIZE {group_rows})"
        self.wal = path.with_name(path.name + ".wal")
        self.quarantined: deque[Path] = deque(maxlen=QUARANTINED_SHOWN)
        self._engine: duckdb.DuckDBPyConnection | None = None
        self._shared: SharedFile | None = None
        """While the file stays attached without its lock, or is used by what has stayed so."""
        self._uses = 0
        self._left: FileState | None = None
        self._was_changed = False
        self._turn = threading.Lock()
        """Of whoever has the file in this process: the writer's thread, or one that reads a little for it."""
        self._reader: duckdb.DuckDBPyConnection | None = None
        self.changes = 0
        """Counts up when the file is opened, or looked at, and another may have changed it since this process had it.
        Who remembers something of the file remembers this number with it."""
        self.may_stay = False
        """Set where no other part of this process opens the file: between small commits it stays attached then."""

    def prepare(self) -> None:
        """Make the file when there is none, bring its schema up to date, with a copy kept of an older version.

        Only with the writer's lock held: what a killed predecessor left beside the file is removed. Raise as `open`,
        or SchemaTooNew, NoRoomForCopy; duckdb.IOException where the file is a link to what is not there.
        """
        self.remove_left_overs()
        if not self.path.exists():
            if dead := dead_link(self.path):
                raise duckdb.IOException(dead)
            self._make()
            return
        with self.open() as con:
            version, _ = applied(con)
        if 0 < version < SCHEMA_VERSION:
            keep_copy(self.path, version)
        with self.open() as con:
            ensure_schema(con)
        if self.wal.exists():
            self._begin_log_anew()

    def _begin_log_anew(self) -> None:
        """Get rid of a write-ahead log that ends within its first commit, as a killed process leaves it.

        DuckDB reads nothing from it, so that there is nothing to be written into the file, and the log stays until
        something else is. The rows come again from the journals.
        """
        with self.open() as con:
            for name in _WRITES:  # this one time it is the log that is to be written
                con.execute(f"RESET {name}")
            con.execute("CREATE OR REPLACE TABLE log_begins_anew (n INTEGER)")
            con.execute("DROP TABLE log_begins_anew")
        self.close()

    def _make(self) -> None:
        """Make a new file under another name, then rename it, so that a half-made database never has the name."""
        make_directory(self.path.parent)
        if self.wal.exists():  # belongs to a file that is gone
            self.set_log_aside("its database file is gone")
        new = temporary_beside(self.path)
        with duckdb.connect(config=_CONFIG) as con:
            con.execute(f"ATTACH {quote(str(new))} AS fresh {NEW_FILE}")
            con.execute("USE fresh")
            ensure_schema(con)
            con.execute("USE memory")
            con.execute("DETACH fresh")
        put_in_place(new, self.path)

    def remove_left_overs(self) -> None:
        """Remove what a killed process has left: half-made files and copies, also as earlier versions named them, and
        what DuckDB put on the disk for want of memory.

        Only with the writer's lock held; readers may be at work.
        """
        remove_abandoned(self.path, locked=True)
        name, stem = glob.escape(self.path.name), glob.escape(self.path.stem)
        patterns = (f"{stem}.version-*.tmp", f"{name}.new-*", f"{stem}.version-*.part")
        for left_over in (path for pattern in patterns for path in self.path.parent.glob(pattern)):
            with contextlib.suppress(OSError):
                left_over.unlink()
        self._remove_spilled()

    def _remove_spilled(self) -> None:
        """DuckDB names these files by the process, and removes the directory when it ends in order."""
        directory = spill_directory(self.path)
        with contextlib.suppress(OSError):
            for entry in directory.iterdir():
                found = _SPILLED.match(entry.name)
                ours = found and int(found[1]) == os.getpid() and self._engine is None
                if found and (ours or not process_lives(int(found[1]))):
                    entry.unlink()
            directory.rmdir()

    @contextlib.contextmanager
    def open(self, *, stays: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file, open for writing while the block runs; no other process can open it until then.

        `stays`: behind the block it stays attached without its lock, where it `may_stay`, and the next block that stays
        goes on with that when nobody has changed the file. For small commits: DuckDB keeps in memory what they touch.

        Raise DatabaseHeld, Unreadable, and duckdb.IOException when there is no file (see `prepare`); set a damaged
        write-ahead log aside and open without it. The engine is kept, because it takes longer to
        start than a flush takes; after an error, when its state is unknown, a new one is started.
        A thread that reads (`read`) is interrupted.
        """
        while not self._turn.acquire(timeout=_INTERRUPT_AGAIN_S):
            if (reader := self._reader) is not None:
                with contextlib.suppress(duckdb.Error):  # it may be closed by now
                    reader.interrupt()
        try:
            with self._open(stays=stays and self.may_stay) as con:
                yield con
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The file for another thread of this process, read-only. It is for short looks: when the writer wants the file
        it is interrupted, and asks again. Raise duckdb.Error, also duckdb.InterruptException.
        """
        with self._turn:
            if not self.path.exists():
                raise duckdb.IOException(f"{self.path} is not there yet")
            self._let_go()
            with duckdb.connect(str(self.path), read_only=True, config=_CONFIG) as con:
                self._reader = con
                try:
                    yield con
                finally:
                    self._reader = None

    @contextlib.contextmanager
    def _open(self, *, stays: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        changed = self._is_changed()  # before DuckDB does something about a log that another has left
        before = file_state(self.path)
        engine = self._attached(has_stayed=stays)
        changed |= self._is_changed()  # by whoever was quicker than our lock
        self._was_changed |= changed
        self.changes += changed or self._left is None
        try:
            with contextlib.closing(engine.cursor()) as con:  # closed it has no result that keeps the file open
                con.execute(f"USE {_NAME}")
                yield con
            self._require_name(before)
            if not (stays and self._stay(before)):
                is_whole = not self.wal.exists()
                left = file_state(self.path)  # while it has its lock: behind it, the state may be another's
                self._detach(engine)  # writes the log into the file, if there is one, and closes both
                self._left = left if is_whole else file_state(self.path)
                self.changes += not is_whole
        except BaseException:
            self.close()
            self._left = None
            raise
        if self._uses >= ENGINE_USES:
            self.close()

    def _require_name(self, before: FileState | None) -> None:
        """Raise duckdb.IOException where another file has its name since before it was attached: what was committed
        meanwhile may be in one that nobody will find, so nobody may be told that it is there."""
        now = file_state(self.path)
        if before is not None and now is not None and now.inode != before.inode:
            raise duckdb.IOException(
                f"{self.path} was replaced in the midst of a commit; what it lacks comes again from the journals"
            )

    def _stay(self, before: FileState | None) -> bool:
        """Give up the lock of the file, which was this one before it was attached; False when it is to be detached."""
        with contextlib.suppress(OSError):
            if self._shared is None:
                self._shared = SharedFile(self.path, self.wal)
            if before is not None and self._shared.inode == before.inode and self._shared.give_up():
                self._left = self._shared.left
                return True
        return False

    def _detach(self, engine: duckdb.DuckDBPyConnection) -> None:
        engine.execute(f"DETACH {_NAME}")
        self._uses += 1
        self._forget_shared()

    def _let_go(self) -> None:
        """Detach what has stayed attached: DuckDB writes nothing then."""
        if self._shared is None:
            return
        if not self._shared.is_as_left():  # what a look from outside does not tell, its headers do
            self._was_changed, self._left = True, None
        try:
            if self._engine is not None:
                self._detach(self._engine)
        except duckdb.Error:
            self.close()

    def _forget_shared(self) -> None:
        """Once DuckDB has the file no more."""
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def was_changed_by_another(self) -> bool:
        """True once for each time that another program has written to the file between two `open`, or replaced it."""
        if self._is_changed():
            self._was_changed, self._left = True, file_state(self.path)
            self.changes += 1
        changed, self._was_changed = self._was_changed, False
        return changed

    def _is_changed(self) -> bool:
        """Also by a log, which a program that was killed leaves, and this process does not."""
        return self._left is not None and (self._left != file_state(self.path) or self.wal.exists())

    def close(self) -> None:
        """Close the engine and give back its memory. The next `open` starts a new one."""
        engine, self._engine, self._uses = self._engine, None, 0
        if engine is not None:
            with contextlib.suppress(duckdb.Error):
                engine.close()
        self._forget_shared()

    def _attached(self, *, has_stayed: bool) -> duckdb.DuckDBPyConnection:
        if has_stayed and self._shared is not None and self._engine is not None and self._shared.take_again():
            return self._engine
        self._let_go()
        if not self.path.exists():  # DuckDB would make one, in its newest format and without our tables
            raise duckdb.IOException(f"{self.path} is gone; a new one is made from the journals")
        for _ in range(2):
            engine = self._engine = self._engine or self._start_engine()
            try:
                engine.execute(f"ATTACH {quote(str(self.path))} AS {_NAME} {self._options}")
                return engine
            except duckdb.Error as exc:
                if is_lock_error(exc):
                    raise DatabaseHeld(holder_of(exc)) from exc
                self.close()
                if is_log_damage(exc) and self.wal.exists():
                    self.set_log_aside(first_line(exc))
                    continue
                if is_damage(exc):
                    raise Unreadable(
                        f"{self.path} cannot be opened: {first_line(exc)}. Stop the bot and run "
                        f"{rebuild_line(self.path)}, which makes a new file from the journals and keeps the old one"
                    ) from exc
                raise
        raise Unreadable(f"{self.path}: the write-ahead log appeared again after it was set aside")

    def _start_engine(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(config={**_CONFIG, **_WRITES, "temp_directory": str(spill_directory(self.path))})

    def set_log_aside(self, reason: str) -> None:
        """Rename the write-ahead log, which cannot be used for this reason: the file opens at its last checkpoint."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = self.wal.with_name(f"{self.wal.name}.damaged-{stamp}")
        os.replace(self.wal, target)
        self.quarantined.append(target)
        log.error(
            "the database's write-ahead log was set aside as %s (%s); its rows come again from the journals",
            target,
            reason,
        )

    def offsets_if_readable(self) -> dict[str, int]:
        """`stored_offsets`, read while another process reads the file; empty when that fails too."""
        try:
            with self.read() as con:
                return stored_offsets(con)
        except duckdb.Error:
            return {}

    def is_checkpointed(self) -> bool:
        """True when nothing of the last commit is in the write-ahead log only."""
        return not self.wal.exists()
