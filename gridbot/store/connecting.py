"""`gridbot.connect`: the records of a data directory, or of all hosts of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from gridbot.store import reading

__all__ = ["connect"]


def connect(
    data_dir: str | Path = "data",
    *,
    fleet: str | Path | None = None,
    history: bool | str = True,
    timeout_s: float | None = None,
    config: dict[str, str] | None = None,
    locked: bool = False,
    tables: str | Sequence[str] | None = None,
    accounts: str | Sequence[str] | None = None,
    since: datetime | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open records for reading: those of a data directory (`reading.connect` says how), 5 s to wait for the file.

    `fleet`: where the PostgreSQL of a fleet is, or a file that says so (`fleet.dsn_file`). Then it is a DuckDB in
    memory with what all hosts have shipped (`fleet_reading.connect_fleet`, also for `history`); `data_dir` and
    `config` say nothing, and a statement of PostgreSQL may take 60 s. Raise ReadingError, or as `reading.connect`.

    Of a fleet less may be wanted, and is there sooner: the rows of `tables` alone (names of tables and views, or the
    question that will be asked), of `accounts`, recorded `since` then (UTC where it has no zone). A name of `tables` or
    `accounts` that the fleet does not have raises ReadingError.
    """
    if fleet is None:
        return reading.connect(
            data_dir, timeout_s=5.0 if timeout_s is None else timeout_s, config=config, locked=locked
        )
    from gridbot.store.fleet_reading import connect_fleet
    from gridbot.store.wanted_rows import Wanted

    asked, whose = ((each,) if isinstance(each, str) else each for each in (tables, accounts))
    named = tuple(each for each in asked or () if each.isidentifier())
    statement = None if asked is None else " ".join(asked)
    wanted = Wanted(statement, None if whose is None else tuple(whose), since, named)
    return connect_fleet(
        fleet, timeout_s=60.0 if timeout_s is None else timeout_s, locked=locked, history=history, wanted=wanted
    )
