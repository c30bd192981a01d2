"""Real writer and recording processes, killed at bad moments: every record is stored once and in order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot import codec
from gridbot.codec import Column, ColumnKind
from gridbot.journal_reader import JournalReader, journal_directory
from gridbot.reading import connect, database_path
from supervisor.store import schema
from supervisor.store.database import Database, Rows
from supervisor.store.schema import SCHEMA_VERSION, ensure_schema
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import (
    CONTEXT,
    execution,
    hold,
    make_recorder,
    record_forever,
    rows,
    sequences,
    start_writer,
    ticker,
    until,
    writing,
)


def test_records_come_by_queue_and_by_journal_and_are_there_once(tmp_path: Path) -> None:
    queue = CONTEXT.Queue(1000)
    with writing(tmp_path, ("alice", "bob"), {"alice": queue}) as writer:
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
    queue = CONTEXT.Queue(2)
    recorder = make_recorder(tmp_path, queue=queue)
    for number in range(1, 101):
        recorder.record(execution(number))
        recorder.flush()
    assert recorder.stats.queue_dropped > 90
    with writing(tmp_path, queues={"alice": queue}) as writer:
        health = writer.wait_committed("alice", 100)
        assert health["from_journal"] > 90
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 101))


def test_a_batch_that_repeats_or_overlaps_adds_nothing(tmp_path: Path) -> None:
    queue = CONTEXT.Queue(100)
    recorder = make_recorder(tmp_path, queue=queue)
    with writing(tmp_path, queues={"alice": queue}) as writer:
        for number in range(1, 11):
            recorder.record(execution(number))
        recorder.flush()
        path = next(recorder.journal.directory.glob("*.journal"))
        queue.put((1, 10, 1, path.stat().st_size, path.read_bytes()))
        recorder.record(execution(11))
        recorder.flush()
        queue.put((5, 11, 1, path.stat().st_size, path.read_bytes()))
        recorder.record(execution(12))
        recorder.flush()
        writer.wait_committed("alice", 12)
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 13))


KILLS = int(os.environ.get("GRIDBOT_TEST_KILLS", "8"))
"""Kills per run; 200 and more are for a quiet machine."""


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_of_recorders_and_writer_at_random_moments(tmp_path: Path, seed: int) -> None:
    """Queues follow the supervisor's rule: thrown away with whoever died; until then the journal serves."""
    chance = random.Random(seed)
    accounts = ("alice", "bob")
    noted = {account: CONTEXT.Value("q", 0) for account in accounts}
    queues: dict[str, Any] = {}
    alive: list[Any] = []  # a queue must outlive the start of the processes it was given to
    recording: dict[str, tuple[Any, Any]] = {}

    def start_recorder(account: str) -> None:
        queues[account] = CONTEXT.Queue(50)
        alive.append(queues[account])
        theirs, ours = CONTEXT.Pipe(duplex=False)
        args = (tmp_path, account, queues[account], 0.001, theirs, noted[account])
        process = CONTEXT.Process(target=record_forever, args=args)
        process.start()
        recording[account] = (process, ours)

    writer = None
    try:
        for account in accounts:
            start_recorder(account)
        writer = start_writer(tmp_path, accounts, queues)
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.35))  # not waiting for anything: the moment is the test's input
            for account, seq in writer.poll().get("committed", {}).items():
                recording[account][1].send(seq)
            victims = chance.choice([["writer"], ["alice"], ["bob"], ["writer", "alice"]])
            if "writer" in victims:
                writer.kill()
                queues.clear()
            for victim in set(victims) & set(accounts):
                recording[victim][0].kill()
                recording[victim][0].join()
                start_recorder(victim)
            if "writer" not in victims:
                if kill % 2:
                    continue
                writer.wait_health(lambda message: "type" in message, "the writer")
                assert writer.stop() == 0  # in order, to hand it the new queue
            writer = start_writer(tmp_path, accounts, queues)
        until(lambda: all(note.value > 0 for note in noted.values()), "records of both accounts")
    finally:
        for process, _ in recording.values():
            process.kill()
            process.join()
        if writer:
            writer.kill()
    with writing(tmp_path, accounts) as last:
        for account in accounts:
            last.wait_committed(account, noted[account].value)
        assert last.stop() == 0
    stored = sequences(tmp_path)
    for account in accounts:
        assert stored[account] == list(range(1, len(stored[account]) + 1))
        assert len(stored[account]) >= noted[account].value > 0
    counted = rows(tmp_path, "SELECT account, fills, realised_pnl FROM pnl_by_strategy ORDER BY 1")
    assert counted == [(account, len(stored[account]), len(stored[account]) * Decimal("0.1")) for account in accounts]
    mismatched = "SELECT count(*) FROM executions WHERE exec_id <> 'e-' || seq"
    assert rows(tmp_path, mismatched) == [(0,)]
    assert rows(tmp_path, "SELECT * FROM ingest_gaps") == []


def test_a_worker_killed_while_it_writes_to_the_queue_silences_only_that_queue(tmp_path: Path) -> None:
    stuck: Any = CONTEXT.Queue(10)
    fine = CONTEXT.Queue(10)
    os.write(stuck._writer.fileno(), b"\x00\x00\xff\xff half a message")  # what a killed feeder thread leaves behind
    with writing(tmp_path, ("alice", "bob"), {"alice": stuck, "bob": fine}) as writer:
        alice, bob = make_recorder(tmp_path, "alice"), make_recorder(tmp_path, "bob", fine)
        for number in range(1, 21):
            for recorder in (alice, bob):
                recorder.record(execution(number))
                recorder.flush()
        writer.wait_committed("alice", 20)
        writer.wait_committed("bob", 20)
        assert writer.stop() == 0
        alice.close()
        bob.close()
    assert sequences(tmp_path) == {"alice": list(range(1, 21)), "bob": list(range(1, 21))}


def test_a_reader_that_never_closes_makes_the_file_lag_and_nothing_else(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    with writing(tmp_path) as writer:
        recorder.record(execution(1))
        recorder.flush()
        writer.wait_committed("alice", 1)
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
    for number in range(1, 11):
        recorder.record(execution(number))
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
    for number in range(1, 4001):
        busy.record(execution(number))
    quiet.record(execution(1))
    busy.close()
    quiet.close()
    writer = Writer(WriterSpec(tmp_path, ("alice", "zoe"), max_rows=200), {})
    assert writer.flush()
    assert writer.state.committed["zoe"] == 1
    assert writer.state.committed["alice"] < 4001
    while writer.flush():
        pass
    writer.close()
    assert sequences(tmp_path) == {"alice": list(range(1, 4001)), "zoe": [1]}


def test_sql_while_writing_sees_growing_whole_transactions(tmp_path: Path) -> None:
    noted = CONTEXT.Value("q", 0)
    queue = CONTEXT.Queue(1000)
    acks, _ours = CONTEXT.Pipe(duplex=False)
    with writing(tmp_path, queues={"alice": queue}) as writer:
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
    queue = CONTEXT.Queue(1000)
    recorder = make_recorder(tmp_path, queue=queue)
    with writing(tmp_path, queues={"alice": queue}, flush_interval=5.0) as writer:
        os.kill(writer.process.pid, signal.SIGINT)  # the terminal's Ctrl-C is the supervisor's business
        for number in range(1, 51):
            recorder.record(execution(number))
        recorder.flush()
        recorder.close()
        if how == "term":
            os.kill(writer.process.pid, signal.SIGTERM)
            writer.process.join(20)
            assert writer.process.exitcode == 0
        else:
            assert writer.stop() == 0
    assert sequences(tmp_path)["alice"] == list(range(1, 51))


def test_a_damaged_write_ahead_log_is_set_aside_and_its_rows_come_again(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 31):
        recorder.record(execution(number))
    recorder.flush()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 30)
    _leave_a_log(tmp_path)
    wal = database_path(tmp_path).with_name("gridbot.duckdb.wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wal.write_bytes(content)
    for number in range(31, 61):
        recorder.record(execution(number))
    recorder.flush()
    with writing(tmp_path) as writer:
        health = writer.wait_committed("alice", 60)
        assert len(health["quarantined"]) == 1
        assert Path(health["quarantined"][0]).read_bytes() == bytes(content)
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 61))


def _leave_a_log(data_dir: Path) -> None:
    """Commit rows 31..40 with their offset and die before the checkpoint, as a killed writer may."""
    code = f"""
import os, duckdb
con = duckdb.connect({str(database_path(data_dir))!r})
con.execute("BEGIN")
con.execute("INSERT INTO executions SELECT * REPLACE (seq + 10 AS seq) FROM executions WHERE seq > 20")
con.execute("UPDATE ingest_offsets SET seq = 40")
con.execute("COMMIT")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert database_path(data_dir).with_name("gridbot.duckdb.wal").exists()


def test_an_intact_left_over_log_counts(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 41):
        recorder.record(execution(number))
    recorder.flush()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 40)
    with duckdb.connect(str(database_path(tmp_path))) as con:
        con.execute("DELETE FROM executions WHERE seq > 30")
        con.execute("UPDATE ingest_offsets SET seq = 30")
    _leave_a_log(tmp_path)
    recorder.record(execution(41))
    recorder.close()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 41)
    assert sequences(tmp_path)["alice"] == list(range(1, 42))


def test_a_flipped_byte_in_the_journal_costs_that_record_and_is_noted(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 11):
        recorder.record(execution(number))
    recorder.close()
    path = next(journal_directory(tmp_path, "alice").glob("*.journal"))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"e-5", b"e_5"))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 10)
    assert sequences(tmp_path)["alice"] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    ((account, first, last, reason),) = rows(tmp_path, "SELECT account, from_seq, to_seq, reason FROM ingest_gaps")
    assert (account, first, last) == ("alice", 5, 5)
    assert "no valid records" in reason
    assert path.name in reason


def test_a_record_that_fits_no_column_is_kept_apart(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 6):
        recorder.record(execution(number, price=Decimal("1e30") if number == 3 else Decimal(1)))
    unknown = codec.encode("alice", "r", 6, 1, execution(6)).replace(b'"executions"', b'"dividendos"')
    body = unknown[16:-1]
    frame = b"%06x %08x %b\n" % (len(body), zlib.crc32(body, len(body)), body)
    recorder.flush()
    recorder.journal.append(frame, 6)
    recorder.close()
    with writing(tmp_path) as writer:
        health = writer.wait_committed("alice", 6)
        assert health["rejects"] == 2
    assert sequences(tmp_path)["alice"] == [1, 2, 4, 5]
    rejects = rows(tmp_path, "SELECT seq, kind, error, body FROM ingest_rejects ORDER BY seq")
    assert [(seq, kind) for seq, kind, _, _ in rejects] == [(3, "executions"), (6, "dividendos")]
    assert "1E+30" in rejects[0][3]


def test_a_new_database_takes_what_the_journals_still_have(tmp_path: Path) -> None:
    """The file was moved away: everything kept comes again, what was removed is noted."""
    recorder = make_recorder(tmp_path, segment_bytes=2000)
    for number in range(1, 41):
        recorder.record(execution(number))
        recorder.flush()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 40)
    recorder.ack(20)
    database_path(tmp_path).unlink()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 40)
    recorder.close()
    stored = sequences(tmp_path)["alice"]
    assert stored == list(range(stored[0], 41))
    assert 1 < stored[0] <= 21
    assert rows(tmp_path, "SELECT from_seq, to_seq FROM ingest_gaps") == [(1, stored[0] - 1)]


def test_journals_that_were_deleted_go_on_above_the_database(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 11):
        recorder.record(execution(number))
    recorder.close()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 10)
    for path in journal_directory(tmp_path, "alice").iterdir():
        path.unlink()
    with writing(tmp_path) as writer:
        recorder = make_recorder(tmp_path)
        assert recorder.record(execution(11)) == 11
        recorder.close()
        writer.wait_committed("alice", 11)
    assert sequences(tmp_path)["alice"] == list(range(1, 12))


def test_the_file_is_in_the_older_format_and_documents_itself(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        assert writer.stop() == 0
    tags = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'gridbot'"
    assert rows(tmp_path, tags)[0][0].startswith("v1.4")
    undocumented = """
        SELECT table_name, column_name FROM duckdb_columns()
        WHERE NOT internal AND comment IS NULL AND table_name IN (SELECT unnest(?))"""
    with connect(tmp_path) as con:
        assert con.execute(undocumented, [list(codec.RECORD_TYPES)]).fetchall() == []
        views = "SELECT count(*) FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
        assert con.execute(views).fetchone() == (0,)
        floats = """
            SELECT count(*) FROM duckdb_columns()
            WHERE data_type IN ('DOUBLE', 'FLOAT') AND table_name IN (SELECT table_name FROM duckdb_tables())"""
        assert con.execute(floats).fetchone() == (0,)


def test_a_file_of_a_newer_gridbot_is_refused_in_plain_words(tmp_path: Path) -> None:
    Database(database_path(tmp_path)).prepare()
    with duckdb.connect(str(database_path(tmp_path))) as con:
        con.execute("INSERT INTO schema_versions VALUES (?, 'x', '9.0', now()::TIMESTAMP)", [SCHEMA_VERSION + 1])
    writer = start_writer(tmp_path)
    assert writer.health.poll(20)
    message = writer.health.recv()
    writer.process.join(20)
    assert message["type"] == "refused"
    assert "use the newer gridbot" in message["reason"]
    assert writer.process.exitcode == 7


def test_a_new_field_becomes_a_new_column_of_an_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(database_path(tmp_path))
    database.prepare()
    more = Column("mood", ColumnKind.TEXT, True, "How it felt.", None)
    known = schema.table_columns
    monkeypatch.setattr(schema, "table_columns", lambda table: (*known(table), more))
    with database.open() as con:
        ensure_schema(con)
        assert con.execute("SELECT mood FROM tickers").fetchall() == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    database_path(tmp_path).write_bytes(b"this is a letter, not a database" * 1000)
    writer = start_writer(tmp_path)
    assert writer.health.poll(20)
    message = writer.health.recv()
    writer.process.join(20)
    assert "gridbot-supervisor rebuild" in message["reason"]
    assert writer.process.exitcode == 7
    assert database_path(tmp_path).read_bytes().startswith(b"this is a letter")


def test_a_commit_whose_answer_got_lost_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = make_recorder(tmp_path)
    for number in range(1, 11):
        recorder.record(execution(number))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    real = Database.write

    def write_and_fail(self: Database, con: duckdb.DuckDBPyConnection, batch: Rows) -> None:
        real(self, con, batch)
        raise duckdb.IOException("the answer got lost")

    monkeypatch.setattr(Database, "write", write_and_fail)
    with pytest.raises(duckdb.IOException):
        writer.flush()
    monkeypatch.undo()
    while writer.flush():
        pass
    assert writer.state.committed == {"alice": 10}
    writer.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 11))
    assert len(list(JournalReader(journal_directory(tmp_path, "alice")).read_from(1))) == 10
