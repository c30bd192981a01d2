"""What all hosts of a fleet have shipped, as a DuckDB file for one command, with the tables and views of a host."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import duckdb

from gridbot.store.reading import DATABASE_NAME, ReadingError, read_with
from supervisor.cli.fleet_access import access
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["shipped_records"]

TOLD_S: Final = 60.0
"""A host that is further behind is named beside the answer."""


@contextlib.contextmanager
def shipped_records(
    config: str | None, data_dir: str | None, timeout_s: float, statement: str | None = None
) -> Iterator[Path]:
    """A file with what the fleet has at this moment, removed at the end: of the records that this question, or tables
    and views of these names, can concern; None: all. Raises CommandError."""
    from gridbot.config.dsn_files import read_dsn  # here: it reads models, which a command without a fleet needs not
    from gridbot.store.fleet_reading import filled
    from gridbot.store.wanted_rows import Wanted

    fleet, wanted = access(config, data_dir).own.fleet, Wanted(statement)
    with tempfile.TemporaryDirectory(prefix="gridbot-fleet-") as directory:
        path = Path(directory) / DATABASE_NAME
        try:
            with duckdb.connect(str(path), config={"threads": 2, "memory_limit": "1GB"}) as con:
                found = filled(con, read_dsn(fleet), timeout_s=timeout_s, history=fleet.history or True, wanted=wanted)
        except (ReadingError, ValueError) as error:
            raise CommandError(str(error), ExitCode.TIMEOUT) from None
        for host, seconds in found.behind:
            if seconds is None or seconds >= TOLD_S:
                since = "not all of its records are here yet" if seconds is None else f"{seconds:.0f} s behind"
                click.echo(f"note: host {host}: {since}", err=True)
        if found.without:
            click.echo(f"note: rows of `fleet.keep_records` only; the history is not read: {found.without}", err=True)
        if found.files is None:
            yield path
        else:
            with read_with(path, found.files.register):
                yield path
