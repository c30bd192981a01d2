"""How records are collected for a transaction: bounded, each in its place, whatever they look like."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from gridbot.frames import frame, split
from gridbot.lease.record_floor import first_number
from gridbot.records import codec
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_queue import record_queue
from gridbot.store import commit
from gridbot.store.ingest import AccountSource
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import execution, flush_all, make_recorder, record_executions, rows, sequences, ticker


def test_a_transaction_has_a_limit_in_bytes(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, segment_bytes=20_000)
    for number in range(1, 401):
        recorder.record(execution(number))
        recorder.flush()
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",), max_bytes=50_000), {})
    assert writer.flush()
    assert 50_000 / 600 < writer.state.committed["alice"] < 200
    flush_all(writer)
    writer.close()
    assert sequences(tmp_path) == {"alice": list(range(1, 401))}


def test_kinds_and_runs_may_alternate(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 301):
        recorder.run_id = f'run "{number % 100},"seq":7'
        recorder.record(execution(number) if number % 3 else ticker(number))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.close()
    assert sequences(tmp_path)["alice"] == [number for number in range(1, 301) if number % 3]
    assert sequences(tmp_path, "tickers")["alice"] == list(range(3, 301, 3))
    assert rows(tmp_path, "SELECT run_id FROM executions WHERE seq = 250") == [('run "50,"seq":7',)]


KNOWN = 5_000
"""Records of a segment, more than one read of the journal takes."""


@pytest.mark.parametrize("max_bytes", [1_000_000, 10**9])
def test_what_is_known_already_of_a_segment_does_not_make_the_rest_missing(tmp_path: Path, max_bytes: int) -> None:
    """A writer that begins anew reads a segment from its first record, while batches wait in the queue.

    With fifty accounts the share of one was used up by what the database had, and what it had not was held for lost:
    after one kill -9 of the writer, some 80 records of each account were in no table.
    """
    sender, receiver = record_queue()
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, KNOWN + 51))
    recorder.queue = sender
    record_executions(recorder, range(KNOWN + 51, KNOWN + 61))
    recorder.close()
    source = AccountSource("alice", journal_directory(tmp_path, "alice"), receiver)
    source.reset(KNOWN)
    found: list[bytes] = []
    while source.next_seq <= KNOWN + 60:
        taken = source.take(1000, max_bytes)
        assert taken.gaps == []
        found += taken.bodies.get("executions", [])
    assert [codec.peek(body)[1] for body in found] == list(range(KNOWN + 1, KNOWN + 61))
    sender.close()
    receiver.close()


def test_a_writer_that_has_read_only_what_it_knows_says_that_there_is_more(tmp_path: Path) -> None:
    """Else a rebuild would end there, before the first record that the salvaged rows do not have."""
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, KNOWN + 1))
    first = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(first)
    first.close()
    record_executions(recorder, [KNOWN + 1])
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",), max_bytes=1_000_000), {})
    flush_all(writer)
    writer.close()
    assert sequences(tmp_path) == {"alice": list(range(1, KNOWN + 2))}


def test_a_want_of_memory_makes_no_record_a_misfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One record fits no row, so each is tried alone: for want of memory the good ones were put aside with it."""
    recorder = make_recorder(tmp_path)
    for number in (1, 2, 3):
        recorder.record(execution(number, price=Decimal("1e30") if number == 2 else Decimal(1)))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    with monkeypatch.context() as patched:
        patched.setattr(commit, "_SCRATCH", {"threads": 1, "memory_limit": "300kB"})
        with pytest.raises(duckdb.OutOfMemoryException):
            writer.flush()
    flush_all(writer)
    writer.close()
    assert sequences(tmp_path)["alice"] == [1, 3]
    assert rows(tmp_path, "SELECT seq FROM ingest_rejects") == [(2,)]


def test_the_numbers_of_another_epoch_are_no_loss_and_what_is_missing_within_one_is(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for floor in (1, 2):
        recorder.go_on_above(first_number(floor))
        recorder.record(execution(floor))
    recorder.go_on_above(first_number(2) + 5)
    recorder.record(execution(3))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.close()
    first, second = first_number(1) + 1, first_number(2) + 1
    assert sequences(tmp_path)["alice"] == [first, second, second + 5]
    assert rows(tmp_path, "SELECT from_seq, to_seq FROM ingest_gaps") == [(second + 1, second + 4)]


def blocked(data_dir: Path, writes: int, each: int = 40) -> int:
    """Records in blocks, but for the first write; how many there are. Every seventh is a ticker."""
    recorder = make_recorder(data_dir)
    for write in range(writes):
        for number in range(write * each + 1, (write + 1) * each + 1):
            recorder.record(ticker(number) if number % 7 == 0 else execution(number))
        recorder.write()
    recorder.close()
    return writes * each


@pytest.mark.parametrize("known", [0, 55, 80, 81, 100])
def test_blocks_are_taken_whole_or_from_where_the_database_ends(known: int, tmp_path: Path) -> None:
    """40 are frames of JSON, then come blocks of 40."""
    last = blocked(tmp_path, 3)
    source = AccountSource("alice", journal_directory(tmp_path, "alice"))
    source.reset(known)
    taken = source.take(1000, 10**9)
    rows = commit.Rows(taken.bodies, parts=taken.parts)
    assert (taken.count, rows.count, taken.last_seq) == (last - known, last - known, last)
    assert bool(taken.parts) == (known <= 80)
    rows.take_apart()
    numbers = [codec.seq_of(body) for bodies in rows.tables.values() for body in bodies]
    assert sorted(numbers) == list(range(known + 1, last + 1))
    assert not taken.gaps
    assert not taken.rejects


def test_of_a_block_that_cannot_be_read_the_loss_is_told(tmp_path: Path) -> None:
    last = blocked(tmp_path, 3)
    (path,) = journal_directory(tmp_path, "alice").glob("*.journal")
    bodies, _, _ = split(path.read_bytes(), complete=True)
    bodies[40] = bodies[40].replace(b'"form":1', b'"form":0')
    path.write_bytes(b"".join(map(frame, bodies)))
    source = AccountSource("alice", journal_directory(tmp_path, "alice"))
    source.reset(0)
    taken = source.take(1000, 10**9)
    assert [gap[:2] for gap in taken.gaps] == [(41, 80)]
    assert [(seq, kind) for seq, kind, *_ in taken.rejects] == [(80, "block")]
    assert taken.last_seq == last
    path.write_bytes(path.read_bytes()[: -len(frame(bodies[-1]))])
    source = AccountSource("alice", journal_directory(tmp_path, "alice"))
    source.reset(0)
    assert source.take(1000, 10**9).last_seq == 80


@pytest.mark.parametrize("lands", [True, False])
def test_blocks_are_in_the_database_each_record_once(lands: bool, tmp_path: Path) -> None:
    last = blocked(tmp_path, 20 if lands else 100)
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.close()
    found = sequences(tmp_path)["alice"] + sequences(tmp_path, "tickers")["alice"]
    assert sorted(found) == list(range(1, last + 1))
    [(count, total)] = rows(tmp_path, "SELECT count(*), CAST(sum(qty) AS VARCHAR) FROM executions")
    assert count == last - last // 7
    assert Decimal(total) == sum(Decimal(n) / 1000 for n in range(1, last + 1) if n % 7)
