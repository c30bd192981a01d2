"""How far an import or a download is, on a terminal; nothing where standard error is none."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

__all__ = ["row_progress"]


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
