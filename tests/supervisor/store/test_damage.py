"""Damaged, missing, foreign and older files: what is whole is stored once, what is not is set aside and said."""

from __future__ import annotations

import os
import signal
import zlib
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from gridbot.records import codec
from gridbot.records.columns import RECORD_TYPES
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.store.database import Database, Unreadable
from gridbot.store.reading import DatabaseDamaged, connect, database_path
from gridbot.store.schema import SCHEMA_VERSION, ensure_schema
from supervisor.store import database_losses
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_lock import WriterBusy, take_writer_lock
from tests.fork_server import run_program
from tests.store.kit import (
    execution,
    flush_all,
    flush_without_an_answer,
    make_recorder,
    record_executions,
    rows,
    sequences,
    start_writer,
    writing,
)


def test_a_damaged_write_ahead_log_is_set_aside_and_its_rows_come_again(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 31))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 30)
        writer.stop()
    _leave_a_log(tmp_path)
    wal = database_path(tmp_path).with_name("gridbot.duckdb.wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wal.write_bytes(content)
    record_executions(recorder, range(31, 61))
    with writing(tmp_path) as writer:
        health = writer.wait_committed("alice", 60)
        assert len(health["quarantined"]) == 1
        assert Path(health["quarantined"][0]).read_bytes() == bytes(content)
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 61))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 0.99])
def test_a_log_that_ends_within_its_first_commit_stops_nobody(tmp_path: Path, part: float) -> None:
    """kill -9 while DuckDB writes it: DuckDB reads nothing from such a log, and does not remove it by itself."""
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 31))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 30)
        writer.stop()
    _leave_a_log(tmp_path)
    wal = database_path(tmp_path).with_name("gridbot.duckdb.wal")
    os.truncate(wal, max(1, int(part * wal.stat().st_size)))
    record_executions(recorder, range(31, 61))
    with writing(tmp_path) as writer:
        health = writer.wait_committed("alice", 60)
        assert (health["quarantined"], health["error"]) == ([], None)
    recorder.close()
    assert not wal.exists()
    assert sequences(tmp_path)["alice"] == list(range(1, 61))
    assert rows(tmp_path, "SELECT * FROM duckdb_tables() WHERE table_name LIKE 'log_%'") == []


def _leave_a_log(data_dir: Path) -> None:
    """Commit rows 31..40 with their offset and die before the checkpoint, as a killed writer may."""
    code = f"""
import os, duckdb
con = duckdb.connect({str(database_path(data_dir))!r})
con.execute("BEGIN")
con.execute("INSERT INTO execution_rows_stored SELECT * REPLACE (seq + 10 AS seq) FROM execution_rows_stored "
    "WHERE seq > 20")
con.execute("UPDATE ingest_offsets_stored SET seq = 40")
con.execute("COMMIT")
os.kill(os.getpid(), 9)
"""
    assert run_program(code) == -signal.SIGKILL
    assert database_path(data_dir).with_name("gridbot.duckdb.wal").exists()


def test_an_intact_left_over_log_counts(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 41))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 40)
        writer.stop()
    with duckdb.connect(str(database_path(tmp_path))) as con:
        con.execute("DELETE FROM execution_rows_stored WHERE seq > 30")
        con.execute("UPDATE ingest_offsets_stored SET seq = 30")
    _leave_a_log(tmp_path)
    recorder.record(execution(41))
    recorder.close()
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 41)
    assert sequences(tmp_path)["alice"] == list(range(1, 42))


def test_a_flipped_byte_in_the_journal_costs_that_record_and_is_noted(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 11))
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


def test_a_file_that_disappears_under_a_running_writer_is_made_anew_as_it_was(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    with writing(tmp_path) as writer:
        record_executions(recorder, range(1, 21))
        writer.wait_committed("alice", 20)
        database_path(tmp_path).unlink()
        record_executions(recorder, range(21, 41))
        writer.wait_committed("alice", 40)
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 41)), "the journal still had what went with the file"
    tags = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'gridbot'"
    assert rows(tmp_path, tags)[0][0].startswith("v1.4")


def test_journals_that_were_deleted_go_on_above_the_database(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 11))
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
        assert con.execute(undocumented, [list(RECORD_TYPES)]).fetchall() == []
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


def test_a_new_field_becomes_a_new_column_of_an_existing_file(tmp_path: Path) -> None:
    file = Database(database_path(tmp_path))
    file.prepare()
    with file.open() as con:
        con.execute("ALTER TABLE tickers_stored DROP COLUMN mark_price")
        con.execute("UPDATE schema_versions SET fingerprint = 'of an older program'")
        ensure_schema(con)
        assert con.execute("SELECT mark_price FROM tickers").fetchall() == []
        assert con.execute("SELECT mark_price FROM tickers_stored").fetchall() == []


@pytest.mark.parametrize("cut", [None, 5000, 20_000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, cut: int | None) -> None:
    path = database_path(tmp_path)
    if cut is None:
        path.write_bytes(b"this is a letter, not a database" * 1000)
    else:
        Database(path).prepare()
        os.truncate(path, cut)
    before = path.read_bytes()
    with pytest.raises(Unreadable, match="gridbot-supervisor rebuild"):
        Database(path).prepare()
    with pytest.raises(DatabaseDamaged, match="gridbot-supervisor rebuild"):
        connect(tmp_path, timeout_s=0.05)
    if cut is None:
        writer = start_writer(tmp_path)
        assert writer.health.poll(20)
        message = writer.health.recv()
        writer.process.join(20)
        assert "gridbot-supervisor rebuild" in message["reason"]
        assert writer.process.exitcode == 7
    assert path.read_bytes() == before


def test_a_commit_whose_answer_got_lost_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 11))
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_without_an_answer(writer, monkeypatch)
    flush_all(writer)
    assert writer.state.committed == {"alice": 10}
    writer.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 11))
    assert len(list(JournalReader(journal_directory(tmp_path, "alice")).read_from(1))) == 10


def test_a_database_that_somebody_removes_is_made_from_the_journals_and_what_they_lack_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was a line in the log about gaps, and `status` stayed healthy."""
    monkeypatch.setattr(database_losses, "WAIT_S", 0.0)
    recorder = make_recorder(tmp_path, segment_bytes=2000)
    for number in range(1, 41):
        recorder.record(execution(number))
        recorder.flush()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.flush()  # as it does twice a second: now it has seen the file
    assert (writer.health()["removed"], writer.health()["lost"]) == ("", 0)
    database_path(tmp_path).unlink()
    flush_all(writer)
    assert writer.health()["removed"] == (
        f"somebody removed the database {database_path(tmp_path)} while the bot runs; a new one was made from the "
        "journals: no record is lost"
    )
    assert sequences(tmp_path)["alice"] == list(range(1, 41))
    recorder.ack(40)
    first = recorder.oldest_seq
    for path in tmp_path.glob("gridbot.duckdb*"):
        path.unlink()
    flush_all(writer)
    assert sequences(tmp_path)["alice"] == list(range(first, 41))
    assert writer.health()["lost"] == first - 1
    text = writer.health()["removed"]
    assert f": {first - 1} records are lost, which no journal has any more (alice 1 to {first - 1}). With a" in text
    assert f"cp BACKUP {database_path(tmp_path)} && gridbot-supervisor rebuild --data-dir {tmp_path}" in text
    with pytest.raises(WriterBusy):
        take_writer_lock(database_path(tmp_path))
    writer.close()
    recorder.close()


def test_a_new_database_waits_for_the_workers_to_make_their_journals_again(tmp_path: Path) -> None:
    """Otherwise what they hold would be jumped over as lost."""
    path = tmp_path / "gridbot.duckdb"
    losses = database_losses.Losses(tmp_path, path)
    assert not losses.is_removed(0.0), "the first one is made at once"
    path.touch()
    assert not losses.is_removed(1.0)
    path.unlink()
    last = 2.0 + database_losses.WAIT_S
    assert losses.is_removed(2.0)
    assert losses.text.endswith("a new one is made within seconds from the journals"), "told at once"
    assert [losses.is_removed(now) for now in (last - 0.1, last, last + 1)] == [True, False, False]
    path.touch()
    assert not losses.is_removed(last + 2)
    assert "no record is lost" not in losses.text, "the journals are not read yet"
    path.unlink()
    again = last + 3 + database_losses.WAIT_S
    assert [losses.is_removed(now) for now in (last + 3, again - 0.1, again)] == [True, True, False], "the new one too"
    path.touch()
    assert not losses.is_removed(again + 1)
    losses.caught_up()
    assert losses.text.endswith("no record is lost")
    for number in range(database_losses.SHOWN + 2):
        losses.note([(f"a{number}", 1, 10, "")])
    assert losses.count == 10 * (database_losses.SHOWN + 2)
    assert "a0 1 to 10" not in losses.text
    assert "a6 1 to 10" in losses.text
