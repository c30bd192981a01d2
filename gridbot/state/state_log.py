"""The small documents that say what an account has decided: in the journal at once, in a file soon after.

One log orders everything. A document is a record of the journal (`StateRecord`), in the same write as the executions
that changed it and before any request that follows from it. Its file is a checkpoint, which the disk gets when the
record is safe there, so a file is never ahead of the journal. What stops orders (`at_once`) does not wait for it: a
journal that takes nothing must not lose a pause::

    keep ──► record, numbered ──► the journal's next write ──► release: the file ──► segments may go

    start: newest of file and record ──► what came after it is in the journal behind it

So a death between any two writes loses nothing that was acted upon, and a file that is torn, older or missing is made
good from the journal as far as that reaches. If the journal's end is torn as well, its newest record of an unreadable
file may not be the newest that there was: what stops orders is then in doubt (`doubt`).

What stops orders also goes to the supervisor, which hands it to the next process of the account (`handed`): it has what
neither journal nor file could take, for as long as it lives itself.

A document carries its record's number as `seq`. A file without one was written by a version that had no such records,
later than any record that is there: then the file counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from gridbot.core import ExecutionEvent
from gridbot.ports import Files
from gridbot.records import builders
from gridbot.records.record_types import ExecutionRecord, Json, Record
from gridbot.records.recorder import Recorder
from gridbot.records.state_record import StateRecord

__all__ = ["Document", "StateLog", "encoded", "record_number"]

Document = dict[str, Any]

log = logging.getLogger(__name__)

HIGHEST_SEQ: Final = 1 << 53


class StateLog:
    """One per life of a worker, for the documents of its account. It belongs to the worker's loop.

    First `recall` gets every record that the journal holds behind the files, then `begin` is called. `hand` gives a
    document to the supervisor, and never blocks or raises; `handed` are those that it has, by name. `share` gives the
    file of a document, and whether it stops orders, to the fleet of several hosts that the account is in.
    """

    def __init__(
        self,
        files: Files,
        recorder: Recorder,
        *,
        hand: Callable[[str, Document], None] = lambda name, document: None,
        handed: Mapping[str, Document] = MappingProxyType({}),
        share: Callable[[str, bytes, bool], None] | None = None,
    ) -> None:
        self._share = share
        self._unshared: dict[str, None] = {}
        self.files = files
        self._recorder = recorder
        self._hand = hand
        self._handed = handed
        self._newest: dict[str, Document] = {}
        self._in_file: dict[str, int] = {}
        """Number of the newest document that is known to be in the file."""
        self._waiting: set[str] = set()
        """Documents that are newer than what the disk was given."""
        self._at_once: dict[str, None] = {}
        """Documents about what stops orders, of this life."""
        self._doubts: dict[str, str] = {}
        """What is wrong with the file of a document that the journal may have had a newer record of."""
        self._after: dict[str, list[tuple[int, ExecutionEvent]]] = {}
        """Executions by strategy that the journal has behind the newest document about it."""

    # ------------------------------------------------------------------ start

    def recall(self, seq: int, record: Record | StateRecord) -> None:
        """Take in a record of an earlier life, in the journal's order."""
        if isinstance(record, StateRecord):
            document: Document = orjson.loads(record.document)
            self._newest[record.name] = {**document, "seq": seq}
            self._after.pop(str(document.get("strat_id")), None)
        elif isinstance(record, ExecutionRecord) and record.strategy:
            self._after.setdefault(record.strategy, []).append((seq, builders.execution_of(record)))

    def begin(self) -> None:
        """Everything was recalled: compare it with the files, and bring up to date what is older. Never raises."""
        for name, logged in list(self._newest.items()):
            saved = self._saved_beside(name, logged)
            seq = 0 if saved is None else saved.get("seq")
            if saved is None or (seq is not None and seq < logged["seq"]):
                self._in_file[name] = seq or 0
                if name not in self._doubts:
                    self._waiting.add(name)
            else:
                self._take(name, saved)
        for name, document in self._handed.items():
            self._begin_handed(name, document)
        self.release()

    def _begin_handed(self, name: str, document: Document) -> None:
        """Go on from what the supervisor has, when that is newer than what the disk has kept of it."""
        try:
            known = self.load(name)
        except (OSError, ValueError):
            known = None  # the file is damaged; nothing of it is in the journal
        if known is not None and int(known.get("seq", 0)) >= int(document["seq"]):
            return
        log.warning("%s: the disk lost the newest one, going on from the supervisor's", self.files.path(name))
        self._recorder.go_on_above(int(document["seq"]))
        self.keep(name, {key: value for key, value in document.items() if key != "seq"}, at_once=True)

    def load(self, name: str) -> Document | None:
        """The newest document of that name; None when there is none.

        Raises OSError or ValueError, which says what the file is instead, when it cannot be read and the journal does
        not have it.
        """
        if name not in self._newest:
            saved = self._read(name)
            if saved is None:
                return None
            self._take(name, saved)
        return self._newest[name]

    def doubt(self, name: str) -> str:
        """Why `load` may not give the newest document of that name; empty when it does.

        The file stays as it is until there is a newer document.
        """
        return self._doubts.get(name, "")

    def executions_after(self, strat_id: str, seq: int) -> list[ExecutionEvent]:
        """Executions of a strategy that an earlier life counted after the record `seq`, in the order of counting."""
        return [execution for number, execution in self._after.get(strat_id, ()) if number > seq]

    def _saved_beside(self, name: str, logged: Document) -> Document | None:
        try:
            return self._read(name)
        except (OSError, ValueError) as error:
            where = self.files.path(name)
            log.warning("%s cannot be read (%s); going on from record %d of the journal", where, error, logged["seq"])
            if self._recorder.journal.damages:
                self._doubts[name] = f"{error}, and the journal has lost records"
            return None

    def _take(self, name: str, saved: Document) -> None:
        self._newest[name] = saved
        seq = saved.get("seq")
        if seq is not None:
            self._in_file[name] = seq
            self._recorder.go_on_above(seq)  # the journal may have lost its end

    def _read(self, name: str) -> Document | None:
        raw = self.files.read(name)
        return None if raw is None else _decode(raw)

    # ------------------------------------------------------------------ while it runs

    def keep(self, name: str, document: Document, *, at_once: bool = False) -> None:
        """Have this survive from the journal's next write on.

        Its file follows when the record is safe; with `at_once` it waits for no record, since the journal may not take
        any. `document` must not be changed afterwards. Never waits, never raises.
        """
        text = Json(orjson.dumps(document).decode())
        # Without room in memory there is no record; then the document counts as of the last one.
        seq = self._recorder.record(StateRecord(name=name, document=text)) or self._recorder.last_seq
        self._newest[name] = {**document, "seq": seq}
        self._doubts.pop(name, None)
        self._in_file.setdefault(name, seq - 1)
        self._waiting.add(name)
        if self._share is not None:
            self._unshared[name] = None
        if at_once:
            self._at_once[name] = None
            self._hand(name, self._newest[name])
            self.share()
            self._recorder.write()
            self._waiting.discard(name)
            self._write(name, self._newest[name])

    def release(self) -> None:
        """Give the disk the files whose records are safe. Call it from time to time, and at the end. Never waits."""
        self.share()
        safe = self._recorder.safe_seq
        for name in [name for name in self._waiting if self._newest[name]["seq"] <= safe]:
            self._waiting.discard(name)
            self._write(name, self._newest[name])

    def share(self) -> None:
        """Give the fleet what it does not have yet. Not where the document is made: that is before orders leave."""
        if self._share is not None:
            unshared, self._unshared = self._unshared, {}
            for name in unshared:
                self._share(name, encoded(self._newest[name]), name in self._at_once)

    def _write(self, name: str, document: Document) -> None:
        def written() -> None:
            self._in_file[name] = document["seq"]

        self.files.write_soon(name, lambda: encoded(document), written)

    @property
    def unsaved(self) -> list[str]:
        """Names of documents about what stops orders that the disk has neither in the journal nor in their file."""
        written = self._recorder.stats.written_seq
        return [name for name in self._at_once if self._newest[name]["seq"] > max(self._in_file[name], written)]

    @property
    def in_files(self) -> int:
        """Number up to which the journal is not needed for the documents: their files have them."""
        behind = [seq for name, seq in self._in_file.items() if seq < self._newest[name]["seq"]]
        return min(behind, default=self._recorder.last_seq)


# ---------------------------------------------------------------------- the file


def encoded(document: Document) -> bytes:
    """The content of a document's file."""
    return json.dumps({**document, "checksum": _checksum(document)}, indent=1).encode()


def _decode(raw: bytes) -> Document:
    """The document without its checksum. Raise ValueError, saying what was expected, for anything but a whole file.

    Earlier versions wrote pause, halt and latch without a checksum.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a JSON object, got a torn or foreign file ({error})") from None
    if not isinstance(document, dict):
        raise ValueError(f"expected a JSON object, got {type(document).__name__}")
    if document.pop("checksum", None) not in (None, _checksum(document)):
        raise ValueError("expected a checksum that fits the content, got another; the file was damaged or edited")
    if "seq" in document:
        record_number(document["seq"])
    return document


def record_number(value: object) -> int:
    """The number of a record, as a file names it. Raise ValueError for anything else.

    All later records get higher numbers, so one that is absurdly high would leave none.
    """
    if type(value) is not int or not 0 <= value < HIGHEST_SEQ:
        raise ValueError(f"expected the number of a record, got {value!r}")
    return value


def _checksum(document: Document) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
