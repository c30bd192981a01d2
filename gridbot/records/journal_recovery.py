"""Finds where to append to a journal after kill -9, a full disk or a loss of power ended its last writer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gridbot.atomic_file import remove_temporary_files, write_atomic
from gridbot.frames import split
from gridbot.records import codec
from gridbot.records.journal_reader import Damage, read_committed
from gridbot.segment_file import remove_unfinished, segment_numbers, segment_path

__all__ = ["Recovered", "recover"]

_DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Recovered:
    """The segment to append to (the number of its first record), its size in bytes, and the last number given."""

    segment: int
    size: int
    last_seq: int
    damages: tuple[Damage, ...] = ()


def recover(directory: Path) -> Recovered:
    """Cut a torn end off the newest segment, kept in `damaged/`. Only for who holds the journal's lock. Raises OSError.

    No number is given twice: not one that the database holds already, and not one of a damaged frame at the end, which
    was whole once.
    """
    remove_temporary_files(directory / _DAMAGED)
    remove_unfinished(directory)
    committed = read_committed(directory)
    segments = segment_numbers(directory)
    if not segments:
        return Recovered(committed + 1, 0, committed)
    path = segment_path(directory, segments[-1])
    buffer = path.read_bytes()
    bodies, damaged, done = split(buffer, complete=False)
    last = max(codec.seq_of(bodies[-1]) if bodies else 0, segments[-1] - 1)
    damages = []
    for span in damaged:
        damages.append(_set_aside(path, buffer, span.start, span.end))
        if span.end == done:
            last += max(1, buffer.count(b"\n", span.start, span.end))
    if done < len(buffer):
        damages.append(_set_aside(path, buffer, done, len(buffer)))
        os.truncate(path, done)
    return Recovered(segments[-1], done, max(last, committed), tuple(damages))


def _set_aside(path: Path, buffer: bytes, start: int, end: int) -> Damage:
    kept = path.parent / _DAMAGED / f"{path.stem}-{start}"
    try:
        write_atomic(kept, buffer[start:end])  # on the disk before it is cut out of the segment
    except OSError:  # a full disk must not keep the account from starting
        return Damage(path, start, end - start)
    return Damage(path, start, end - start, kept)
