"""`gridbot-supervisor journal show`: the records of an account as its journal has them, whatever frame they are in."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import click
import orjson

from gridbot.config.paths import data_directory
from gridbot.frames import split
from gridbot.records import codec
from gridbot.records.block_reader import bodies_of, is_block
from gridbot.records.codec import CodecError
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.segment_file import segment_numbers, segment_path
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
    if "/" in account or not segment_numbers(directory):
        click.echo(f"error: expected an account with a journal, got {account!r}: {directory} has none", err=True)
        sys.exit(ExitCode.NOTHING)
    if files:
        for line in _files(directory):
            click.echo(line)
        return
    found = _bodies(directory, first or 0, frozenset(kinds))
    for body in found if last is None else deque(found, maxlen=last):
        click.echo(body.decode(errors="replace") if as_json else _line(body))


def _bodies(directory: Path, first: int, kinds: frozenset[str]) -> Iterator[bytes]:
    """Each record once, in order."""
    reader, seq = JournalReader(directory), first - 1
    reader.seek(max(1, first))
    while (chunk := reader.read()) and (chunk.bodies or chunk.damages):
        for damage in chunk.damages:
            click.echo(f"damaged: {damage}", err=True)
        for body in chunk.bodies:
            try:
                for each in bodies_of(body):
                    kind, number = codec.peek(each)
                    if number > seq:
                        seq = number
                        if not kinds or kind in kinds:
                            yield each
            except CodecError as error:
                click.echo(f"not readable: {error}", err=True)


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
    for first in segment_numbers(directory):
        content = segment_path(directory, first).read_bytes()
        bodies, damaged, _ = split(content, complete=False)
        kinds: Counter[str] = Counter()
        for body in bodies:
            try:
                kinds.update(codec.peek(each)[0] for each in bodies_of(body))
            except CodecError as error:
                click.echo(f"not readable: {error}", err=True)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        blocks, hurt = sum(map(is_block, bodies)), f", {len(damaged)} damaged" if damaged else ""
        yield f"{first}  {kinds.total()}  {len(bodies)}  {blocks}  {len(content)}  {listed}{hurt}"
