"""Finds where to append to a journal after kill -9, a full disk or a loss of power ended its last writer."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.atomic_file import remove_temporary_files, write_atomic
from gridbot.frames import Span, split
from gridbot.records import codec
from gridbot.records.block_reader import NewerJournal, is_block, read_block
from gridbot.records.codec import CodecError
from gridbot.records.journal_reader import Damage, read_committed
from gridbot.records.record_block import BLOCK_HEAD
from gridbot.segment_file import remove_unfinished, segment_numbers, segment_path

__all__ = ["Recovered", "recover"]

END_BYTES: Final = 64 * 1024
"""Of a journal whose writer was killed so much is read: hundreds of records, of which one write has a few at most."""
_DAMAGED = "damaged"
_WORD: Final = rb'"(?:[^"\\]|\\.)*"'
_HEAD: Final = re.compile(BLOCK_HEAD.replace(b"{", rb"\{") + _WORD + b',"run_id":' + _WORD + b',"seq":([0-9]{1,18})')


@dataclass(frozen=True, slots=True)
class Recovered:
    """The segment to append to (the number of its first record), its size in bytes, and the last number given."""

    segment: int
    size: int
    last_seq: int
    damages: tuple[Damage, ...] = ()


def recover(directory: Path, *, is_cut_off: bool = False) -> Recovered:
    """Cut a torn end off the newest segment, kept in `damaged/`. Only for who holds the journal's lock. Raises OSError,
    NewerJournal when the newest segment has what a newer gridbot wrote: nothing is changed then.

    No number is given twice: not one that the database holds already, and not one of a damaged frame at the end, which
    was whole once. `is_cut_off`: its last writer, of this very version, was killed while the machine went on. Then only
    the end can be torn, so where that is whole the rest, up to 8 MB, is not looked at.
    """
    remove_temporary_files(directory / _DAMAGED)
    remove_unfinished(directory)
    committed = read_committed(directory)
    segments = segment_numbers(directory)
    if not segments:
        return Recovered(committed + 1, 0, committed)
    path = segment_path(directory, segments[-1])
    if is_cut_off and (whole := _of_whole_end(path)) is not None:
        size, last = whole
        return Recovered(segments[-1], size, max(last, committed))
    buffer = path.read_bytes()
    bodies, damaged, done = split(buffer, complete=False)
    _require_known(bodies)
    last = max(codec.seq_of(bodies[-1]) if bodies else 0, segments[-1] - 1)
    damages = []
    for span in damaged:
        damages.append(_set_aside(path, buffer, span.start, span.end))
        if span.end == done:
            last = max(last + max(1, buffer.count(b"\n", span.start, span.end)), _last_of_blocks(buffer, span, last))
    if done < len(buffer):
        damages.append(_set_aside(path, buffer, done, len(buffer)))
        os.truncate(path, done)
    return Recovered(segments[-1], done, max(last, committed), tuple(damages))


def _of_whole_end(path: Path) -> tuple[int, int] | None:
    """Size and last number of a segment that ends with whole frames; None when that has to be looked at more closely.

    Also where the whole segment is no longer than what is read of its end.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= END_BYTES:
            return None
        file.seek(size - END_BYTES)
        buffer = file.read()
    begin = buffer.find(b"\n") + 1
    bodies, damaged, done = split(buffer[begin:], complete=False)
    if not bodies or damaged or begin + done < len(buffer):
        return None
    _require_known(bodies)
    return size, codec.seq_of(bodies[-1])


def _require_known(bodies: list[bytes]) -> None:
    for body in filter(is_block, bodies):
        try:
            read_block(body)
        except NewerJournal:
            raise
        except CodecError:
            continue  # its frame is whole, so it is our own fault; the writer says what is lost


def _last_of_blocks(buffer: bytes, span: Span, last: int) -> int:
    """Number of the last record of the blocks in a damaged span, as far as their heads can be read.

    A block has many numbers in one frame. What its damaged head says is believed within what so many bytes can hold.
    """
    found = [int(each[1]) for each in _HEAD.finditer(buffer, span.start, span.end)]
    return max((seq for seq in found if seq <= last + (span.end - span.start)), default=0)


def _set_aside(path: Path, buffer: bytes, start: int, end: int) -> Damage:
    kept = path.parent / _DAMAGED / f"{path.stem}-{start}"
    try:
        write_atomic(kept, buffer[start:end])  # on the disk before it is cut out of the segment
    except OSError:  # a full disk must not keep the account from starting
        return Damage(path, start, end - start)
    return Damage(path, start, end - start, kept)
