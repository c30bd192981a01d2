"""From a log and its map to rows: what another program wanted or did, line by line.

Nothing bad goes in silently: what a line says has to be what its map promises, or the reading ends there, with file and
line. Lines in which none of the patterns finds anything are other messages; they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbot.compare.log_columns import Columns
from gridbot.compare.log_file import LogMistake
from gridbot.compare.log_map import LogMap
from gridbot.compare.log_values import LogRow, Rows, WrongLine
from gridbot.doors.plain_text import one_line

__all__ = ["Reading", "read_log"]


@dataclass(slots=True)
class Reading:
    """How a reading went so far."""

    lines: int = 0
    rows: int = 0
    others: int = 0
    """Lines that say nothing of orders."""
    first_other: str = ""
    last_ms: int | None = None
    """Time of the last line, if it can be read: up to then the log is known."""
    cut: bool = False
    """The last line is being written."""
    without_direction: int = 0
    words: dict[str, int] = field(default_factory=dict)
    """Rows by what they say."""


def read_log(path: Path, meaning: LogMap, reading: Reading) -> Iterator[LogRow]:
    """The rows of a log, in its order; `reading` counts meanwhile. Raise LogMistake, OSError."""
    columns_of = Columns(path, meaning)
    last: Mapping[str, Any] | None = None
    row_of = Rows(meaning)
    for number, columns, ended in columns_of.lines():
        reading.lines = number
        try:
            if columns is None:
                row = None
            else:
                row = row_of(number, columns)
        except WrongLine as error:
            if not ended:
                reading.cut = True
                return
            raise LogMistake(f"{path} line {number}: {one_line(str(error))}") from error
        last = columns if row is None and columns is not None else last
        if row is None:
            reading.others += 1
            reading.first_other = reading.first_other or columns_of.text
        else:
            reading.rows += 1
            reading.last_ms = row.at_ms
            reading.without_direction += row.direction is None and row.what != "cancel"
            reading.words[row.what] = reading.words.get(row.what, 0) + 1
            yield row
    reading.cut = columns_of.cut
    if last is not None:
        reading.last_ms = row_of.time_of(last) or reading.last_ms
