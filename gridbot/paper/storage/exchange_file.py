"""Where an exchange survives its own end: the state file, and the journal of what changed since.

    state.json                                  everything at one moment: records of `kept_state`, with an end mark
    state.json.journal/00000000000000004711.journal    what changed since, a record for each turn of the loop
    state.json.journal/lock                     held by the exchange that uses it

Both hold frames (`gridbot.frames`). Records are numbered without a gap (`i`); the state file says up to which one it
holds. A record is handed to the kernel before anything it tells is answered, so it survives kill -9, not a loss of
power. Now and then the journal is folded: the state file is written anew beside the old one and takes its place, then
the segments behind it are removed. Killed at any point in between, an exchange finds one or the other complete.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

import orjson

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.doors.plain_text import shown
from gridbot.frames import frame, split
from gridbot.lock_file import Locked, keep_lock, take_lock
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.storage.kept_state import KeptState, SetAside
from gridbot.paper.storage.state_records import VERSION, ChangeNotes, WholeState
from gridbot.private_files import make_directory, open_private
from gridbot.segment_file import SegmentFile, lock_path, remove_unfinished, segment_numbers, segment_path

__all__ = ["ExchangeFile", "FoldStopped", "StateFileError"]

FOLD_BYTES = 2 << 20
LOCK_WAIT_S = 5.0
LOCK_LOOK_S = 0.05
PAUSE_S = 0.002  # between a few hundred rows: the loop must not wait for them
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError)
log = logging.getLogger("gridbot.paper")


class StateFileError(Exception):
    """The state file or its journal cannot be used; the text says what to do."""


class FoldStopped(Exception):
    """The state file was not finished, because the exchange ends."""


class ExchangeFile:
    """One state file with its journal. `open` comes first; `notes` is there after it."""

    notes: ChangeNotes

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path.with_name(f"{path.name}.journal")
        self.error = ""
        self._number = 0
        self._backlog = b""
        self._waiting_first = 0  # number of the first record in it
        self._segment: SegmentFile | None = None
        self._folded_bytes = 0
        self._journal_bytes = 0
        self._aside = SetAside()
        self._lock_fd = -1
        self._ends = threading.Event()
        self._folding = threading.Lock()
        self._is_whole = True

    # -- the start and the end

    def open(self, exchange: Exchange) -> None:
        """Bring a fresh exchange to where the last one ended, and note what changes. Raises StateFileError."""
        try:
            make_directory(self.directory)
            self._lock_fd = self._locked()
        except Locked as error:
            raise StateFileError(f"paper.state_file {self.path} is in use by process {error}") from error
        except OSError as error:
            raise StateFileError(f"paper.state_file {self.path} cannot be used: {error}") from error
        try:
            complete = self._read(exchange)
            self.notes = ChangeNotes(exchange)
            if not complete:
                self.write_whole(*self.begin_fold(exchange), pause_s=0.0)
        except UNREADABLE as error:
            self.close()
            text = f"paper.state_file {self.path} cannot be used: {error}"
            if not isinstance(error, OSError):
                text += f"; move it and {self.directory.name} away to start without them"
            raise StateFileError(text) from error

    def _locked(self) -> int:
        """The lock; an exchange whose supervisor was killed ends by itself within seconds, so it is waited for."""
        until = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return take_lock(lock_path(self.directory))
            except Locked:
                if time.monotonic() > until:
                    raise
            time.sleep(LOCK_LOOK_S)

    def _read(self, exchange: Exchange) -> bool:
        """Load file and journal; False when the state file does not hold all accounts, or is of an earlier version."""
        remove_abandoned(self.path, locked=True)
        remove_unfinished(self.directory)
        self.path.with_name(f"{self.path.name}.new").unlink(missing_ok=True)  # of an earlier version
        kept = KeptState(frozenset(exchange.accounts))
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            if segment_numbers(self.directory):
                raise ValueError("the file is gone, its journal is there") from None
            return False
        self._folded_bytes = len(content)
        if content.startswith(b"{"):
            self._read_version_2(content, kept)
            version = 2
        else:
            self._number, version = _read_whole(content, kept)
            self._read_journal(kept)
        self._aside = kept.put_into(exchange)
        return version == VERSION and kept.accounts.keys() == exchange.accounts.keys()

    def _read_version_2(self, content: bytes, kept: KeptState) -> None:
        document = orjson.loads(content)
        if document.get("version") != 2:
            raise _unknown_version("state of version 2", document.get("version"))
        kept.apply_version_2(document)
        self._forget(segment_numbers(self.directory))  # of a newer program, and older than the file

    def _read_journal(self, kept: KeptState) -> None:
        """Apply what came after the state file; cut a torn end off, it was never answered."""
        segments = segment_numbers(self.directory)
        for first in segments:
            path = segment_path(self.directory, first)
            content = path.read_bytes()
            bodies, damaged, done = split(content, complete=False)
            for body in bodies:
                record = orjson.loads(body)
                if record["i"] > self._number + 1:
                    raise ValueError(f"record {self._number + 1} is missing before {record['i']} in {path}")
                if record["i"] > self._number:
                    kept.apply(record)
                    self._number = record["i"]
            if damaged and damaged[-1].end == done:
                done = damaged[-1].start
            if first == segments[-1]:
                os.truncate(path, done)
                self._segment = SegmentFile(self.directory, first, done)
            self._journal_bytes += done

    def close(self) -> None:
        """Give up the lock. What was answered is in the journal; there is nothing left to write.

        A fold under way ends first: it would take segments away from the next exchange.
        """
        self._ends.set()
        with self._folding:
            pass
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    # -- each turn

    @property
    def number(self) -> int:
        """Number of the newest record."""
        return self._number

    def write_changes(self) -> bool:
        """Write what changed, and what the disk did not take before; False when it refuses, see `error`."""
        frames = self._backlog
        first = self._number + 1
        if not frames:
            self._waiting_first = first
        placed = self.notes.placed(first)
        if placed is not None:
            self._number = first
            frames += frame(placed)
        else:
            for body in self.notes.take(first):
                self._number += 1
                frames += frame(body)
        while frames:
            try:
                if self._segment is None:
                    self._segment = SegmentFile(self.directory, self._waiting_first)
                rest = self._segment.append(frames)
            except OSError as error:
                self._backlog, self.error = frames, error.strerror or str(error)
                return False
            self._journal_bytes += len(frames) - len(rest)
            frames = rest
        self._backlog, self.error = b"", ""
        return True

    def keep(self) -> bool:
        """Make lock and newest segment again when somebody has removed them; True when files were removed just now.

        The state file is made by the next fold, which comes at once: older segments may be gone with the newest one.
        Raises Locked, OSError.
        """
        if not self.directory.exists():
            make_directory(self.directory)
        self._lock_fd = keep_lock(lock_path(self.directory), self._lock_fd)
        removed = self._is_whole and not self.path.exists()
        if self._segment is not None and not self._segment.is_there:
            os.close(self._segment.make_again())
            removed = True
        if removed:
            self._is_whole = False
        return removed

    # -- folding

    @property
    def is_long(self) -> bool:
        """True when the journal has become longer than what it would be folded into, or files of either are gone."""
        return not self._is_whole or self._journal_bytes > max(FOLD_BYTES, self._folded_bytes)

    def begin_fold(self, exchange: Exchange) -> tuple[WholeState, int]:
        """Everything as it is, and the number of the newest record in it; later ones go to a new segment.

        Only when `write_changes` has just been true.
        """
        if self._segment is not None:
            self._segment.close()
            self._segment = None
        self._journal_bytes = 0
        return WholeState(exchange, self.notes.markets, self._aside), self._number

    def write_whole(self, whole: WholeState, through: int, *, pause_s: float = PAUSE_S) -> None:
        """Replace the state file and remove the segments behind it. For another thread. Raises OSError, FoldStopped."""
        with self._folding:
            if self._ends.is_set():
                raise FoldStopped
            self._write_whole(whole, through, pause_s)

    def _write_whole(self, whole: WholeState, through: int, pause_s: float) -> None:
        make_directory(self.path.parent)
        temporary = temporary_beside(self.path)
        try:
            with open_private(temporary, "xb") as file:
                file.write(frame(b'{"through":%d}' % through))
                count = 0
                for body in whole.bodies():
                    file.write(frame(body))
                    count += 1
                    if pause_s and self._ends.wait(pause_s):
                        raise FoldStopped
                file.write(frame(b'{"end":%d}' % count))
                size = file.tell()
            put_in_place(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        self._folded_bytes, self._is_whole = size, True
        self._forget([first for first in segment_numbers(self.directory) if first <= through])

    def _forget(self, segments: list[int]) -> None:
        for first in segments:
            with contextlib.suppress(OSError):
                segment_path(self.directory, first).unlink()


def _read_whole(content: bytes, kept: KeptState) -> tuple[int, int]:
    """Apply the records of a state file; return the number of the newest record that it holds, and its version."""
    bodies, damaged, _ = split(content, complete=True)
    if damaged or len(bodies) < 3:
        raise ValueError("it is no state file of an exchange, or damaged")
    records = [orjson.loads(body) for body in bodies]
    head, first, end = records[0], records[1], records[-1]
    if first.get("version") not in (3, 4, 5, VERSION):
        raise _unknown_version("a state of version 3", first.get("version"))
    if end.get("end") != len(records) - 2:
        raise ValueError("it ends too early")
    for record in records[1:-1]:
        kept.apply(record)
    return int(head["through"]), int(first["version"])


def _unknown_version(least: str, found: object) -> ValueError:
    newer = isinstance(found, int) and found > VERSION
    hint = "; a newer gridbot wrote it: start that one again" if newer else ""
    return ValueError(f"expected {least} to {VERSION}, got {shown(found)}{hint}")
