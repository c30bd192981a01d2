"""`gridbot-supervisor journal show`: the records of an account as its journal has them, whatever frame they are in."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click
import orjson

from gridbot.config.paths import data_directory
from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.records.journal_listing import has_segments, listed_records, listed_segments
from gridbot.records.journal_reader import journal_directory
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import ExitCode
from supervisor.utc_time import utc_text

__all__ = ["journal"]


@click.group("journal")
def journal() -> None:
    """Look into the journals, which the database is made of. Nothing is changed."""


@journal.command("show", epilog=example("journal show alice --last 20"))
@click.argument("account")
@place_options()
@click.option("--from", "first", type=click.IntRange(min=1), help="From this number on.")
@click.option("--last", type=click.IntRange(min=1), help="Only the last so many.")
@click.option("--kind", "kinds", multiple=True, help="Only of this kind, such as orders; may be repeated.")
@click.option("--files", is_flag=True, help="The files instead: records, frames, blocks and bytes of each.")
@click.option("--json", "as_json", is_flag=True, help="Each record as its frame of JSON has it.")
def show(
    account: str,
    config: str | None,
    data_dir: str | None,
    first: int | None,
    last: int | None,
    kinds: tuple[str, ...],
    files: bool,
    as_json: bool,
) -> None:
    """Show what the journal of an ACCOUNT has: number, time, kind, figures. Also while it is written.

    Exit code 9: there is none. What is damaged is told on the error stream.
    """
    directory = journal_directory(data_directory(data_dir, config), account)
    if "/" in account or not has_segments(directory):
        click.echo(f"error: expected an account with a journal, got {account!r}: {directory} has none", err=True)
        sys.exit(ExitCode.NOTHING)
    if files:
        for line in _files(directory):
            click.echo(line)
        return
    found = listed_records(directory, first or 0, frozenset(kinds), _tell)
    for body in found if last is None else deque(found, maxlen=last):
        click.echo(body.decode(errors="replace") if as_json else _line(body))


def _tell(text: str) -> None:
    click.echo(f"damaged: {text}", err=True)


def _line(body: bytes) -> str:
    try:
        doc = codec.parse(body)
        at_us, values = doc["local_ts"], {name: value for name, value in doc["data"].items() if value not in (None, "")}
        at = f"{utc_text(at_us)[:-1]}.{at_us % 1_000_000:06d}Z"
        return f"{doc['seq']}  {at}  {doc['kind']}  {orjson.dumps(values).decode()}"
    except (CodecError, AttributeError, TypeError, ValueError, OverflowError):
        return body.decode(errors="replace")


def _files(directory: Path) -> Iterator[str]:
    yield "FIRST  RECORDS  FRAMES  BLOCKS  BYTES  KINDS"
    for each in listed_segments(directory, _tell):
        kinds = ", ".join(f"{count} {kind}" for kind, count in each.kinds.most_common())
        hurt = f", {each.damaged} damaged" if each.damaged else ""
        yield f"{each.first}  {each.kinds.total()}  {each.frames}  {each.blocks}  {each.size}  {kinds}{hurt}"
