"""Real writer and recording processes, killed at bad moments: every record is stored once and in order."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.lock_file import take_lock
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_queue import record_queue
from gridbot.store.database import Database
from gridbot.store.grid_check import differences
from gridbot.store.reading import database_path
from supervisor.store import writer_process
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_process import READERS_S, rest_of
from tests.fork_server import CONTEXT
from tests.store.kit import (
    execution,
    flush_all,
    hold,
    make_recorder,
    record_executions,
    record_forever,
    rows,
    sequences,
    start_writer,
    ticker,
    until,
    writing,
)


def test_a_writer_that_is_always_behind_leaves_readers_their_turn() -> None:
    assert rest_of(0.5, 0.05) == pytest.approx(0.45)
    assert rest_of(0.5, 0.45) == rest_of(0.5, 3.0) == READERS_S
    assert rest_of(0.05, 3.0) == 0.05, "no longer than between two flushes"


def test_a_health_report_is_no_reason_for_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It doubled what the writer costs at rest: 1.7 commits a second instead of 1.2."""
    monkeypatch.setattr(writer_process, "HEALTH_S", 0.01)
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 4))
    writer = Writer(WriterSpec(tmp_path, ("alice",), flush_interval=3600.0), {})
    reports, health = multiprocessing.Pipe(duplex=False)
    life, supervisor = multiprocessing.Pipe(duplex=False)
    serving = threading.Thread(target=writer_process._serve, args=(writer, writer_process._StopFlag(), health, life))
    serving.start()

    def told() -> Any:
        assert reports.poll(60.0), "no report"
        return reports.recv()

    try:
        until(lambda: told().get("committed") == {"alice": 3}, "the first flush")
        record_executions(recorder, range(4, 6))
        assert [told()["flushes"] for _ in range(5)] == [1] * 5
    finally:
        supervisor.close()
        serving.join()
        writer.close()
    recorder.close()
    assert sequences(tmp_path)["alice"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("there", ["nothing", "a file", "a link to a disk that is not mounted"])
def test_workers_wait_for_what_a_file_holds_and_not_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """A fleet's first start waited half a second of a core for tables that had nothing in them."""
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    if there == "a file":
        writer.flush()
    elif there != "nothing":
        writer.database.path.symlink_to(tmp_path / "disk" / "gridbot.duckdb")
    reports, health = multiprocessing.Pipe(duplex=False)
    life, supervisor = multiprocessing.Pipe(duplex=False)
    told: list[str] = []

    def flush(beat: writer_process.Beat) -> float:
        told.extend(reports.recv()["type"] for _ in range(10) if reports.poll())
        supervisor.close()
        return 0.0

    monkeypatch.setattr(writer_process.Beat, "flush", flush)
    writer_process._serve(writer, writer_process._StopFlag(), health, life)
    writer.close()
    assert told == (["holds_nothing"] if there == "nothing" else []), "what it says before its first flush"
    assert reports.recv()["type"] == "ready"


def test_records_come_by_queue_and_by_journal_and_are_there_once(tmp_path: Path) -> None:
    queue, receiver = record_queue()
    with writing(tmp_path, ("alice", "bob"), {"alice": receiver}) as writer:
        alice, bob = make_recorder(tmp_path, "alice", queue), make_recorder(tmp_path, "bob")
        for number in range(1, 301):
            for recorder in (alice, bob):
                recorder.record(execution(number) if number % 3 else ticker(number))
                recorder.flush()
        writer.wait_committed("alice", 300)
        health = writer.wait_committed("bob", 300)
        assert health["rows"] == 600
        assert health["lag_s"] == 0
        assert health["held_by"] is None
        assert health["gaps"] == health["rejects"] == 0
        alice.close()
        bob.close()
        assert writer.stop() == 0
    expected = [number for number in range(1, 301) if number % 3]
    assert sequences(tmp_path) == {"alice": expected, "bob": expected}
    assert rows(tmp_path, "SELECT account, seq FROM ingest_offsets ORDER BY 1") == [("alice", 300), ("bob", 300)]
    # Money and times come out as they went in.
    stored = rows(tmp_path, "SELECT price, qty, value, fee, exchange_ts FROM fills WHERE account = 'bob' AND seq = 7")
    assert stored[0][:4] == (Decimal("104233.1"), Decimal("0.007"), Decimal("729.6317"), Decimal("0.0208"))
    assert str(stored[0][4]) == "2023-11-14 22:13:20.007000"
    assert rows(tmp_path, "SELECT count(*) FROM tickers") == [(200,)]


def test_a_queue_that_overflowed_is_made_up_from_the_journal(tmp_path: Path) -> None:
    queue, receiver = record_queue(buffer_bytes=1)
    recorder = make_recorder(tmp_path, queue=queue)
    for number in range(1, 101):
        recorder.record(execution(number))
        recorder.flush()
    assert recorder.stats.queue_dropped > 90
    with writing(tmp_path, queues={"alice": receiver}) as writer:
        health = writer.wait_committed("alice", 100)
        assert health["from_journal"] > 90
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 101))


def test_a_batch_that_repeats_or_overlaps_adds_nothing(tmp_path: Path) -> None:
    queue, receiver = record_queue()
    recorder = make_recorder(tmp_path, queue=queue)
    with writing(tmp_path, queues={"alice": receiver}) as writer:
        record_executions(recorder, range(1, 11))
        path = next(recorder.journal.directory.glob("*.journal"))
        queue.put_nowait((1, 10, 1, path.stat().st_size, path.read_bytes()))
        recorder.record(execution(11))
        recorder.flush()
        queue.put_nowait((5, 11, 1, path.stat().st_size, path.read_bytes()))
        recorder.record(execution(12))
        recorder.flush()
        writer.wait_committed("alice", 12)
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 13))


KILLS = int(os.environ.get("GRIDBOT_TEST_KILLS", "8"))
"""Kills per run; 200 and more are for a quiet machine."""


SEED = int(os.environ.get("GRIDBOT_TEST_SEED", "1"))


def test_kill_9_of_recorders_and_writer_at_random_moments(tmp_path: Path) -> None:
    """All go on with the queues of those who died, as the supervisor has it; nobody is restarted for another.

    Bob's journal has blocks, and stays: the writer compacts it while both are killed.
    """
    chance = random.Random(SEED)
    accounts = ("alice", "bob")
    noted = {account: CONTEXT.Value("q", 0, lock=False) for account in accounts}  # who is killed frees no lock
    queues = {account: record_queue() for account in accounts}
    receivers = {account: receiver for account, (_, receiver) in queues.items()}
    recording: dict[str, tuple[Any, Any]] = {}

    def start_recorder(account: str) -> None:
        theirs, ours = CONTEXT.Pipe(duplex=False)
        each, pause = (40, 0.02) if account == "bob" else (3, 0.001)
        args = (tmp_path, account, queues[account][0], pause, theirs, noted[account], each)
        process = CONTEXT.Process(target=record_forever, args=args)
        process.start()
        recording[account] = (process, ours)

    writer = None
    try:
        for account in accounts:
            start_recorder(account)
        writer = start_writer(tmp_path, accounts, receivers, compact_s=0.1, compact_journal_s=0.2)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.35))  # not waiting for anything: the moment is the test's input
            for account, seq in writer.poll().get("committed", {}).items():
                recording[account][1].send(seq)
            victims = chance.choice([["writer"], ["alice"], ["bob"], ["writer", "alice"]])
            for victim in set(victims) & set(accounts):
                recording[victim][0].kill()
                recording[victim][0].join()
                start_recorder(victim)
            if "writer" in victims:
                writer.kill()
                writer = start_writer(tmp_path, accounts, receivers, compact_s=0.1, compact_journal_s=0.2)
        until(lambda: all(note.value > 0 for note in noted.values()), "records of both accounts")
    finally:
        for process, _ in recording.values():
            process.kill()
            process.join()
        if writer:
            writer.kill()
    with writing(tmp_path, accounts, receivers) as last:
        for account in accounts:
            last.wait_committed(account, noted[account].value)
        assert last.stop() == 0
    stored = sequences(tmp_path)
    for account in accounts:
        in_order = sorted(stored[account])  # rows of one commit come in any order
        assert in_order == list(range(1, len(in_order) + 1))
        assert len(stored[account]) >= noted[account].value > 0
    counted = rows(tmp_path, "SELECT account, fills, realised_pnl FROM pnl_by_strategy ORDER BY 1")
    assert counted == [(account, len(stored[account]), len(stored[account]) * Decimal("0.1")) for account in accounts]
    mismatched = "SELECT count(*) FROM executions WHERE exec_id <> 'e-' || seq"
    assert rows(tmp_path, mismatched) == [(0,)]
    assert rows(tmp_path, "SELECT * FROM ingest_gaps") == []
    assert differences(lambda statement: rows(tmp_path, statement)) == []
    assert rows(tmp_path, "SELECT count(*) > 0 FROM grid_trades") == [(True,)]
    kept = [header.seq for header, _ in JournalReader(journal_directory(tmp_path, "bob")).read_from(1)]
    assert kept == list(range(1, kept[-1] + 1))
    assert kept[-1] >= noted["bob"].value


def test_a_reader_that_never_closes_makes_the_file_lag_and_nothing_else(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    with writing(tmp_path) as writer:
        recorder.record(execution(1))
        recorder.flush()
        writer.wait_committed("alice", 1)
        opened = Path(f"/proc/{writer.process.pid}/fd").iterdir()
        assert database_path(tmp_path) in {Path(os.path.realpath(one)) for one in opened}  # attached, without its lock
        reader = hold(tmp_path, "ro")
        try:
            for number in range(2, 52):
                recorder.record(execution(number))
                recorder.flush()
            health = writer.wait_health(lambda m: m.get("held_by") and m["lag_s"] > 0.3, "the holder in the health")
            assert f"(pid {reader.pid})" in health["held_by"]
            assert health["committed"] == {"alice": 1}
        finally:
            reader.kill()
            reader.wait()
        health = writer.wait_committed("alice", 51)
        writer.wait_health(lambda m: m["held_by"] is None and m["lag_s"] == 0, "no lag any more")
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 52))


def test_a_file_that_is_held_at_the_start_keeps_nobody_from_starting(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 11))
    recorder.close()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 10)
    for path in journal_directory(tmp_path, "alice").iterdir():
        path.unlink()
    reader = hold(tmp_path, "ro")
    try:
        with writing(tmp_path) as writer:  # ready, though it cannot write yet
            recorder = make_recorder(tmp_path)
            assert recorder.record(execution(11)) == 11  # the numbers went on above what the file holds
            recorder.close()
            writer.wait_health(lambda m: m.get("held_by"), "the holder")
            reader.kill()
            reader.wait()
            writer.wait_committed("alice", 11)
    finally:
        reader.kill()
        reader.wait()
    assert sequences(tmp_path)["alice"] == list(range(1, 12))


def test_a_busy_account_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    busy, quiet = make_recorder(tmp_path, "alice"), make_recorder(tmp_path, "zoe")
    record_executions(busy, range(1, 8001))
    quiet.record(execution(1))
    busy.close()
    quiet.close()
    writer = Writer(WriterSpec(tmp_path, ("alice", "zoe"), max_rows=4000), {})
    assert writer.flush()
    assert writer.state.committed["zoe"] == 1
    assert (first := writer.state.committed["alice"]) < 4000  # its half of them, and what was read with it
    assert writer.flush()
    assert writer.state.committed["alice"] >= first + 4000  # what the quiet one leaves
    flush_all(writer)
    writer.close()
    assert sequences(tmp_path) == {"alice": list(range(1, 8001)), "zoe": [1]}


def test_sql_while_writing_sees_growing_whole_transactions(tmp_path: Path) -> None:
    noted = CONTEXT.Value("q", 0, lock=False)
    queue, receiver = record_queue()
    acks, _ours = CONTEXT.Pipe(duplex=False)
    with writing(tmp_path, queues={"alice": receiver}) as writer:
        recorder = CONTEXT.Process(target=record_forever, args=(tmp_path, "alice", queue, 0.001, acks, noted))
        recorder.start()
        try:
            seen = 0
            for _ in range(20):
                offset = "(SELECT coalesce(max(seq), 0) FROM ingest_offsets)"
                statement = f"SELECT count(*), coalesce(max(seq), 0), {offset} FROM fills"
                ((count, highest, committed),) = rows(tmp_path, statement)
                assert count == highest == committed >= seen
                seen = count
            writer.wait_committed("alice", seen + 1)
        finally:
            recorder.kill()
            recorder.join()


def test_a_second_writer_is_refused_in_plain_words(tmp_path: Path) -> None:
    with writing(tmp_path) as first:
        second = start_writer(tmp_path)
        assert second.health.poll(20)
        message = second.health.recv()
        second.process.join(20)
        assert message["type"] == "refused"
        assert f"already has a writer, process {first.process.pid}" in message["reason"]
        assert second.process.exitcode == 7
        assert first.process.is_alive()


@pytest.mark.parametrize("how", ["term", "life"])
def test_the_last_flush_comes_before_the_end(tmp_path: Path, how: str) -> None:
    queue, receiver = record_queue()
    recorder = make_recorder(tmp_path, queue=queue)
    with writing(tmp_path, queues={"alice": receiver}, flush_interval=5.0) as writer:
        os.kill(writer.process.pid, signal.SIGINT)  # the terminal's Ctrl-C is the supervisor's business
        record_executions(recorder, range(1, 51))
        recorder.close()
        if how == "term":
            os.kill(writer.process.pid, signal.SIGTERM)
            writer.process.join(20)
            assert writer.process.exitcode == 0
        else:
            assert writer.stop() == 0
    assert sequences(tmp_path)["alice"] == list(range(1, 51))


def test_a_writer_that_is_away_for_long_costs_nobody_memory_and_is_caught_up_with(tmp_path: Path) -> None:
    """It stands still while far more is recorded than its queue takes; nothing waits in the recorder."""
    queue, receiver = record_queue(buffer_bytes=1)
    recorder = make_recorder(tmp_path, queue=queue, segment_bytes=64 * 1024)
    with writing(tmp_path, ("alice",), {"alice": receiver}) as writer:
        recorder.record(execution(1))
        recorder.flush()
        writer.wait_committed("alice", 1)
        os.kill(writer.process.pid, signal.SIGSTOP)
        for number in range(2, 5001):
            recorder.record(execution(number))
            if number % 10 == 0:
                recorder.flush()
        assert recorder.stats.queue_dropped > 0
        assert recorder.stats.backlog_bytes == 0
        assert len(list(recorder.journal.directory.glob("*.journal"))) > 10, "it is all on the disk"
        os.kill(writer.process.pid, signal.SIGCONT)
        health = writer.wait_committed("alice", 5000)
        assert health["from_journal"] > 0
        recorder.ack(5000)
        assert len(list(recorder.journal.directory.glob("*.journal"))) == 1, "and given back when it is stored"
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 5001))


def test_the_engine_is_started_anew_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.store.database.ENGINE_USES", 3)
    uses = []
    database = Database(database_path(tmp_path))
    database.prepare()
    for _ in range(8):
        with database.open() as con:
            con.execute("CREATE TABLE IF NOT EXISTS memory.uses AS SELECT 0 AS n; UPDATE memory.uses SET n = n + 1")
            uses += con.execute("SELECT n FROM memory.uses").fetchone() or ()
    database.close()
    assert uses == [1, 2, 3, 1, 2, 3, 1, 2]


def test_a_writer_whose_lock_another_has_taken_ends_in_plain_words(tmp_path: Path) -> None:
    """Somebody has removed the lock file, and another writer was quicker. It ended with a traceback."""
    with writing(tmp_path) as writer:
        other = take_lock(tmp_path / "lock")
        (tmp_path / "lock").replace(database_path(tmp_path).with_name("gridbot.duckdb.writer"))
        message = writer.wait_health(lambda m: m["type"] == "refused", "the refusal")
        assert f"already has a writer, process {os.getpid()}" in message["reason"]
        writer.process.join(20)
        assert writer.process.exitcode == 7
    os.close(other)
