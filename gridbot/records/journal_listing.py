"""What a journal holds, for people: each record once, whatever frame it is in, and what is in its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gridbot.frames import split
from gridbot.records import codec
from gridbot.records.block_reader import bodies_of, is_block
from gridbot.records.codec import CodecError
from gridbot.records.journal_reader import JournalReader
from gridbot.segment_file import segment_numbers, segment_path

__all__ = ["SegmentListing", "has_segments", "listed_records", "listed_segments"]


@dataclass(frozen=True, slots=True)
class SegmentListing:
    """A file: number of its first record, frames, blocks among them, bytes, damaged parts, records by kind."""

    first: int
    frames: int
    blocks: int
    size: int
    damaged: int
    kinds: Counter[str]


def has_segments(directory: Path) -> bool:
    """Whether there is a journal."""
    return bool(segment_numbers(directory))


def listed_records(directory: Path, first: int, kinds: frozenset[str], tell: Callable[[str], None]) -> Iterator[bytes]:
    """Bodies of the records from number `first` on, each once, in order; `kinds`: only of these (none: of all).

    `tell` hears of damage. Raises OSError.
    """
    reader, seq = JournalReader(directory), first - 1
    reader.seek(max(1, first))
    while (chunk := reader.read()) and (chunk.bodies or chunk.damages):
        for damage in chunk.damages:
            tell(str(damage))
        for body in chunk.bodies:
            try:
                for each in bodies_of(body):
                    kind, number = codec.peek(each)
                    if number > seq:
                        seq = number
                        if not kinds or kind in kinds:
                            yield each
            except CodecError as error:
                tell(str(error))


def listed_segments(directory: Path, tell: Callable[[str], None]) -> Iterator[SegmentListing]:
    """The files, oldest first. `tell` hears of what cannot be read. Raises OSError."""
    for first in segment_numbers(directory):
        content = segment_path(directory, first).read_bytes()
        bodies, damaged, _ = split(content, complete=False)
        kinds: Counter[str] = Counter()
        for body in bodies:
            try:
                kinds.update(codec.peek(each)[0] for each in bodies_of(body))
            except CodecError as error:
                tell(str(error))
        yield SegmentListing(first, len(bodies), sum(map(is_block, bodies)), len(content), len(damaged), kinds)
