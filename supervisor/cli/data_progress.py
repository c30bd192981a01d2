"""How far an import or a download is, on a terminal; nothing where standard error is none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

__all__ = ["byte_progress", "row_progress"]


@contextlib.contextmanager
def row_progress(files: Sequence[Path]) -> Iterator[Callable[[Path, int], None]]:
    """Hears of each file and of how many rows of it were read."""
    if not sys.stderr.isatty():
        yield lambda _path, _rows: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, rows=0)
        rows = 0

        def on_rows(path: Path, count: int) -> None:
            nonlocal rows
            rows += count
            progress.update(task, description=escape(path.name[-40:]), rows=rows)

        yield on_rows


@contextlib.contextmanager
def byte_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Hears of each file's name, how many bytes of it there are, and how many there will be."""
    if not sys.stderr.isatty():
        yield lambda _name, _done, _total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def on_bytes(name: str, done: int, total: int | None) -> None:
            progress.update(task, description=escape(name[-40:]), completed=done, total=total)

        yield on_bytes
