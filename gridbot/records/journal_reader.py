"""Where an account's journal is, and how it is read: at the next start, by the store and by tools.

The layout and who writes it: `gridbot.records.journal`.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.atomic_file import write_atomic
from gridbot.core.strict_numbers import count_or_none
from gridbot.frames import split
from gridbot.records import codec
from gridbot.records.block_reader import NewerJournal, bodies_of, is_block
from gridbot.records.codec import CodecError
from gridbot.records.record_types import Header, Record
from gridbot.records.state_record import StateRecord
from gridbot.segment_file import segment_numbers, segment_path

__all__ = [
    "Chunk",
    "Damage",
    "JournalReader",
    "journal_directory",
    "newest_header",
    "read_committed",
    "write_committed",
]

READ_BYTES: Final = 2 * 1024 * 1024
NEAR_BYTES: Final = 64 * 1024
"""So much may be read before what was sought, and of the end of a segment for its last record."""
PROBE_BYTES: Final = 32 * 1024
"""In so many there is the beginning of a whole frame nearly always; where there is none, more is read."""
COMMITTED: Final = "committed"


@dataclass(frozen=True, slots=True)
class Damage:
    """A part of a segment that holds no valid frame."""

    path: Path
    offset: int
    length: int
    kept_at: Path | None = None

    def __str__(self) -> str:
        kept = f", kept in {self.kept_at}" if self.kept_at else ""
        return (
            f"{self.path}: {self.length} bytes at offset {self.offset} are no valid records (damaged on disk or "
            f"never wholly written){kept}; everything else in the journal is used"
        )


def journal_directory(data_dir: Path, account: str) -> Path:
    """Directory of an account's journal below the data directory."""
    return data_dir / "journal" / account


def write_committed(directory: Path, seq: int) -> None:
    """Note beside a journal that the database holds everything up to `seq`.

    A journal that lost its tail (a power cut) or its files (removed by hand) then goes on above that number. Otherwise
    numbers would be given twice, and the database would take the new records for old ones. Raises OSError.
    """
    with contextlib.suppress(OSError):  # of an earlier writer that was killed: there is only one at a time
        for left_over in directory.glob(f"{COMMITTED}.*"):
            left_over.unlink()
    write_atomic(directory / COMMITTED, f"{seq}\n".encode())


def read_committed(directory: Path) -> int:
    """Number noted by `write_committed`; 0 when there is none."""
    try:
        return count_or_none((directory / COMMITTED).read_text(encoding="ascii").strip()) or 0
    except (FileNotFoundError, ValueError):
        return 0


class JournalReader:
    """Reads a journal in order, while it grows or afterwards. Not for two threads at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._segment = 0
        self._offset = 0
        self._inode = 0
        """Of the file that the offset is in; 0: of whichever there is."""

    @property
    def position(self) -> tuple[int, int]:
        """Segment (its first number; 0 before anything was found) and byte offset of what comes next."""
        return self._segment, self._offset

    def move(self, segment: int, offset: int) -> None:
        """Continue at a known frame boundary."""
        self._segment, self._offset, self._inode = segment, offset, 0

    def seek(self, seq: int) -> None:
        """Go to the record `seq`, or to one shortly before it in the same segment."""
        before = [first for first in segment_numbers(self.directory) if first <= seq]
        self._segment, self._offset, self._inode = 0, 0, 0
        if before:
            self._segment = before[-1]
            self._offset, self._inode = _shortly_before(segment_path(self.directory, self._segment), seq)

    def has_more(self) -> bool:
        """True when the journal holds bytes behind the position (perhaps not yet a whole frame)."""
        segments = segment_numbers(self.directory)
        if not segments:
            return False
        if segments[-1] > self._segment:
            return True
        try:
            return os.stat(segment_path(self.directory, self._segment)).st_size > self._offset
        except FileNotFoundError:
            return False

    def read(self, max_bytes: int = READ_BYTES) -> Chunk:
        """Bodies of the next frames, about `max_bytes` of them. Empty when no whole frame follows."""
        while True:
            segments = segment_numbers(self.directory)
            if not segments:
                return Chunk([], [])
            if self._segment not in segments:
                # Removed since, or nothing read yet: continue with the next that exists.
                later = [first for first in segments if first > self._segment]
                if not later:
                    return Chunk([], [])
                self._segment, self._offset, self._inode = later[0], 0, 0
            path = segment_path(self.directory, self._segment)
            final = segments[-1] != self._segment  # listed before reading: it gets no more records
            try:
                buffer, at_end, inode = _read_at(path, self._offset, max_bytes)
            except FileNotFoundError:
                continue
            if self._offset and self._inode not in (0, inode):
                self._offset, self._inode = 0, 0  # it was compacted meanwhile: its records come again
                continue
            self._inode = inode
            bodies, damaged, done = split(buffer, complete=final and at_end)
            if done == 0 and not at_end:
                max_bytes *= 2  # one frame is longer than that
                continue
            damages = [Damage(path, self._offset + span.start, span.end - span.start) for span in damaged]
            self._offset += done
            if bodies or damages or not (final and at_end):
                return Chunk(bodies, damages)
            self._segment, self._offset = next(first for first in segments if first > self._segment), 0
            self._inode = 0

    def read_from(self, seq: int, kinds: frozenset[str] | None = None) -> Iterator[tuple[Header, Record | StateRecord]]:
        """Decoded records from number `seq` on, each once, up to the end as it is now. Unknown kinds are left out.

        `kinds`: only of these tables (None: of all). What is not asked for is not decoded, which takes 30 times as long
        as finding its number: a worker that was killed reads a minute of records or more before it trades again.

        Raise NewerJournal where a newer gridbot has written what this one cannot read.
        """
        self.seek(seq)
        while True:
            chunk = self.read()
            if not chunk.bodies and not chunk.damages:
                return
            for body in chunk.bodies:
                for each in _asked_for(body, seq, kinds):
                    with contextlib.suppress(CodecError):
                        header, record = codec.decode_body(each)
                        if header.seq >= seq:  # one that was written again after a failed sync comes twice
                            seq = header.seq + 1
                            yield header, record


def newest_header(directory: Path) -> Header | None:
    """Header of the last record of a journal that can be read; None of one without any. Raises OSError.

    The segments are read from the newest to the oldest, of each its end first, and only one body is decoded.
    """
    for first in reversed(segment_numbers(directory)):
        path = segment_path(directory, first)
        size = path.stat().st_size
        for begin in (size - NEAR_BYTES, 0) if size > NEAR_BYTES else (0,):
            buffer, _, _ = _read_at(path, begin, size - begin)
            bodies, _, _ = split(buffer[buffer.find(b"\n") + 1 :] if begin else buffer, complete=True)
            for body in reversed(bodies):
                with contextlib.suppress(CodecError):
                    for each in reversed(bodies_of(body)):
                        with contextlib.suppress(CodecError):
                            return codec.decode_body(each)[0]
    return None


def _asked_for(body: bytes, seq: int, kinds: frozenset[str] | None) -> list[bytes]:
    """The bodies of records in the body of a frame, without most of those before `seq` and of other kinds."""
    try:
        kind, last = codec.peek(body)
        if last < seq:
            return []
        if is_block(body):
            return bodies_of(body, kinds)
        return [body] if kinds is None or kind in kinds else []
    except NewerJournal:
        raise
    except CodecError:
        return []


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bodies of valid frames in order, and the damage found among them."""

    bodies: list[bytes]
    damages: list[Damage]


def _read_at(path: Path, offset: int, size: int) -> tuple[bytes, bool, int]:
    """What is there, whether the file ends with it, and its inode."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        buffer = os.pread(fd, size, offset)
        return buffer, len(buffer) < size, os.fstat(fd).st_ino
    finally:
        os.close(fd)


def _shortly_before(path: Path, seq: int) -> tuple[int, int]:
    """Offset in a segment of a frame whose number is below `seq`, near to it; 0 where none was found; and its inode.

    It is sought by halves, as numbers grow within a segment: a start does not read minutes of records that it knows.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0, 0  # who reads there meets it again
    try:
        low, high = 0, os.fstat(fd).st_size
        while high - low > NEAR_BYTES:
            middle = (low + high) // 2
            offset, number = _first_frame(os.pread(fd, PROBE_BYTES, middle))
            if number < seq:
                low = middle + offset
            else:
                high = middle
        return low, os.fstat(fd).st_ino
    finally:
        os.close(fd)


def _first_frame(buffer: bytes) -> tuple[int, float]:
    """Where the first whole frame behind a newline begins, and its number; infinity where there is none."""
    begin = buffer.find(b"\n") + 1
    bodies, damaged, _ = split(buffer[begin:], complete=False) if begin else ([], [], 0)
    with contextlib.suppress(CodecError, IndexError):
        number = codec.seq_of(bodies[0])
        return begin + (damaged[0].end if damaged and not damaged[0].start else 0), number
    return 0, math.inf
