"""The state log: what a death between two writes, a torn, an older or a missing file leads to."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from gridbot.core.strict_numbers import LATEST_MS
from gridbot.records.record_types import Record
from gridbot.records.recorder import Recorder
from gridbot.records.state_record import StateRecord
from gridbot.segment_file import SegmentDisk
from gridbot.state.documents import StateFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog, _checksum
from tests.store.kit import execution, make_recorder, ticker

NAME = "grids/btc.grid.json"


class Life:
    """One life of a worker, as far as its state goes; every file it writes is on the disk at once."""

    def __init__(
        self,
        tmp_path: Path,
        *,
        release: bool = True,
        disk: SegmentDisk | None = None,
        handed: dict[str, Any] | None = None,
        **journal: Any,
    ) -> None:
        self.recorder: Recorder = make_recorder(tmp_path, disk=disk, **journal)
        self.files = StateFiles(tmp_path / "state")
        self.told: list[tuple[str, Any]] = []
        self.log = StateLog(
            self.files, self.recorder, hand=lambda name, doc: self.told.append((name, doc)), handed=handed or {}
        )
        self.checkpoint = Checkpoint(StateFile(self.files, "ledger.json"), self.recorder, self.log, pytest.fail)
        self.ledger = self.checkpoint.load(LATEST_MS)
        assert self.files.flush()
        self._release = release

    def keep(self, **document: Any) -> None:
        self.log.keep(NAME, {"strat_id": "btc", **document})
        self.recorder.write()
        if self._release:
            self.log.release()
            assert self.files.flush()

    def record(self, *records: Record | StateRecord) -> None:
        for record in records:
            self.recorder.record(record)
        self.recorder.write()

    @property
    def path(self) -> Path:
        return self.files.path(NAME)

    def die(self, patience_s: float = 60.0) -> None:
        """Nothing more is written; a file that the disk refuses is given up after `patience_s`."""
        self.recorder.journal.close()
        self.files.close(patience_s)


def newest(tmp_path: Path) -> tuple[Any, list[str]]:
    """What the next start has: the document's content, and the executions that came after it."""
    life = Life(tmp_path)
    document = life.log.load(NAME)
    after = life.log.executions_after("btc", 0 if document is None else document.get("seq", 0))
    life.die()
    if document is None:
        return None, [execution.exec_id for execution in after]
    return document.get("n"), [execution.exec_id for execution in after]


def test_a_state_is_in_the_journal_before_its_file(tmp_path: Path) -> None:
    life = Life(tmp_path, release=False)
    life.keep(n=1)
    life.die()
    assert not life.path.exists(), "the process died before it had released the file"
    assert newest(tmp_path) == (1, [])
    assert json.loads(life.path.read_bytes())["n"] == 1, "the start has made the file good"


def test_a_file_is_written_when_its_record_is_safe_and_not_before(tmp_path: Path) -> None:
    full = [True]

    def write(descriptor: int, data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return SegmentDisk().write(descriptor, data)

    life = Life(tmp_path, release=False, disk=SegmentDisk(write=write))
    life.keep(n=1)
    life.log.release()
    assert life.files.flush()
    assert not life.path.exists(), "it would be ahead of the journal"
    assert life.log.load(NAME) == {"strat_id": "btc", "n": 1, "seq": 1}, "memory has it"
    full[0] = False
    life.recorder.write()
    life.log.release()
    assert life.files.flush()
    assert json.loads(life.path.read_bytes())["seq"] == 1
    life.die()


@pytest.mark.parametrize("halts", [True, False])
def test_what_stops_orders_goes_to_its_file_when_the_journal_refuses_it(tmp_path: Path, halts: bool) -> None:
    """The latch of a loss was in neither when the worker ended, and the next life made it good (seeds 330, 3056)."""
    refused = False

    def write(descriptor: int, data: bytes) -> int:
        if refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(descriptor, data)

    life = Life(tmp_path, disk=SegmentDisk(os.open, write, os.close))
    life.log.keep("latch.json", {"latched": ""}, at_once=True)
    assert life.files.flush()
    refused = True
    life.record(ticker(1))
    life.log.keep("latch.json", {"latched": "lost 1 USDT"}, at_once=halts)
    number = life.recorder.last_seq
    assert life.files.flush()
    life.die()
    again = Life(tmp_path)
    found = again.log.load("latch.json")
    assert found is not None
    assert found["latched"] == ("lost 1 USDT" if halts else "")
    again.record(ticker(2))
    assert not halts or again.recorder.last_seq > number
    again.die()


def test_executions_after_the_state_are_told_and_those_before_are_not(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.record(execution(1))
    life.keep(n=1)
    life.record(execution(2), execution(3, strategy="eth"), execution(4))
    life.die()
    assert newest(tmp_path) == (1, ["e-2", "e-4"])


def test_an_older_file_is_made_good_from_the_journal(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.keep(n=1)
    older = life.path.read_bytes()
    life.record(execution(1))
    life.keep(n=2)
    life.record(execution(2))
    life.die()
    life.path.write_bytes(older)
    assert newest(tmp_path) == (2, ["e-2"])


@pytest.mark.parametrize("content", [b"", b'{"n": 2', b"[]", None])
def test_a_torn_or_missing_file_is_made_good_from_the_journal(tmp_path: Path, content: bytes | None) -> None:
    life = Life(tmp_path)
    life.keep(n=2)
    life.record(execution(1))
    life.die()
    if content is None:
        life.path.unlink()
    else:
        life.path.write_bytes(content)
    assert newest(tmp_path) == (2, ["e-1"])
    assert newest(tmp_path) == (2, ["e-1"]), "also when that start died at once"


def test_a_file_ahead_of_a_journal_that_lost_its_end_counts_and_no_number_is_given_twice(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.record(*(ticker(number) for number in range(10)))
    life.keep(n=1)
    life.record(*(ticker(number) for number in range(10)))
    life.keep(n=2)
    seq = life.recorder.last_seq
    segment = next((tmp_path / "journal" / "alice").glob("*.journal"))
    life.die()
    frames = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join(frames[:15]))
    again = Life(tmp_path)
    document = again.log.load(NAME)
    assert document is not None
    assert (document["n"], document["seq"]) == (2, seq)
    assert again.recorder.record(ticker(1)) == seq + 1
    again.keep(n=3)
    again.die()
    again.path.write_bytes(json.dumps({"n": 2, "seq": seq}).encode())
    assert newest(tmp_path) == (3, [])


def test_a_file_of_a_version_without_records_counts(tmp_path: Path) -> None:
    """After a return to an earlier version, which knows no `seq`, and the way back."""
    life = Life(tmp_path)
    life.keep(n=1)
    life.record(execution(1))
    life.die()
    body = {"strat_id": "btc", "n": 2}
    life.path.write_bytes(json.dumps({**body, "checksum": _checksum(body)}).encode())
    again = Life(tmp_path)
    assert again.log.load(NAME) == body
    again.keep(n=3)
    again.die()
    assert newest(tmp_path) == (3, [])


def test_without_a_record_the_file_alone_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.path.parent.mkdir()
    life.path.write_bytes(b"{")
    with pytest.raises(ValueError, match="torn or foreign"):
        life.log.load(NAME)
    life.path.unlink()
    life.path.mkdir()
    with pytest.raises(IsADirectoryError):
        life.log.load(NAME)
    life.die()


def test_segments_stay_until_each_document_behind_them_is_in_its_file(tmp_path: Path) -> None:
    life = Life(tmp_path, release=False, segment_bytes=1000)
    blocked = life.path / "in the way"
    blocked.mkdir(parents=True)
    life.keep(n=1)
    for number in range(1, 30):
        life.record(execution(number), ticker(number))
        life.ledger.reached(complete_to=number)
    life.checkpoint.save(life.ledger)
    assert not life.files.flush(timeout_s=0.1), "the disk refuses one of the two"
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    life.die(patience_s=0.1)
    blocked.rmdir()
    blocked.parent.rmdir()
    after = [f"e-{number}" for number in range(1, 30)]
    assert newest(tmp_path) == (1, after), "the ledger's checkpoint is beyond that record, the segments are there"
    life = Life(tmp_path, segment_bytes=1000)
    life.ledger.reached(complete_to=100)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    assert next(life.recorder.replay())[0].seq > 20, "now nobody needs them"
    life.die()
    assert newest(tmp_path)[0] == 1


def test_a_checkpoint_waits_for_the_journal(tmp_path: Path) -> None:
    """Otherwise it counts what no record has: never recorded, and told to nobody."""
    full = [False]

    def write(descriptor: int, data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return SegmentDisk().write(descriptor, data)

    life = Life(tmp_path, disk=SegmentDisk(write=write))
    life.ledger.begin(1)
    life.checkpoint.save_now(life.ledger)
    full[0] = True
    life.record(execution(1))
    life.ledger.reached(complete_to=9)
    life.checkpoint.save(life.ledger)
    with pytest.raises(OSError, match="No space left"):
        life.checkpoint.save_now(life.ledger)
    assert life.files.flush()
    life.die()
    again = Life(tmp_path)
    assert again.ledger.complete_to == 1
    again.die()


def test_a_removed_strategy_does_not_hold_the_journal(tmp_path: Path) -> None:
    life = Life(tmp_path, release=False)
    life.keep(n=1)
    life.die()
    again = Life(tmp_path)
    assert again.log.in_files == again.recorder.last_seq, "its file was made good, though nobody asked"
    assert json.loads(again.path.read_bytes())["n"] == 1
    again.die()


# ---------------------------------------------------------------------- what the supervisor has


def test_only_what_stops_orders_is_told_to_the_supervisor(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.keep(n=1)
    assert life.told == []
    life.log.keep("holds.json", {"n": 2}, at_once=True)
    [(name, document)] = life.told
    assert (name, document) == ("holds.json", life.log.load("holds.json"))
    life.die()


@pytest.mark.parametrize("spoiled", ["", "{torn", "gone"])
def test_what_no_disk_took_is_taken_from_the_supervisor_and_kept(tmp_path: Path, spoiled: str) -> None:
    """A pause was lost when journal and file both refused it and the process died."""
    before = Life(tmp_path)
    before.log.keep("holds.json", {"n": 1}, at_once=True)
    assert before.files.flush()
    path = before.files.path("holds.json")
    before.die()
    if spoiled == "gone":
        path.unlink()
    elif spoiled:
        path.write_text(spoiled)
    life = Life(tmp_path, handed={"holds.json": {"n": 2, "seq": 1000}})
    document = life.log.load("holds.json")
    assert document is not None
    assert (document["n"], life.log.doubt("holds.json")) == (2, "")
    assert document["seq"] > 1000, "no later one may look older than what the supervisor has"
    assert life.files.flush()
    life.die()
    alone = Life(tmp_path)
    assert alone.log.load("holds.json") == document
    alone.die()


def test_what_the_supervisor_has_is_not_taken_when_the_disk_has_it_or_a_newer_one(tmp_path: Path) -> None:
    before = Life(tmp_path)
    before.log.keep("holds.json", {"n": 1}, at_once=True)
    before.log.keep("holds.json", {"n": 2}, at_once=True)
    assert before.files.flush()
    older, same = (document for _, document in before.told)
    before.die()
    for handed in (older, same):
        life = Life(tmp_path, handed={"holds.json": handed})
        assert life.log.load("holds.json") == same
        assert life.told == []
        life.die()
