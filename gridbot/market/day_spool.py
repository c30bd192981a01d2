"""Rows on their way from files to days: kept by symbol, day and kind, in memory, and on the disk when there are many.

Files of all days of a year pass through it with the memory of `MOST_BYTES`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from gridbot.market.day import DAY_MS
from gridbot.market.day_rows import ROW, DayKey, Records
from gridbot.private_files import make_directory, open_private

__all__ = ["DaySpool"]

MOST_BYTES: Final = 1 << 26


class DaySpool:
    """Rows by day. Use it as a context: what is on the disk goes at its end. Raises OSError."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made when it is needed, and removed at the end."""
        self._directory = directory
        self._pieces: dict[DayKey, list[Records]] = {}
        self._files: dict[DayKey, Path] = {}
        self._bytes = 0

    def __enter__(self) -> DaySpool:
        self._remove()  # a process that was killed may have left some
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._remove()

    def _remove(self) -> None:
        if self._directory.is_symlink():
            self._directory.unlink()
        elif self._directory.exists():
            shutil.rmtree(self._directory)

    def add(self, symbol: str, kind: str, rows: Records) -> None:
        """Keep rows, of whatever days they are."""
        days = rows["at"] // DAY_MS
        cuts = np.flatnonzero(np.diff(days)) + 1
        for piece in np.split(rows, cuts) if len(rows) else ():
            day = datetime.fromtimestamp(int(piece["at"][0]) // 1000, UTC).date()
            self._pieces.setdefault(DayKey(symbol, day, kind), []).append(piece)
        self._bytes += rows.nbytes
        if self._bytes > MOST_BYTES:
            self._to_disk()

    def waiting(self) -> list[DayKey]:
        """Which rows there are, by symbol, day and kind."""
        return sorted({*self._pieces, *self._files})

    def take(self, key: DayKey) -> Records:
        """The rows of a key, in the order in which they came, and no longer kept here."""
        if key in self._files:
            self._to_disk()  # so that no row is in memory twice
            path = self._files.pop(key)
            with path.open("rb") as file:
                rows = np.fromfile(file, ROW)
            path.unlink()
            return rows
        pieces = self._pieces.pop(key, [])
        self._bytes -= sum(piece.nbytes for piece in pieces)
        return np.concatenate(pieces) if pieces else np.empty(0, ROW)

    def drop(self, keys: set[DayKey]) -> None:
        """Forget rows."""
        for key in keys:
            self.take(key)

    def _to_disk(self) -> None:
        make_directory(self._directory)
        for key, pieces in self._pieces.items():
            path = self._files.setdefault(key, self._directory / f"{key.symbol}-{key.date}-{key.kind}.rows")
            with open_private(path, "ab") as file:
                for piece in pieces:
                    file.write(np.ascontiguousarray(piece).data.cast("B"))
                file.flush()
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._pieces.clear()
        self._bytes = 0
