"""In which form the newest blocks of a journal are, read from the ends of its newest segments alone.

A start asks this before it touches anything: a journal may be there without the file that says what a newer gridbot
has written (`gridbot.state.data_formats`).
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final

from gridbot.records.record_block import BLOCK_HEAD
from gridbot.segment_file import segment_numbers, segment_path

__all__ = ["newest_form"]

LATEST_BYTES: Final = 1024 * 1024
FIRST_BYTES: Final = 64 * 1024
SEGMENTS: Final = 8
"""So many of the newest: a compacted one is of the version that compacted it, from its first block on."""
_WORD: Final = rb'"(?:[^"\\]|\\.)*"'
_NUMBER: Final = rb"[0-9]{1,19}"
_FORM: Final = re.compile(
    rb"^[0-9a-f]{6} [0-9a-f]{8} "
    + re.escape(BLOCK_HEAD)
    + _WORD
    + b',"run_id":'
    + _WORD
    + b',"seq":'
    + _NUMBER
    + b',"local_ts":'
    + _NUMBER
    + rb',"data":\{"form":([0-9]{1,9})[,}]',
    re.MULTILINE,
)


def newest_form(directory: Path) -> tuple[int, Path] | None:
    """The highest form among the blocks that are looked at, and a segment that has it; None where there are none.

    What cannot be read is left to those who read it.
    """
    found: list[tuple[int, Path]] = []
    with contextlib.suppress(OSError):
        segments = segment_numbers(directory)[-SEGMENTS:]
        for first in segments:
            path = segment_path(directory, first)
            with contextlib.suppress(OSError), path.open("rb") as file:
                ends = [file.read(FIRST_BYTES)]
                if first == segments[-1] and (size := os.fstat(file.fileno()).st_size) > FIRST_BYTES:
                    file.seek(max(FIRST_BYTES, size - LATEST_BYTES))
                    ends.append(file.read(LATEST_BYTES))
                found += [(int(form), path) for end in ends for form in _FORM.findall(end)]
    return max(found, key=lambda each: each[0], default=None)
