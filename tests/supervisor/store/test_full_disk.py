"""A disk that is full for the database (a limit on the size of files stands in for it): trading's record goes on."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from gridbot.records.journal_reader import journal_directory
from gridbot.store.reading import database_path
from tests.store.kit import execution, make_recorder, rows, sequences, until, writing


@pytest.mark.parametrize("where", ["database file", "write-ahead log"])
def test_the_database_stops_and_catches_up_when_there_is_room(tmp_path: Path, where: str) -> None:
    recorder = make_recorder(tmp_path, segment_bytes=64 * 1024)
    with writing(tmp_path, compact_s=0.1) as writer:  # so that it is full while records are moved, too
        recorder.record(execution(1))
        recorder.flush()
        writer.wait_committed("alice", 1)
        size = database_path(tmp_path).stat().st_size if where == "database file" else 20_000
        limits = resource.prlimit(writer.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(writer.process.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
        for number in range(2, 1501):
            recorder.record(execution(number, order_id=os.urandom(60).hex()))
            recorder.flush()
        health = writer.wait_health(lambda m: m.get("error"), "the writer's complaint")
        committed = health["committed"]["alice"]
        assert committed < 1500
        recorder.ack(committed)
        assert writer.process.is_alive()
        resource.prlimit(writer.process.pid, resource.RLIMIT_FSIZE, limits)
        writer.wait_health(lambda m: m["committed"].get("alice") == 1500 and m["error"] is None, "everything committed")
    recorder.close()
    assert sequences(tmp_path)["alice"] == list(range(1, 1501))
    assert rows(tmp_path, "SELECT * FROM ingest_gaps") == []


def test_a_writer_starts_without_room_to_note_what_the_database_holds(tmp_path: Path) -> None:
    """It would end and be given up after some tries; the note follows when there is room."""
    recorder = make_recorder(tmp_path)
    recorder.record(execution(1))
    recorder.flush()
    note = journal_directory(tmp_path, "alice") / "committed"
    note.mkdir()  # stands in for a full disk: no file can take its place
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 1)
        note.rmdir()
        until(note.is_file, "the note")
        assert writer.stop() == 0
    recorder.close()
