from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbot import frames
from gridbot.records import codec, journal_reader, journal_recovery
from gridbot.records.durability import Durability
from gridbot.records.journal import Journal, JournalBusy
from gridbot.records.journal_reader import JournalReader, newest_header, read_committed, write_committed
from gridbot.records.journal_recovery import recover
from gridbot.segment_file import SegmentDisk
from tests.examples import examples
from tests.store.kit import execution, until

KINDS = ("executions", "orders", "of_a_later_version")


def frame(seq: int) -> bytes:
    return codec.encode("alice", "run", seq, seq, execution(seq))


def fill(journal: Journal, count: int, each: int = 1) -> None:
    for _ in range(count):
        first = journal.last_seq + 1
        data = b"".join(frame(seq) for seq in range(first, first + each))
        assert journal.append(data, first + each - 1)


def seqs(directory: Path, start: int = 1) -> list[int]:
    return [header.seq for header, _ in JournalReader(directory).read_from(start)]


def segment_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
            fill(journal, 5, each=2)
    assert seqs(tmp_path) == list(range(1, 31))
    assert seqs(tmp_path, 28) == [28, 29, 30]


def test_a_start_decodes_only_what_it_asks_for(tmp_path: Path) -> None:
    assert newest_header(tmp_path) is None
    with Journal(tmp_path, "alice", Durability.PROCESS, segment_bytes=1) as journal:  # a segment each
        fill(journal, 4)
        unknown = codec.body_of_data(codec.head_of("of_a_later_version", "alice", "run"), 5, 5, b"{}")
        assert journal.append(frames.frame(unknown), 5)
    kinds = {kind: [h.seq for h, _ in JournalReader(tmp_path).read_from(2, frozenset({kind}))] for kind in KINDS}
    assert kinds == {"executions": [2, 3, 4], "orders": [], "of_a_later_version": []}
    newest = newest_header(tmp_path)
    assert newest is not None
    assert (newest.run_id, newest.seq, newest.local_ts) == ("run", 4, 4)  # the last that this version can read


@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=60),
    spoiled=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 300), st.sampled_from(b"\0\n7")), max_size=3),
    wanted=st.integers(0, 62),
)
def test_what_is_sought_by_halves_is_what_a_whole_reading_finds(
    sizes: list[int], spoiled: list[tuple[float, int, int]], wanted: int
) -> None:
    """Also where the disk has spoiled parts of a segment, and where frames are longer than what is looked at."""
    text = b"".join(
        codec.encode("alice", "run", seq, 1, execution(seq, order_id="x" * size)) for seq, size in enumerate(sizes, 1)
    )
    for place, length, byte in spoiled:
        begin = int(place * len(text))
        text = text[:begin] + bytes([byte]) * length + text[begin + length :]
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch.object(journal_reader, "NEAR_BYTES", 500),
        mock.patch.object(journal_reader, "PROBE_BYTES", 700),
    ):
        (Path(directory) / f"{1:020d}.journal").write_bytes(text)
        everything = [header.seq for header, _ in JournalReader(Path(directory)).read_from(0)]
        assert seqs(Path(directory), wanted) == [seq for seq in everything if seq >= wanted]
        newest = newest_header(Path(directory))
        assert (newest.seq if newest else 0) == max(everything, default=0)


def test_a_start_reads_what_it_wants_and_not_the_whole_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy account's start read 5 MB three times: half of its CPU, and 20 MB of memory."""
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        fill(journal, 100, each=60)
        size = sum(path.stat().st_size for path in segment_files(tmp_path))
    read, pread = [0], os.pread

    def counted(fd: int, length: int, offset: int) -> bytes:
        found = pread(fd, length, offset)
        read[0] += len(found)
        return found

    monkeypatch.setattr(os, "pread", counted)
    assert seqs(tmp_path, 5990) == list(range(5990, 6001))
    assert newest_header(tmp_path) is not None
    assert size > 2_000_000
    assert read[0] < 500_000


def test_a_flush_is_one_write(tmp_path: Path) -> None:
    writes: list[int] = []

    def counted(fd: int, data: bytes) -> int:
        writes.append(len(data))
        return os.write(fd, data)

    with Journal(tmp_path, "alice", Durability.PROCESS, disk=SegmentDisk(write=counted)) as journal:
        fill(journal, 1, each=50)
    assert len(writes) == 1


def test_segments_are_bounded_and_removed_when_acknowledged(tmp_path: Path) -> None:
    with Journal(tmp_path, "alice", Durability.POWER, segment_bytes=2000) as journal:
        fill(journal, 40)
        files = segment_files(tmp_path)
        assert len(files) > 5
        assert all(path.stat().st_size <= 2000 for path in files)
        assert seqs(tmp_path) == list(range(1, 41))
        journal.keep_above(10)
        journal.remove_through(30)
        assert seqs(tmp_path)[0] <= 11
        assert set(range(11, 41)) <= set(seqs(tmp_path))
        journal.keep_above(None)
        journal.remove_through(40)
        assert len(segment_files(tmp_path)) == 1  # the newest stays: it knows the number
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 40


def test_a_torn_tail_is_cut_and_its_number_given_again(tmp_path: Path) -> None:
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        fill(journal, 5)
    path = segment_files(tmp_path)[0]
    os.truncate(path, path.stat().st_size - 7)
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 4
        (damage,) = journal.damages
        assert damage.kept_at is not None
        assert damage.kept_at.read_bytes() == frame(5)[:-7]
        assert "everything else in the journal is used" in str(damage)
        fill(journal, 2)
    assert seqs(tmp_path) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("end", ["whole", "torn", "damaged", "one long frame", "short"])
def test_of_a_journal_whose_writer_was_killed_the_end_is_looked_at_and_no_number_is_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A start read up to 8 MB for it. Where the end is not whole, all is looked at, as after a loss of power."""
    with Journal(tmp_path / "a", "alice", Durability.PROCESS) as journal:
        fill(journal, 30)
    [file] = segment_files(tmp_path / "a")
    data = file.read_bytes()
    spoiled = {
        "torn": data[:-9],
        "damaged": data[:-9] + b"?" + data[-8:],
        "one long frame": data + frames.frame(codec.body_of_data(codec.head_of("x", "a", "r"), 31, 31, b" " * 4096)),
    }.get(end, data)
    first = frame(1)
    file.write_bytes(b"?" + spoiled[1:])  # only who looks at all of it finds this
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(journal_recovery, "END_BYTES", 10**6 if end == "short" else 3 * len(first))
    whole, quick = recover(tmp_path / "a"), recover(tmp_path / "b", is_cut_off=True)
    assert (quick.segment, quick.size, quick.last_seq) == (whole.segment, whole.size, whole.last_seq)
    assert whole.damages[0].offset == 0
    assert bool(quick.damages) is (end != "whole")


def test_a_damaged_last_frame_keeps_its_number(tmp_path: Path) -> None:
    """It was whole once, so the database may know that number: a second record must not get it."""
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        fill(journal, 5)
    path = segment_files(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 5
        assert journal.damages
        fill(journal, 1)
    assert seqs(tmp_path) == [1, 2, 3, 4, 6]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), count=st.integers(1, 8))
def test_recovery_keeps_every_intact_frame(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, count: int
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    with Journal(directory, "alice", Durability.PROCESS) as journal:
        fill(journal, count)
    path = segment_files(directory)[0]
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1), label="position")
    if data.draw(st.booleans(), label="cut"):
        del content[at:]
        intact = at
    else:
        content[at] ^= data.draw(st.integers(1, 255), label="flip")
        intact = -1
    path.write_bytes(content)
    ends, end = [], 0
    for seq in range(1, count + 1):
        end += len(frame(seq))
        ends.append(end)
    if intact >= 0:
        survivors = [seq for seq, end in enumerate(ends, start=1) if end <= intact]
    else:
        survivors = [seq for seq, end in enumerate(ends, start=1) if not end - len(frame(seq)) <= at < end]
    with Journal(directory, "alice", Durability.PROCESS) as journal:
        before = journal.last_seq
        fill(journal, 2)
    found = seqs(directory)
    assert set(survivors) <= set(found)
    assert found[-2:] == [before + 1, before + 2]
    assert found == sorted(set(found))


def test_the_reader_follows_a_growing_journal_over_segments(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path)
    assert not reader.has_more()
    got: list[int] = []
    with Journal(tmp_path, "alice", Durability.PROCESS, segment_bytes=3000) as journal:
        for _ in range(30):
            fill(journal, 1, each=3)
            assert reader.has_more()
            while chunk := reader.read().bodies:
                got += [codec.seq_of(body) for body in chunk]
            assert not reader.has_more()
    assert got == list(range(1, 91))
    assert len(segment_files(tmp_path)) > 5


def test_the_reader_waits_for_the_rest_of_a_frame(tmp_path: Path) -> None:
    path = tmp_path / f"{1:020d}.journal"
    whole = frame(1) + frame(2)
    path.write_bytes(whole[:-5])
    reader = JournalReader(tmp_path)
    assert [codec.seq_of(body) for body in reader.read().bodies] == [1]
    assert reader.read().bodies == []
    path.write_bytes(whole)
    assert [codec.seq_of(body) for body in reader.read().bodies] == [2]


def test_a_frame_longer_than_the_reading_buffer(tmp_path: Path) -> None:
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        big = codec.encode("alice", "run", 1, 1, execution(1, order_id="x" * 5000))
        journal.append(big, 1)
        fill(journal, 1)
    reader = JournalReader(tmp_path)
    assert [codec.seq_of(body) for _ in range(3) for body in reader.read(max_bytes=64).bodies] == [1, 2]


def test_the_number_never_falls_behind_the_database(tmp_path: Path) -> None:
    """The journal's tail or all of its files may be gone; the database is not."""
    write_committed(tmp_path, 100)
    assert read_committed(tmp_path) == 100
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 100
        fill(journal, 3)
    write_committed(tmp_path, 500)
    with Journal(tmp_path, "alice", Durability.PROCESS) as journal:
        assert journal.last_seq == 500
        fill(journal, 1)
    assert seqs(tmp_path) == [101, 102, 103, 501]


def test_a_second_appender_is_refused(tmp_path: Path) -> None:
    code = f"""
import sys
import tempfile
from pathlib import Path
from unittest import mock
from gridbot.records.journal import Journal, JournalBusy
try:
    Journal(Path({str(tmp_path)!r}), "alice")
except JournalBusy as exc:
    sys.exit(str(exc))
"""
    with Journal(tmp_path, "alice", Durability.PROCESS):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"in use by process {os.getpid()}" in done.stderr
        with pytest.raises(JournalBusy):
            Journal(tmp_path, "alice", Durability.PROCESS)
    Journal(tmp_path, "alice", Durability.PROCESS).close()


def test_durable_soon_after_an_execution_and_within_the_interval_otherwise(tmp_path: Path) -> None:
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=3600) as journal:
        fill(journal, 1)
        journal.append(frame(2), 2, urgent=True)
        until(lambda: journal.synced_seq == 2, "the sync of an urgent frame")
    with Journal(tmp_path, "alice", Durability.POWER, sync_interval=0.05, segment_bytes=600) as journal:
        fill(journal, 10)
        until(lambda: journal.synced_seq == 12, "the sync by interval")
        assert journal.sync_error is None


def test_a_killed_writer_of_the_mark_leaves_the_old_one_and_the_next_tidies_up(tmp_path: Path) -> None:
    write_committed(tmp_path, 7)
    program = (
        "import os, signal, sys; from pathlib import Path; from gridbot.records.journal_reader import write_committed\n"
        "os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_committed(Path(sys.argv[1]), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert read_committed(tmp_path) == 7
    (tmp_path / "committed.4711").touch()  # as earlier versions called it
    assert len(list(tmp_path.iterdir())) == 3
    write_committed(tmp_path, 9)
    assert read_committed(tmp_path) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["committed"]


def test_half_written_files_are_removed_at_the_next_start(tmp_path: Path) -> None:
    left_overs = [tmp_path / "damaged" / "00000000000000000001-0.4711-1.tmp", tmp_path / f"{1:020d}.journal.4711-1.tmp"]
    of_the_writer = tmp_path / "committed.4711-1.tmp"  # which may be at work
    (tmp_path / "damaged").mkdir()
    for path in (*left_overs, of_the_writer):
        path.touch()
    Journal(tmp_path, "alice", Durability.PROCESS).close()
    assert not any(path.exists() for path in left_overs)
    assert of_the_writer.exists()


@pytest.mark.parametrize("durability", list(Durability))
def test_a_removed_directory_is_made_again_with_what_was_appended(tmp_path: Path, durability: Durability) -> None:
    """The file went on without a name: what was written there, nobody could read, and a death lost all of it."""
    directory = tmp_path / "journal" / "alice"
    with Journal(directory, "alice", durability) as journal:
        fill(journal, 5)
        assert journal.keep() is None
        shutil.rmtree(tmp_path / "journal")
        fill(journal, 3)  # nobody has looked yet
        assert journal.keep() == 1
        assert journal.keep() is None
        assert seqs(directory) == list(range(1, 9))
        fill(journal, 2)
        with pytest.raises(JournalBusy):
            Journal(directory, "alice")
        until(lambda: journal.synced_seq == 10, "everything to be safe")
        (directory / "lock").unlink()
        assert journal.keep() is None, "no record was in it"
        with pytest.raises(JournalBusy):
            Journal(directory, "alice")
    assert seqs(directory) == list(range(1, 11))
    with Journal(directory, "alice", durability) as journal:
        assert journal.last_seq == 10


def test_older_segments_of_a_removed_directory_are_gone_and_a_full_disk_is_tried_again(tmp_path: Path) -> None:
    full = False

    def written(fd: int, data: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data[: max(1, len(data) // 2)])

    directory = tmp_path / "alice"
    with Journal(directory, "alice", "process", segment_bytes=2000, disk=SegmentDisk(write=written)) as journal:
        fill(journal, 20)
        shutil.rmtree(directory)
        full = True
        with pytest.raises(OSError, match="No space left"):
            journal.keep()
        assert list(directory.iterdir()) == [directory / "lock"]
        full = False
        first = journal.keep()
        assert first is not None
        assert first > 1
        fill(journal, 20)
    assert seqs(directory) == list(range(first, 41))
