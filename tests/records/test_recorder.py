from __future__ import annotations

import os
import queue as queues
import shutil
from pathlib import Path
from typing import Any

from gridbot.records import codec
from gridbot.records.journal_reader import JournalReader
from gridbot.records.record_types import ExecutionRecord
from gridbot.records.recorder import Recorder
from gridbot.segment_file import SegmentDisk
from tests.store.kit import execution, make_recorder, ticker


class ListQueue:
    """A bounded queue that keeps what is put."""

    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self.batches: list[Any] = []

    def put_nowait(self, batch: Any) -> None:
        if len(self.batches) >= self.size:
            raise queues.Full
        self.batches.append(batch)


def journaled(recorder: Recorder) -> list[int]:
    return [header.seq for header, _ in JournalReader(recorder.journal.directory).read_from(1)]


def test_nothing_is_written_before_the_flush_and_everything_after(tmp_path: Path) -> None:
    queue = ListQueue()
    recorder = make_recorder(tmp_path, queue=queue)
    assert [recorder.record(execution(n)) for n in (1, 2, 3)] == [1, 2, 3]
    assert journaled(recorder) == []
    assert queue.batches == []
    recorder.flush()
    recorder.flush()
    assert journaled(recorder) == [1, 2, 3]
    ((first, last, segment, offset, frames),) = queue.batches
    assert (first, last) == (1, 3)
    path = recorder.journal.directory / f"{segment:020d}.journal"
    assert path.read_bytes()[:offset] == frames
    recorder.close()
    recorder.close()


def test_what_was_put_off_follows_the_request_and_is_dated_when_it_was_put_off(tmp_path: Path) -> None:
    times = iter(range(100, 200))
    queue = ListQueue()
    recorder = make_recorder(tmp_path, queue=queue, clock_us=times.__next__)
    recorder.record_later(lambda: ticker(1))
    recorder.record(execution(2))
    recorder.write_ahead()
    assert [record for _, record in recorder.replay()] == [execution(2)]
    recorder.record(execution(3))
    assert recorder.write()
    dated = [(header.seq, header.local_ts, record) for header, record in recorder.replay()]
    assert [(seq, record) for seq, _, record in dated] == [(1, execution(2)), (2, execution(3)), (3, ticker(1))]
    assert dated[2][1] < dated[0][1] < dated[1][1]
    recorder.record_later(lambda: ticker(4))
    recorder.close()
    assert journaled(recorder) == [1, 2, 3, 4]
    ((first, last, *_),) = queue.batches
    assert (first, last) == (1, 4)


def test_what_was_written_before_the_flush_goes_to_the_queue_as_one_batch(tmp_path: Path) -> None:
    queue = ListQueue()
    recorder = make_recorder(tmp_path, queue=queue)
    for number in (1, 2, 3):
        recorder.record(execution(number))
        assert recorder.write()
        assert journaled(recorder) == list(range(1, number + 1))
    assert queue.batches == []
    recorder.flush()
    ((first, last, _, offset, frames),) = queue.batches
    assert (first, last, offset) == (1, 3, len(frames))
    assert not recorder.write()
    recorder.close()


def test_replay_gives_the_records_of_earlier_runs(tmp_path: Path) -> None:
    with_clock = make_recorder(tmp_path, clock_us=lambda: 77)
    with_clock.record(execution(1))
    with_clock.record(ticker(2))
    with_clock.close()
    recorder = make_recorder(tmp_path)
    replayed = list(recorder.replay(0))
    assert [record for _, record in replayed] == [execution(1), ticker(2)]
    assert replayed[0][0].local_ts == 77
    assert [header.seq for header, _ in recorder.replay(1)] == [2]
    assert recorder.record(execution(3)) == 3
    recorder.close()


def test_a_full_queue_is_counted_and_loses_nothing_of_the_journal(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, queue=ListQueue(size=2))
    for number in range(1, 6):
        recorder.record(execution(number))
        recorder.flush()
    assert recorder.stats.queue_dropped == 3
    assert journaled(recorder) == [1, 2, 3, 4, 5]
    recorder.close()


def test_values_that_json_refuses_do_not_stop_trading(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    assert recorder.record(execution(1, order_id="bad \ud800 text", exchange_ts=2**70)) == 1
    assert recorder.record(execution(2)) == 2
    recorder.flush()
    (_, record), _ = recorder.replay()
    assert isinstance(record, ExecutionRecord)
    assert record.order_id == "bad \\ud800 text"
    recorder.close()


def test_acknowledged_segments_go_and_kept_ones_stay(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, segment_bytes=1500)
    for number in range(1, 31):
        recorder.record(execution(number))
        recorder.flush()
    recorder.keep_above(12)
    recorder.ack(25)
    assert recorder.acked_seq == 25
    assert [header.seq for header, _ in recorder.replay(12)] == list(range(13, 31))
    assert journaled(recorder)[0] > 1
    recorder.keep_above(None)
    recorder.ack(26)
    assert journaled(recorder)[0] > 13
    recorder.close()
    keeper = make_recorder(tmp_path, account="bob", segment_bytes=1500, keep_journal=True)
    for number in range(1, 11):
        keeper.record(execution(number))
        keeper.flush()
    keeper.ack(10)
    assert journaled(keeper) == list(range(1, 11))
    keeper.close()


class FullDisk:
    """Stands between a journal and `os.write`: room for so many bytes, then ENOSPC."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, fd: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        written = os.write(fd, data[: self.room])
        self.room -= written
        return written


def test_a_full_disk_waits_in_memory_and_catches_up(tmp_path: Path) -> None:
    queue = ListQueue()
    disk = FullDisk(room=0)
    recorder = make_recorder(tmp_path, queue=queue, disk=SegmentDisk(write=disk.write))
    disk.room = len(codec.encode("alice", recorder.run_id, 1, 10**15, execution(1))) + 100
    for number in range(1, 11):
        assert recorder.record(execution(number)) == number
        recorder.flush()
    stats = recorder.stats
    assert "No space left" in (stats.journal_error or "")
    assert stats.written_seq == 1
    assert stats.last_seq == 10
    assert [batch[:2] for batch in queue.batches] == [(1, 1)]  # what no journal holds goes nowhere
    disk.room = 10**9
    recorder.flush()
    assert recorder.stats.journal_error is None
    assert recorder.stats.backlog_bytes == 0
    assert journaled(recorder) == list(range(1, 11))
    recorder.record(execution(11))
    recorder.flush()
    assert [batch[:2] for batch in queue.batches] == [(1, 1), (11, 11)]
    recorder.close()


def test_memory_is_bounded_while_the_disk_is_full(tmp_path: Path) -> None:
    disk = FullDisk(room=0)
    recorder = make_recorder(tmp_path, memory_limit=20_000, disk=SegmentDisk(write=disk.write))
    kept = [seq for n in range(300) if (seq := recorder.record(ticker(n) if n % 2 else execution(n)))]
    recorder.flush()
    for number in range(300):
        assert recorder.record(ticker(number)) == 0
        recorder.flush()
    assert recorder.stats.backlog_bytes < 41_000
    assert recorder.stats.records_refused > 300
    disk.room = 10**9
    recorder.flush()
    assert journaled(recorder) == kept == list(range(1, len(kept) + 1))  # no number was spent on what was given up
    tickers = sum(type(record).__name__ == "TickerRecord" for _, record in recorder.replay())
    assert tickers * 2 < len(kept)
    assert recorder.record(ticker(1)) == len(kept) + 1
    recorder.close()


def test_a_removed_journal_is_told_with_what_is_lost(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, segment_bytes=2000)
    for number in range(1, 41):
        recorder.record(execution(number))
        recorder.flush()
    assert recorder.keep() is None
    recorder.ack(10)
    shutil.rmtree(tmp_path / "journal")
    removed = recorder.keep()
    assert removed is not None
    first = journaled(recorder)[0]
    assert removed.lost == first - 1 - 10
    assert f"{removed.lost} records before that had not reached the database and are lost" in removed.text
    assert f"gridbot-supervisor ledger check --exchange --data-dir {tmp_path}" in removed.text
    recorder.ack(40)
    shutil.rmtree(tmp_path / "journal")
    removed = recorder.keep()
    assert removed is not None
    assert removed.lost == 0
    assert removed.text.endswith(f"with all records from number {first} on; no record is lost")
    recorder.close()


def test_a_removed_journal_that_cannot_be_made_again_is_an_error_of_the_journal_until_it_can(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    recorder.record(execution(1))
    recorder.flush()
    shutil.rmtree(tmp_path / "journal")
    (tmp_path / "journal").write_text("in the way")
    assert recorder.keep() is None
    assert "its files were removed and cannot be made again" in str(recorder.stats.journal_error)
    (tmp_path / "journal").unlink()
    assert recorder.keep() is not None
    assert recorder.stats.journal_error is None
    assert journaled(recorder) == [1]
    recorder.close()
