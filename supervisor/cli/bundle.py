"""`gridbot-supervisor bundle`: one archive for a bug report, without secrets, also while the bot runs."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click

from gridbot.config.paths import data_directory, find_config
from gridbot.private_files import open_private
from supervisor.cli.bundle_parts import Asked, Part, parts
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["bundle"]

MB: Final = 1_000_000
READ_ME: Final = "README.txt"
TOLD: Final = """A bundle of gridbot for a bug report, made {when} (UTC) from {place}.

It has no API key, no secret, no token and no address that messages go to: those that are known were replaced by
********, and what looks like one, too. It does have what was traded: orders, positions, money, names of
accounts, groups, this machine's name and paths. Look through it before it leaves your hands.

{parts}
{left_out}"""


@click.command("bundle", epilog=example("bundle report.zip"))
@click.argument("target", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--offline", is_flag=True, help="Ask no exchange: what doctor finds by itself alone.")
@click.option(
    "--max-size", type=click.IntRange(1, 500), default=20, show_default=True, metavar="MB",
    help="Most of all files together, before they are packed.",
)  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(0, 100_000), default=500, show_default=True, help="Last records of each table."
)
@place_options()
def bundle(
    target: Path | None, offline: bool, max_size: int, rows: int, config: str | None, data_dir: str | None
) -> None:
    """Pack what a bug report needs into the file TARGET [default: gridbot-bundle-TIME.zip here], for this user alone.

    In it: the configuration without secrets, the end of every log, state, the last records, status, what doctor finds,
    versions. What cannot be had is left out, and the bundle says why. Look through it before you send it.
    """
    now = datetime.now(UTC)
    place = data_directory(data_dir, config)
    path = target or Path(f"gridbot-bundle-{now:%Y%m%dT%H%M%SZ}.zip")
    asked = Asked(place, find_config(config), data_dir, offline=offline, most=max_size * MB, rows=rows)
    with _new_file(path) as file:
        found, left_out = _packed(asked, file, now)
    lines = [_line(part) for part in found]
    for line in lines:
        click.echo(line)
    for line in left_out:
        click.echo(f"left out: {line}")
    click.echo(
        f"{path}: {os.stat(path).st_size:,} bytes, {len(found) + 1} files, for you alone to read; "
        "look through it before you send it"
    )


def _packed(asked: Asked, file: IO[bytes], now: datetime) -> tuple[list[Part], list[str]]:
    """Write the archive; what is in it, and what is not and why."""
    found, left_out = parts(asked)
    told = TOLD.format(
        when=f"{now:%Y-%m-%d %H:%M:%S}",
        place=asked.place,
        parts="\n".join(map(_line, found)),
        left_out="\n".join(f"left out: {line}" for line in left_out),
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in (Part(READ_ME, asked.redaction().of(told.encode())), *found):
            info = zipfile.ZipInfo(f"gridbot-bundle/{part.name}", now.timetuple()[:6])
            info.external_attr = 0o600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, part.data)
    return found, left_out


def _line(part: Part) -> str:
    return f"{part.size:>12,}  {part.name}"


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that was not there, made before the work is done; none is left that is not whole. Raises CommandError."""
    try:
        file = open_private(path, "xb")
    except FileExistsError:
        raise CommandError(
            f"expected a new file, got {path}, which is there; name another one", ExitCode.USAGE
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):  # of this file alone: what could not be read is left out
            raise _unwritable(path, error) from None
        raise


def _unwritable(path: Path, error: OSError) -> CommandError:
    text = f"expected to be able to write {path}, got: {error.strerror}; name another file"
    return CommandError(text, ExitCode.USAGE)
