"""The results of a backtest: one DuckDB file with the tables and views of all records, and the table `backtests`."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.backtest.account_job import RUN_ID, AccountJob
from gridbot.backtest.price_samples import PriceRows
from gridbot.backtest.record_columns import KeptRecords, PackedRecords, put_records
from gridbot.backtest.unused_memory import give_back
from gridbot.lock_file import Locked, is_at, release_lock, take_lock
from gridbot.private_files import copy_private, make_directory
from gridbot.store.commit import roll_up, stored_offsets
from gridbot.store.database import Database
from gridbot.store.grid_keeping import keep_all
from gridbot.store.reading import ReadingError, connect
from gridbot.store.schema import fingerprint
from gridbot.version import __version__

__all__ = ["DIRECTORY", "RunFile", "file_of", "new_name", "summaries"]

DIRECTORY: Final = "backtests"
EMPTY: Final = ".empty-"
PUT_TOGETHER: Final = 30_000
"""Records of an account that go into one transaction: 8 MB as columns. It takes 60 ms whatever is in it, and as long
again until the engine is open and its memory is given back: with 10,000 that was a twelfth of what a fill takes."""
ROLLED_UP: Final = 90_000
"""Records of an account whose sums and newest rows are made together."""
GROUP_ROWS: Final = 12_288
"""Rows of a table that are written together, a tenth of what DuckDB takes otherwise: so many are in memory, and as they
are put into one group from time to time, with more of them a commit takes the more memory the longer a run is."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
COLUMNS: Final = {
    "name": ("VARCHAR NOT NULL", "What the run is called; its file has the same name."),
    "from_ts": ("TIMESTAMP NOT NULL", "Begin of the span, UTC."),
    "to_ts": ("TIMESTAMP NOT NULL", "Its end, or how far a run came that was broken off, UTC."),
    "accounts": ("VARCHAR[] NOT NULL", "The accounts that were run."),
    "config": ("JSON NOT NULL", "The configuration by account, secrets removed, with what --set changed."),
    "options": ("JSON NOT NULL", "Matching, latencies, seed, overrides."),
    "market": ("JSON NOT NULL", "By symbol: kinds, sources, days, gaps, whether there were mark prices and fundings."),
    "ticks": ("BIGINT NOT NULL", "Trades of the market that happened."),
    "looks": ("BIGINT NOT NULL", "Moments that were looked at; the rest was jumped over."),
    "fills": ("BIGINT NOT NULL", "Executions of all accounts, fundings not among them."),
    "wall_s": ("DOUBLE NOT NULL", "How long the run took, seconds."),
    "finished": ("BOOLEAN NOT NULL", "False when it was broken off."),
    "warnings": ("JSON NOT NULL", "What to know before believing it, a list of sentences."),
    "made_at": ("TIMESTAMP NOT NULL", "When it was run, UTC."),
    "version": ("VARCHAR NOT NULL", "Version of gridbot."),
}

LISTED: Final = {"from_ts": datetime, "to_ts": datetime, "accounts": list, "fills": int, "finished": bool}
"""What is needed to tell of a run, whatever version has made the file."""


def file_of(data_dir: Path, name: str) -> Path:
    """Where the results of a run are. ValueError for what is no name."""
    if not NAME.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits, dots, _ and -, got {name!r}")
    return data_dir / DIRECTORY / f"{name}.duckdb"


def new_name(data_dir: Path, made_at: datetime) -> str:
    """A name that no other run has, though many begin in one second, in this process or in others beside it."""
    first = f"{made_at:%Y%m%d-%H%M%S}-{os.getpid()}"
    names = itertools.chain([first], (f"{first}-{count}" for count in itertools.count(2)))
    return next(name for name in names if not file_of(data_dir, name).exists())


class RunFile:
    """`path` is replaced. Open only while something is put into it, so others may read meanwhile. Raises Locked when
    another process runs under that name: the text is its process id.

    `empties` is where a file without rows is kept: to make all tables anew takes as long as to trade a day.
    """

    def __init__(self, path: Path, empties: Path) -> None:
        self.path = path
        make_directory(path.parent)
        self._lock = _taken(lock_of(path))
        path.unlink(missing_ok=True)
        self._database = Database(path, group_rows=GROUP_ROWS)
        self._packs: list[PackedRecords] = []
        """Of the account that runs: what is not in the file yet, more than one where one could not be put."""
        self._was_tried = False
        """Whether the last of them is to stay as it is: nobody knows whether it is in the file."""
        self._rolled: dict[str, int] = {}
        """By account, the number of the last record that is in the rollups."""
        empty = empties / f"{EMPTY}{_schema_here()}"
        if empty.is_file() and not self._database.wal.exists():
            copy_private(empty, path)
            return
        self._make()
        make_directory(empties)
        for older in empties.glob(f"{EMPTY}*"):
            older.unlink(missing_ok=True)
        new = temporary_beside(empty)
        copy_private(path, new)
        put_in_place(new, empty)

    def _make(self) -> None:
        self._database.prepare()
        with self._database.open() as con:
            columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
            con.execute(f"CREATE TABLE backtests ({columns})")
            con.execute("COMMENT ON TABLE backtests IS 'What this file is: one row.'")
            for name, (_, doc) in COLUMNS.items():
                con.execute(f"COMMENT ON COLUMN backtests.{name} IS '{doc}'")

    def put(self, records: KeptRecords) -> None:
        """Keep records. When there are many, or with `put_samples`, they are in the file, and so are sums."""
        if not self._packs or self._was_tried:
            self._packs.append(PackedRecords(records.account, records.run_id))
            self._was_tried = False
        packed = self._packs[-1]
        packed.add(records)
        if packed.count >= PUT_TOGETHER:
            self._use(self._put_packed)
            if packed.last_seq - self._rolled.get(packed.account, 0) >= ROLLED_UP:
                self._roll_up(packed.account, packed.last_seq)

    def _put_packed(self, con: duckdb.DuckDBPyConnection) -> None:
        """What cannot be put now stays for the next time, so that nothing after it is in the file without it."""
        self._was_tried = True
        while self._packs:
            packed = self._packs[0]
            if stored_offsets(con).get(packed.account, 0) < packed.last_seq:  # else it was broken off behind its commit
                put_records(con, packed)
            del self._packs[0]

    def _roll_up(self, account: str, seq: int) -> None:
        self._use(lambda con: roll_up(con, account, self._rolled.get(account, 0)))
        self._rolled[account] = seq
        self._use(keep_all)

    def _use(self, step: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        """What the engine takes for one step is not needed together with what it takes for the next."""
        with self._database.open() as con:
            step(con)
        self._give_back()

    def put_samples(self, job: AccountJob, reached_us: int) -> None:
        """Keep the prices that an account has seen until then. It is the end of its records."""
        sample_ms, late_us = round(job.options.sample_s * 1000), round(job.options.ticker_ms * 1000)
        self._use(self._put_packed)
        with self._database.open() as con:
            seq = stored_offsets(con).get(job.account, 0)
        from_ms, to_ms = job.from_us // 1000, reached_us // 1000
        rows = PriceRows(list(job.feeds.values()), seq=seq, sample_ms=sample_ms, from_ms=from_ms, to_ms=to_ms)

        def put_some(con: duckdb.DuckDBPyConnection) -> None:
            con.begin()
            rows.put(con, account=job.account, run_id=RUN_ID, late_us=late_us)
            con.execute("UPDATE ingest_offsets_stored SET seq = ? WHERE account = ?", [rows.seq, job.account])
            con.commit()

        while not rows.is_empty:
            self._use(put_some)
        self._roll_up(job.account, rows.seq)

    def describe(self, row: Mapping[str, Any]) -> None:
        """Say what the run is, in place of what was said before."""
        values = [orjson.dumps(value).decode() if isinstance(value, dict | list) and name != "accounts" else value
                  for name, value in row.items()]  # fmt: skip
        with self._database.open() as con:
            con.begin()
            con.execute("DELETE FROM backtests")
            marks = ", ".join("?" for _ in row)
            con.execute(f"INSERT INTO backtests ({', '.join(row)}) VALUES ({marks})", values)
            con.commit()
        self._give_back()

    def _give_back(self) -> None:
        """Until the next records come, whole days later, the engine's memory is the system's again."""
        self._database.close()
        give_back()

    def close(self) -> None:
        """Give the engine's memory back, and the name to others."""
        self._give_back()
        lock_of(self.path).unlink(missing_ok=True)
        release_lock(self._lock)


def lock_of(path: Path) -> Path:
    """What says that a process puts its results into a file."""
    return path.with_name(f".{path.stem}.lock")


def _taken(path: Path) -> int:
    """The lock; not one whose file its last holder has just removed."""
    while True:
        lock = take_lock(path)
        if is_at(path, lock):
            return lock
        release_lock(lock)


def _runs(path: Path) -> str:
    """The process id of who is at it; empty for nobody."""
    if not lock_of(path).exists():
        return ""
    try:
        release_lock(take_lock(lock_of(path)))
    except Locked as error:
        return str(error)
    return ""


def _schema_here() -> str:
    """Another one whenever an empty file would be another."""
    parts = (fingerprint(), COLUMNS, __version__, duckdb.__version__)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def utc_of(us: int) -> datetime:
    """Naive UTC, as the database has it."""
    return datetime.fromtimestamp(us / 1e6, UTC).replace(tzinfo=None)


def _so_far(con: duckdb.DuckDBPyConnection, row: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What a run that was killed could not say of itself."""
    [(fills,)] = con.execute("SELECT count(*) FROM executions WHERE exec_type <> 'Funding'").fetchall()
    [(last,)] = con.execute(
        "SELECT max(local_ts) FROM (SELECT local_ts FROM wallets UNION ALL SELECT local_ts FROM executions)"
    ).fetchall()
    return {"fills": fills, "to_ts": max(row["to_ts"], last or row["to_ts"]), "process": _runs(path)}


def _of_other_version(row: Mapping[str, Any], wrong: list[str]) -> str:
    return (
        f"expected what gridbot {__version__} says of a run, got nothing that it can read in {', '.join(wrong)} (made "
        f"by gridbot {row.get('version')}): list it with the version that made it, or run it again"
    )


def summaries(data_dir: Path) -> list[dict[str, Any]]:
    """The row `backtests` of each run, the newest first, under the name of its file. A file that cannot be read has an
    `error` instead. Of one that has not ended, `fills` and `to_ts` are those of its records, and `process` is the id of
    who is at it, empty for nobody.
    """
    found: list[dict[str, Any]] = []
    for path in sorted((data_dir / DIRECTORY).glob("*.duckdb")):
        try:
            with connect(path, timeout_s=1.0) as con:
                cursor = con.execute("SELECT * FROM backtests")
                names, rows = [column[0] for column in cursor.description or ()], cursor.fetchall()
                if not rows:
                    found.append({"name": path.stem, "error": "expected a run, got none: broken off at its start"})
                for values in rows:
                    row = dict(zip(names, values, strict=True)) | {"name": path.stem, "process": ""}
                    if wrong := [key for key, kind in LISTED.items() if not isinstance(row.get(key), kind)]:
                        found.append({"name": path.stem, "error": _of_other_version(row, wrong)})
                    else:
                        found.append(row if row["finished"] else row | _so_far(con, row, path))
        except (ReadingError, duckdb.Error) as error:
            found.append({"name": path.stem, "error": str(error).split("\n", 1)[0]})
    return sorted(found, key=lambda row: (str(row.get("made_at", "")), row["name"]), reverse=True)
