"""Frames: one body of JSON per line, with its length and checksum, so that damage and torn ends are found.

A frame is one line: length of the body in six hex digits, its CRC-32 (seeded with the length) in eight, the body, and a
newline, with spaces between. JSON has no raw newline inside, so a damaged line costs itself and nothing after it.

It is at the top of the package because the records and the paper exchange, which do not know each other, keep journals
of frames. Pure.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

__all__ = ["MAX_BODY", "PREFIX", "Span", "frame", "split"]

PREFIX: Final = 16  # "LLLLLL CCCCCCCC "
MAX_BODY: Final = 0xFFFFFF


def frame(body: bytes) -> bytes:
    """The frame of a body. Raise ValueError when it is longer than `MAX_BODY` bytes."""
    size = len(body)
    if size > MAX_BODY:
        raise ValueError(f"the body of a frame has {size} bytes, at most {MAX_BODY} fit")
    return b"%06x %08x %b\n" % (size, zlib.crc32(body, size), body)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, end) of a buffer that hold no valid frame."""

    start: int
    end: int


def split(buffer: bytes, *, complete: bool) -> tuple[list[bytes], list[Span], int]:
    """Cut a buffer that starts at a frame boundary into bodies.

    Return the bodies of the valid frames in order, the damaged spans, and how many bytes are done with. What is left
    after that is the beginning of a frame whose rest has not come yet; with `complete` nothing more will come, and the
    rest counts as damaged.
    """
    bodies: list[bytes] = []
    damaged: list[Span] = []
    crc32 = zlib.crc32
    pos, end = 0, len(buffer)
    while pos < end:
        start = pos + PREFIX
        try:
            size = int(buffer[pos : pos + 6], 16)
            crc = int(buffer[pos + 7 : pos + 15], 16)
        except ValueError:
            size = -1
        stop = start + size
        if size > 0 and stop < end:
            body = buffer[start:stop]
            if crc32(body, size) == crc:
                bodies.append(body)
                pos = stop + 1
                continue
        elif not complete and buffer.find(b"\n", pos) == -1:
            break  # more may come; a newline before the announced end would prove the length wrong
        skip = buffer.find(b"\n", pos)
        skip = end if skip == -1 else skip + 1
        if damaged and damaged[-1].end == pos:
            damaged[-1] = Span(damaged[-1].start, skip)
        else:
            damaged.append(Span(pos, skip))
        pos = skip
    return bodies, damaged, pos
