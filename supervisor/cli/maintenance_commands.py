"""`gridbot-supervisor rebuild`, `backup`, `vacuum` and `export`: care of the database file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb

from gridbot.config.paths import data_directory
from gridbot.records.block_reader import NewerJournal
from gridbot.records.columns import RECORD_TYPES
from gridbot.state.data_formats import newer_data
from gridbot.store.database import DatabaseHeld, Unreadable
from gridbot.store.reading import DatabaseLocked, NoDatabase, ReadingError
from gridbot.store.schema import SchemaTooNew
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import WRITABLE_HINT, CommandError, ExitCode
from supervisor.store import maintenance, parquet_export
from supervisor.store import rebuild as rebuilding
from supervisor.store.writer_lock import WriterBusy

__all__ = ["backup", "export", "rebuild", "vacuum"]


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Expected errors as a sentence and an exit code."""
    code = ExitCode.UNEXPECTED
    try:
        yield
        return
    except NoDatabase as exc:
        text, code = str(exc), ExitCode.NOT_RUNNING
    except (DatabaseLocked, DatabaseHeld) as exc:
        text, code = str(exc), ExitCode.TIMEOUT
    except (WriterBusy, SchemaTooNew, NewerJournal, rebuilding.RecordsLost) as exc:
        text, code = str(exc), ExitCode.REFUSED
    except FileExistsError as exc:
        text, code = str(exc), ExitCode.USAGE
    except (ReadingError, Unreadable) as exc:
        text = str(exc)
    except OSError as exc:
        code = ExitCode.REFUSED if isinstance(exc, PermissionError) else code
        text = f"expected a place that can be written, got: {exc}; {WRITABLE_HINT}"
    except duckdb.Error as exc:
        text = " ".join(str(exc).split())
    click.echo(f"error: {text}", err=True)
    sys.exit(code)


def _own_directory(config: str | None, data_dir: str | None) -> Path:
    """The data directory, of which a file is to be replaced: not where a newer gridbot has worked."""
    place = data_directory(data_dir, config)
    if (newer := newer_data(place)) is not None:
        raise CommandError(newer, ExitCode.REFUSED)
    return place


@click.command("rebuild", epilog=example("rebuild --data-dir data"))
@place_options()
@click.option("--accept-loss", is_flag=True, help="Replace the file although some records are lost.")
def rebuild(config: str | None, data_dir: str | None, accept_loss: bool) -> None:
    """Make a new database file from the journals (bot stopped); the old file is kept beside it."""
    place = _own_directory(config, data_dir)
    with _plain_errors():
        try:
            done = rebuilding.rebuild(place, accept_loss=accept_loss)
        except rebuilding.RecordsLost as exc:
            _tell_rebuilt(exc.done)
            raise
        _tell_rebuilt(done)
        if done.old_file:
            click.echo(f"the old file is {done.old_file}")


def _tell_rebuilt(done: rebuilding.Rebuilt) -> None:
    older = done.from_old_file
    click.echo(f"{done.from_journals} records from journals, {sum(older.values())} older rows from the old file")
    for table, rows in older.items():
        click.echo(f"    {table}: {rows}")
    for line in done.losses:
        click.echo(f"lost: {line}")
    for line in done.missing:
        click.echo(f"missing: {line}")


@click.command("backup", epilog=example("backup /backups/gridbot.duckdb"))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@place_options()
def backup(target: Path, config: str | None, data_dir: str | None) -> None:
    """Copy the database to the file TARGET, while the bot runs or not."""
    place = data_directory(data_dir, config)
    with _plain_errors():
        size = maintenance.backup(place, target)
        click.echo(f"{target}: {size} bytes")


@click.command("vacuum", epilog=example("vacuum -c conf/gridbot.yaml"))
@place_options()
def vacuum(config: str | None, data_dir: str | None) -> None:
    """Rewrite the database without its free space (bot stopped)."""
    place = _own_directory(config, data_dir)
    with _plain_errors():
        before, after = maintenance.vacuum(place)
        click.echo(f"{before} bytes before, {after} after")


@click.command("export", epilog=example("export /archive/gridbot --table executions"))
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option("--table", "tables", multiple=True, type=click.Choice(list(RECORD_TYPES)), help="Only this table.")
@place_options()
def export(target: Path, tables: tuple[str, ...], config: str | None, data_dir: str | None) -> None:
    """Write the records as Parquet files below TARGET, by table and UTC day; only what is new since the last time."""
    place = data_directory(data_dir, config)
    with _plain_errors():
        done = parquet_export.export(place, target, tables=tables)
        click.echo(f"{len(done.written)} files written, {done.skipped} were up to date")
