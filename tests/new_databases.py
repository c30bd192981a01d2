"""A new database, whose 400 statements take a quarter of a second, is a copy of one that was made so before.

So is the one in memory into which the records of a fleet are read; it has no comments then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import duckdb

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.private_files import copy_private
from gridbot.store.database import Database
from gridbot.store.fleet_reading import copy_tables, lay_tables
from gridbot.store.schema import fingerprint

__all__ = ["PLACE", "copied_for_a_fleet", "copy_new_databases", "made_once"]

PLACE = "GRIDBOT_TEST_NEW_DATABASES"
"""Variable of the environment with the directory of a test run in which all its processes keep what they made."""


def copy_new_databases() -> None:
    """Have this process, and all that are forked from it, copy what some process of the test run has made.

    Without `PLACE` in the environment each database is made anew.
    """
    if place := os.environ.get(PLACE):
        setattr(Database, "_make", made_once(Path(place)))  # noqa: B010 - a method


def made_once(made: Path) -> Callable[[Database], None]:
    """What makes a database in place of `Database._make`, and keeps one of each schema in the directory `made`.

    A file of the name is there whole or not at all, whenever the process is killed, as after `_make`.
    """
    make = Database._make

    def make_or_copy(database: Database) -> None:
        if not database.path.parent.is_dir() or database.wal.exists():
            make(database)
            return
        new = made / f"{fingerprint()}.duckdb"
        if not new.exists():
            make(Database(new))
        copy = temporary_beside(database.path)
        copy_private(new, copy)
        put_in_place(copy, database.path)

    return make_or_copy


def copied_for_a_fleet(made: Path) -> Callable[[duckdb.DuckDBPyConnection], None]:
    """As `fleet_reading.lay_tables`, which takes a third of a second."""

    def copy(con: duckdb.DuckDBPyConnection) -> None:
        kept = made / f"{fingerprint()}-fleet.duckdb"
        if not kept.exists():
            new = temporary_beside(kept)
            with duckdb.connect(str(new)) as fresh:
                lay_tables(fresh)
            put_in_place(new, kept)
        copy_tables(con, kept)

    return copy
