"""Steps that bring a database of an earlier gridbot up to date, and the copy that is kept before them.

A new record type or a new field needs no step: `schema.ensure_schema` creates what is missing. A new version is needed
when an earlier program must no longer write to the file, or when rows have to change. `tests/store/schema_v<N>.sql`
holds the tables of each version; a test compares the newest with the code, so that no change goes unnoticed.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.private_files import copy_private
from gridbot.store.linked_file import real_file

__all__ = ["MIGRATIONS", "SCHEMA_VERSION", "Migration", "NoRoomForCopy", "keep_copy", "statements_from"]

log = logging.getLogger("gridbot.store")


@dataclass(frozen=True, slots=True)
class Migration:
    """The step to `version`: statements that run before what is missing is made, in the same transaction."""

    version: int
    doc: str
    statements: tuple[str, ...] = ()


MIGRATIONS: Final = (
    Migration(1, "The first."),
    # Made and filled by `ensure_schema`. An earlier program would add rows and leave these tables as they are.
    Migration(2, "Sums per day, latest positions and live orders are kept beside the rows."),
    # An earlier program would put corrections aside as records it does not know.
    Migration(3, "Corrections and adjustments; executions have the exchange's sequence number and own figure."),
    # An earlier program would leave out what was charged in other coins, and take it for USDT.
    Migration(4, "Executions have the coin of their fee, their taxes, and what was charged in other coins."),
    # Renamed by `ensure_schema`. An earlier program would write to names that are views.
    Migration(5, "Records land in one table; those of each kind are views over it and over what is stored."),
    # An earlier program would put blocks aside as records it does not know.
    Migration(6, "Journals have blocks, many records in one frame."),
    # Made and filled by `ensure_schema`. An earlier program would add executions and leave these tables as they are.
    Migration(7, "Matched pairs of the grid are kept beside the executions."),
    # Brought into that form by `ensure_schema`. An earlier program would write texts into columns that hold none, and
    # match pairs with tables that are gone.
    Migration(8, "Ids of the exchange are kept as UUIDs. Pairs are matched behind the commits."),
    # Brought into that form by `ensure_schema`. An earlier program would write to a name that is a view.
    Migration(9, "What many executions have in common is kept once, in a table of contexts."),
    # Brought into that form by `ensure_schema`. An earlier program would write to columns that are gone.
    Migration(
        10, "Amounts and our own ids of executions are kept as whole numbers, pairs with their profit after fees."
    ),
)

SCHEMA_VERSION: Final = MIGRATIONS[-1].version


class NoRoomForCopy(RuntimeError):
    """The disk has no room for a copy of the database, and nothing is changed without one."""


def statements_from(version: int) -> list[str]:
    """What brings a file of `version` (at least 1) to the newest."""
    return [statement for step in MIGRATIONS if step.version > version for statement in step.statements]


def keep_copy(path: Path, version: int) -> Path:
    """Copy the database file of `version` beside itself and return where. Raise NoRoomForCopy, OSError.

    No connection of this process may be open (see `gridbot.store.database`), and no other process may write.
    """
    path, stamp = real_file(path), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = path.with_name(f"{path.stem}.version-{version}-{stamp}{path.suffix}")
    needed, free = os.stat(path).st_size, shutil.disk_usage(path.parent).free
    if free < needed * 1.2:
        raise NoRoomForCopy(
            f"{path} is of version {version} and has to be brought to version {SCHEMA_VERSION}; expected "
            f"{needed * 1.2 / 1e6:.0f} MB free for a copy before that, got {free / 1e6:.0f} MB: make room, then start "
            "again (accounts trade meanwhile, their journals keep everything)"
        )
    partial = temporary_beside(target)
    copy_private(path, partial)
    put_in_place(partial, target)
    log.warning(
        "the database is brought from version %d to %d; a copy of it as it was is %s", version, SCHEMA_VERSION, target
    )
    return target
