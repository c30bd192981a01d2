"""Finished segments of journals in less room: the writer rewrites what stays on the disk as compressed blocks.

A segment that is acknowledged is removed within seconds. What stays is kept on purpose (`keep_journal`), or waits for a
checkpoint: a minute after its last record it is read, written again beside it, compared record by record, synced, and
put in its place. A kill at any point leaves the one or the other. A reader that stood in it begins it anew, and passes
over what it has read (`gridbot.records.journal_reader`).

Only what the database has is touched, and nothing where a sync has failed, or bytes are damaged.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.frames import PREFIX, split
from gridbot.private_files import open_private
from gridbot.records.block_reader import is_block
from gridbot.records.compact_block import compacted
from gridbot.records.journal_reader import journal_directory
from gridbot.records.journal_sync import DOUBT
from gridbot.segment_file import segment_numbers, segment_path

__all__ = ["QUIET_S", "JournalCompaction"]

log = logging.getLogger("gridbot.store")

QUIET_S: Final = 60.0
"""Since the last record of a segment: the worker's sync thread is done with it, and most are gone by then."""
LOOK_S: Final = 10.0
"""Between two looks at the directories, and two segments: each takes a third of a second."""
_WORTH_IT: Final = 0.8
_SIZE_KEY: Final = b',"size":'
_HEAD_BYTES: Final = 4096


class JournalCompaction:
    """One per writer. `quiet_s` and `look_s` in seconds."""

    def __init__(self, data_dir: Path, quiet_s: float = QUIET_S, look_s: float | None = None) -> None:
        self._data_dir = data_dir
        self._quiet_s = quiet_s
        self._look_s = min(LOOK_S, quiet_s) if look_s is None else look_s
        self._next_look = 0.0
        self._left_alone: dict[str, set[int]] = {}
        """By account the segments that are there and stay as they are: compact, damaged, or not worth it."""

    def step(self, committed: Mapping[str, int], now: float) -> Path | None:
        """Compact at most one segment that the database has whole, when it is time; which. `now` is monotonic.

        No more than one is read whole, also of those that then stay as they are: the writer waits for it. Of one that
        is compact its beginning says so. Raises nothing: what cannot be done now is tried again, or the segment stays
        as it is.
        """
        if now < self._next_look:
            return None
        self._next_look = now + self._look_s
        for account, seq in committed.items():
            directory = journal_directory(self._data_dir, account)
            if (directory / DOUBT).exists():
                continue
            numbers = segment_numbers(directory)
            left_alone = self._left_alone.setdefault(account, set())
            left_alone.intersection_update(numbers)
            for first, following in itertools.pairwise(numbers):
                path = segment_path(directory, first)
                if following - 1 <= seq and first not in left_alone and self._is_quiet(path):
                    try:
                        is_done = _is_compact(path)
                        done = not is_done and self._compact(path)
                    except FileNotFoundError:
                        return None  # it is gone, or a worker that starts has removed what was written beside it
                    except OSError as error:
                        log.warning("%s stays as it is for now: %s", path, error)
                        return None
                    left_alone.add(first)
                    if not is_done:
                        return path if done else None
        return None

    def _is_quiet(self, path: Path) -> bool:
        try:
            return time.time() - path.stat().st_mtime >= self._quiet_s
        except OSError:
            return False

    def _compact(self, path: Path) -> bool:
        """Raises OSError."""
        before = path.stat()
        content = path.read_bytes()
        bodies, damaged, _ = split(content, complete=True)
        made = None if damaged else compacted(bodies)
        if made is None or len(made) > _WORTH_IT * len(content):
            return False
        temporary = temporary_beside(path)
        try:
            with open_private(temporary, "xb") as file:
                file.write(made)
            if (after := path.stat()).st_ino != before.st_ino or after.st_size != before.st_size:
                return False
            os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        log.info("%s: %d bytes became %d", path, len(content), len(made))
        return True


def _is_compact(path: Path) -> bool:
    """Raises OSError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return is_block(head[PREFIX:]) and _SIZE_KEY in head
