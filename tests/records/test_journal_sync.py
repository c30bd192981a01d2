"""The thread that syncs a journal: what it cannot sync costs neither descriptors nor the end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from gridbot.records import codec, journal_sync
from gridbot.records.durability import Durability
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import JournalReader
from gridbot.records.journal_sync import JournalSync
from gridbot.segment_file import SegmentDisk, segment_numbers, segment_path
from tests.store.kit import execution, until


def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for ever."""
    asked, answers = threading.Event(), threading.Event()

    def hang(fd: int) -> None:
        asked.set()
        answers.wait(60)

    monkeypatch.setattr(os, "fdatasync", hang)
    monkeypatch.setattr(journal_sync, "STOP_S", 0.05)
    sync = JournalSync(tmp_path, 0, 0.01)
    sync.wrote(os.open(tmp_path / "segment", os.O_CREAT | os.O_WRONLY), 1, urgent=True)
    assert asked.wait(30)
    sync.stop()
    assert sync.synced_seq == 0
    answers.set()
    sync._thread.join(30)


def test_finished_segments_behind_one_that_cannot_be_synced_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their descriptors stayed open."""
    holds, released = threading.Event(), threading.Event()
    asked: list[int] = []
    closed: list[int] = []
    close = os.close

    def refuse_the_second(fd: int) -> None:
        asked.append(fd)
        holds.set()
        released.wait(30)
        if len(asked) == 2:
            raise OSError(5, "Input/output error")

    def note_close(fd: int) -> None:
        closed.append(fd)
        close(fd)

    monkeypatch.setattr(os, "fdatasync", refuse_the_second)
    monkeypatch.setattr(os, "close", note_close)
    sync = JournalSync(tmp_path, 0, 0.01)
    files = [os.open(tmp_path / f"segment-{number}", os.O_CREAT | os.O_WRONLY) for number in range(4)]
    sync.retire(files[0], tmp_path)
    assert holds.wait(30)
    for fd in files[1:]:  # these three come together
        sync.retire(fd, tmp_path)
    released.set()
    sync.stop()
    assert asked == files
    assert set(files) <= set(closed)


def test_what_was_written_is_synced_soon(tmp_path: Path) -> None:
    sync = JournalSync(tmp_path, 0, 0.01)
    fd = os.open(tmp_path / "segment", os.O_CREAT | os.O_WRONLY)
    sync.wrote(fd, 7, urgent=False)
    until_s = time.monotonic() + 30
    while sync.synced_seq != 7:
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)
    assert sync.error is None
    sync.stop()
    os.close(fd)


class Disk:
    """Refuses `fdatasync` when told, and knows what a loss of power would leave of files that it has refused.

    As Linux does, it says so once: the next call on the same file succeeds, and proves nothing.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuses = False
        self.calls = 0
        self._dropped: set[int] = set()
        self._sync = os.fdatasync
        monkeypatch.setattr(os, "fdatasync", self)

    def __call__(self, fd: int) -> None:
        self.calls += 1
        if self.refuses:
            self._dropped.add(os.fstat(fd).st_ino)
            raise OSError(5, "Input/output error")
        self._sync(fd)

    def lose_power(self, directory: Path) -> None:
        """Nothing is left of what was in a refused file."""
        for path in directory.glob("*.journal"):
            if path.stat().st_ino in self._dropped:
                os.truncate(path, 0)


def append(journal: Journal, count: int = 1) -> None:
    for _ in range(count):
        seq = journal.last_seq + 1
        assert journal.append(codec.encode("alice", "run", seq, seq, execution(seq)), seq, urgent=True)


def seqs(directory: Path) -> list[int]:
    return [header.seq for header, _ in JournalReader(directory).read_from(1)]


def test_what_is_claimed_after_a_failed_sync_survives_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next good sync of the same file claimed everything, though the kernel may have dropped what it refused."""
    disk = Disk(monkeypatch)
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01) as journal:
        disk.refuses = True
        append(journal)  # one: the refusal of a first could come before a second is written
        until(lambda: journal.sync_error is not None, "the refusal")
        disk.refuses = False
        assert journal.synced_seq == 0
        append(journal)  # the first is written again before it
        until(lambda: journal.synced_seq == 2, "the sync of the new segment")
        assert journal.sync_error is None
        assert seqs(tmp_path) == [1, 2], "each once"
        assert segment_numbers(tmp_path) == [1, 2]
    disk.lose_power(tmp_path)
    assert seqs(tmp_path) == [1, 2]
    with Journal(tmp_path, "alice", Durability.POWER) as journal:
        assert journal.last_seq == 2


def test_a_later_life_does_not_claim_what_a_failed_sync_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It synced the newest segment once more, which succeeds and proves nothing, and claimed everything."""
    disk = Disk(monkeypatch)
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01) as journal:
        append(journal)
        until(lambda: journal.synced_seq == 1, "the sync")
        disk.refuses = True
        append(journal)
        until(lambda: journal.sync_error is not None, "the refusal")
    disk.refuses = False
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01) as journal:
        assert (journal.last_seq, journal.synced_seq) == (2, 1)
        assert "before the last start" in str(journal.sync_error)
        append(journal, 2)  # the first gives the segment a record of its own, the second begins another
        until(lambda: journal.synced_seq == 4, "the sync of the new segment")
        until(lambda: not (tmp_path / "unsynced").exists(), "the end of the doubt")
        assert journal.sync_error is None
    disk.lose_power(tmp_path)
    assert seqs(tmp_path) == [2, 3, 4], "the first was synced: here it goes with its file"
    with Journal(tmp_path, "alice", Durability.POWER) as journal:
        assert (journal.last_seq, journal.synced_seq) == (4, 4)


def test_all_segments_that_are_found_are_synced_and_a_refusal_is_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the newest was, though its life may have ended before the one before it was synced. A refusal ended the
    start, and the next one claimed everything."""
    with Journal(tmp_path, "alice", Durability.PROCESS, segment_bytes=600) as journal:
        append(journal, 5)
    assert len(segment_numbers(tmp_path)) > 1
    disk = Disk(monkeypatch)
    disk.refuses = True
    Journal(tmp_path, "alice", Durability.POWER).close()
    disk.refuses = False
    with Journal(tmp_path, "alice", Durability.POWER) as journal:
        assert (journal.last_seq, journal.synced_seq) == (5, 0)
    (tmp_path / "unsynced").unlink()
    disk.calls = 0
    with Journal(tmp_path, "alice", Durability.POWER) as journal:
        assert journal.synced_seq == 5
        assert disk.calls == len(segment_numbers(tmp_path))


def test_a_disk_that_refuses_for_long_gets_a_new_segment_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01) as journal:
        disk.refuses = True
        append(journal)
        until(lambda: journal.sync_error is not None, "the refusal")
        for _ in range(20):
            calls = disk.calls
            append(journal)
            until(lambda before=calls: disk.calls > before, "another refusal")  # type: ignore[misc]
        assert len(segment_numbers(tmp_path)) == 2, "one at once, the next a second later"
        assert journal.synced_seq == 0
    assert seqs(tmp_path) == list(range(1, 22))


def test_a_sync_that_began_before_anything_was_written_anew_claims_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It synced the directory alone; what was written during that counted as synced, and had never been."""
    held, released, refused = threading.Event(), threading.Event(), threading.Semaphore(0)

    def refuse(fd: int) -> None:
        refused.release()
        raise OSError(5, "Input/output error")

    def hold(directory: Path) -> None:
        held.set()
        released.wait(30)

    monkeypatch.setattr(os, "fdatasync", refuse)
    monkeypatch.setattr(journal_sync, "sync_directory", hold)
    sync = JournalSync(tmp_path, 0, 0.01)
    first, anew = (os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in ("first", "anew"))
    sync.wrote(first, 1, urgent=True)
    until(sync.wants_anew, "the refusal")
    sync.begin_anew(first, tmp_path)
    assert held.wait(30)
    sync.wrote(anew, 1, urgent=True)
    assert refused.acquire(timeout=30)
    released.set()
    assert refused.acquire(timeout=30), "a sync of what was written anew"
    sync.stop()
    assert (sync.synced_seq, sync.error) == (0, "fdatasync: Input/output error")
    os.close(anew)


def test_too_much_to_write_again_is_never_claimed_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    monkeypatch.setattr(journal_sync, "MOST_AGAIN", 100)
    monkeypatch.setattr("gridbot.records.journal.MOST_AGAIN", 100)
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01) as journal:
        disk.refuses = True
        append(journal, 3)
        until(lambda: journal.sync_error is not None, "the refusal")
        disk.refuses = False
        append(journal, 2)
        calls = disk.calls
        append(journal)
        until(lambda: disk.calls > calls, "a good sync")
        assert segment_numbers(tmp_path) == [1]
        assert "may not survive a loss of power" in str(journal.sync_error)
    assert journal.synced_seq == 0


def test_a_death_while_it_is_written_again_gives_no_number_twice(tmp_path: Path) -> None:
    """The new segment is named by the next number, and ends with an earlier one."""
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        append(journal, 3)
    again = segment_path(tmp_path, 4)
    again.write_bytes(codec.encode("alice", "run", 1, 1, execution(1)))
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 3
        append(journal)
    assert seqs(tmp_path) == [1, 2, 3, 4]


def test_a_disk_without_room_for_the_new_segment_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, is_full = Disk(monkeypatch), False

    def opened(path: Path, flags: int, mode: int) -> int:
        if is_full and path.suffix == ".journal":
            raise OSError(28, "No space left on device")
        return os.open(path, flags, mode)

    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01, disk=SegmentDisk(open=opened)) as journal:
        disk.refuses = True
        append(journal)
        until(lambda: journal.sync_error is not None, "the refusal")
        disk.refuses, is_full = False, True
        assert not journal.append(codec.encode("alice", "run", 2, 2, execution(2)), 2)
        assert "No space left" in str(journal.error)
        is_full = False
        append(journal)
        until(lambda: journal.synced_seq == 3, "the sync")
    disk.lose_power(tmp_path)
    assert seqs(tmp_path) == [1, 2, 3]


def test_a_segment_that_is_full_of_what_was_written_again_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened a second time, as its own successor, and counted from nothing: the writer was told places within
    older records, which it took for damage."""
    disk = Disk(monkeypatch)
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.01, segment_bytes=2000) as journal:
        disk.refuses = True
        frames = b"".join(codec.encode("alice", "run", seq, seq, execution(seq)) for seq in range(1, 11))
        assert journal.append(frames, 10, urgent=True)
        until(lambda: journal.sync_error is not None, "the refusal")
        disk.refuses = False
        append(journal)
        assert journal.position == (11, segment_path(tmp_path, 11).stat().st_size)
        append(journal)
        assert journal.position == (12, segment_path(tmp_path, 12).stat().st_size)
        until(lambda: journal.synced_seq == 12, "the sync of both")
    assert seqs(tmp_path) == list(range(1, 13))
    assert segment_numbers(tmp_path) == [1, 11, 12]


def test_a_segment_that_is_begun_anew_claims_nothing_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two the thread synced the directory alone, and took that for a sync of everything."""
    disk, named = Disk(monkeypatch), threading.Event()
    monkeypatch.setattr(journal_sync, "sync_directory", lambda _: named.set())
    sync = JournalSync(tmp_path, 0, 0.01)
    files = [os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY) for name in ("old", "new")]
    disk.refuses = True
    sync.wrote(files[0], 1, urgent=True)
    until(lambda: sync.error is not None, "the refusal")
    disk.refuses = False
    sync.begin_anew(files[0], tmp_path)
    sync.retire(journal_sync.NO_FILE, tmp_path)
    assert named.wait(30)
    until(lambda: not sync._retired, "the sync of the directory")
    with sync._wake:
        assert (sync.synced_seq, (tmp_path / "unsynced").exists()) == (0, True)
    sync.wrote(files[1], 1, urgent=True)
    until(lambda: sync.synced_seq == 1, "the sync of what was written again")
    sync.stop()
