"""The journals of a session's accounts into a database, as the store's writer does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gridbot.records.journal_reader import journal_directory
from gridbot.store.commit import Rows, commit
from gridbot.store.database import Database
from gridbot.store.ingest import AccountSource
from gridbot.store.reading import database_path

__all__ = ["into_database", "records_of"]

RECORDS_AT_ONCE = 100_000
BYTES_AT_ONCE = 64 * 1024 * 1024


def into_database(data_dir: Path, accounts: Sequence[str]) -> Path:
    """Put all records of these accounts into a new database of their data directory; its path.

    Raises ValueError when one cannot be had or fits no table: nobody has damaged them.
    """
    database = Database(database_path(data_dir))
    database.prepare()
    try:
        for account in accounts:
            source = AccountSource(account, journal_directory(data_dir, account))
            while rows := _taken(source):
                with database.open() as con:
                    commit(con, rows)
    finally:
        database.close()
    return database.path


def records_of(data_dir: Path, account: str) -> dict[str, list[bytes]]:
    """Bodies of an account's records by table, in order. Raises as `into_database`."""
    source, found = AccountSource(account, journal_directory(data_dir, account)), dict[str, list[bytes]]()
    while rows := _taken(source):
        for table, bodies in rows.tables.items():
            found.setdefault(table, []).extend(bodies)
    return found


def _taken(source: AccountSource) -> Rows:
    taken = source.take(RECORDS_AT_ONCE, BYTES_AT_ONCE)
    if taken.gaps or taken.rejects:
        raise ValueError(f"expected whole records of {source.account}, got {(taken.gaps or taken.rejects)[0]}")
    offsets = {source.account: taken.last_seq} if taken.count else {}
    rows = Rows(dict(taken.bodies), offsets, parts=dict(taken.parts))
    rows.take_apart()
    return rows
