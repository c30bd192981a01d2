"""The lines of a log, one at a time, with their numbers: plain or gzip, whole lines of a bounded length.

The last line of a log that is being written may be half there: one without its line end that cannot be read is left
out.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

__all__ = ["LONGEST_LINE", "LogMistake", "log_lines_of"]

LONGEST_LINE: Final = 1 << 18
"""Bytes."""
_GZIP: Final = b"\x1f\x8b"


class LogMistake(Exception):
    """A log that is not what its map says; the text names file and line, what was expected and what came."""


def log_lines_of(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(number from 1, text without its end, whether it had an end) of each line. Raise LogMistake, OSError."""
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP
        plain.seek(0)
        if not packed:
            yield from _lines(path, plain)
            return
        try:
            with gzip.open(plain, "rb") as file:
                yield from _lines(path, file)  # type: ignore[arg-type]
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise LogMistake(f"{path}: expected a whole gzip file, got one that is damaged or cut: {error}") from error


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, str, bool]]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise LogMistake(f"{path} line {number}: expected at most {LONGEST_LINE:,} bytes, got more")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise LogMistake(
                f"{path} line {number}: expected text in UTF-8, got byte {line[error.start]:#04x} at {error.start}"
            ) from error
        ended = text.endswith("\n")
        yield number, text.rstrip("\r\n"), ended
