"""What harms a fleet's history while it is written: no row is lost or shown twice, and nothing else waits for it."""

from __future__ import annotations

import psycopg
import pytest

import gridbot
from gridbot.store.fleet_rows import typed_query
from gridbot.store.history_place import Directory, PlaceAway
from gridbot.store.reading import ReadingError
from gridbot.store.sql_columns import table_columns
from supervisor.fleet import history_writer
from supervisor.fleet.history_aside import SetAside
from tests.store.kit import make_recorder, record_executions
from tests.supervisor.fleet.history_kit import files_of, history_of, ids, shown, write_all, yesterday
from tests.supervisor.fleet.test_record_shipper import asked, fleet_at, ship_all, shipping

STATES = "SELECT state, count(*) FROM gridbot.history_file WHERE kind = 'executions' GROUP BY 1 ORDER BY 1"


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "shared"
    directory.mkdir()
    return directory


def shipped(data_dir, dsn, numbers, host="h1"):
    """These executions are recorded and shipped by a host; its recorder."""
    data_dir.mkdir(exist_ok=True)
    recorder = make_recorder(data_dir)
    record_executions(recorder, numbers)
    with shipping(data_dir, fleet_at(dsn, host)) as (writer, shipper):
        ship_all(writer, shipper)
    return recorder


def expected(last):
    return [f"e-{number}" for number in range(1, last + 1)]


def test_a_directory_that_is_not_mounted_any_more(tmp_path, fleet_dsn, place, monkeypatch):
    """What is below the mount point takes files without an error, and nobody would ever see them again."""
    recorder = shipped(tmp_path / "h1", fleet_dsn, range(1, 4))
    files = history_of(fleet_dsn, place)
    write_all(files)
    place.rename(tmp_path / "away")
    place.mkdir()
    record_executions(recorder, (4, 5))
    with shipping(tmp_path / "h1", fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    for attempt in (lambda: write_all(files), files.care):
        with pytest.raises(PlaceAway, match="is the directory mounted"):
            attempt()
    assert files_of(place) == []
    assert ids(fleet_dsn, history=str(tmp_path / "away")) == expected(5), "what has no file is live"
    place.rmdir()
    (tmp_path / "away").rename(place)
    # It is lost in the moment in which a part is put there: that part does not count.
    put = Directory.put

    def lost(*given):
        place.rename(tmp_path / "away")
        place.mkdir()
        put(*given)

    monkeypatch.setattr(Directory, "put", lost)
    with pytest.raises(PlaceAway, match="is the directory mounted"):
        write_all(files)
    assert ids(fleet_dsn, history=str(tmp_path / "away")) == expected(5)


def test_records_of_a_newer_program_wait_for_it(tmp_path, fleet_dsn, place):
    """A host with an older program writes what a dead one has left: it would leave out what it does not know, and the
    rows would be removed from PostgreSQL. Other accounts do not wait."""
    shipped(tmp_path / "h1", fleet_dsn, range(1, 4))
    with psycopg.connect(fleet_dsn) as connection:
        connection.execute(
            "INSERT INTO gridbot.record (account, epoch, seq, origin, host, kind, at, exec_id, body)"
            " SELECT 'bob', epoch, seq, origin, host, kind, at, exec_id, body FROM gridbot.record"
        )
        connection.execute("INSERT INTO gridbot.shipped SELECT host, 'bob', seq FROM gridbot.shipped")
    for change, back, what in (
        ("kind = 'novelties'", "kind = 'executions'", "novelties"),
        (
            "body = jsonb_set(body, '{data,new_field}', '1')",
            "body = body #- '{data,new_field}'",
            "executions.new_field",
        ),
    ):
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute(f"UPDATE gridbot.record SET {change} WHERE seq = 2 AND account = 'alice'".encode())
        files = history_of(fleet_dsn, place)
        write_all(files)
        assert what in str(files._aside.said())
        assert asked(fleet_dsn, "SELECT account FROM gridbot.history_at") == [("bob",)]
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute(f"UPDATE gridbot.record SET {back} WHERE seq = 2 AND account = 'alice'".encode())
    write_all(history_of(fleet_dsn, place))
    assert asked(fleet_dsn, "SELECT seq FROM gridbot.history_at") == [(3,), (3,)]
    assert ids(fleet_dsn) == sorted(2 * expected(3))


def test_files_of_an_older_program_become_one_of_their_own_columns(tmp_path, fleet_dsn, place, monkeypatch):
    """Parts of a day from before an upgrade are put together by the program of after it."""
    monkeypatch.setattr(history_writer, "PART_ROWS", 2)
    recorder = shipped(tmp_path / "h1", fleet_dsn, range(1, 5))
    yesterday(fleet_dsn)
    with monkeypatch.context() as patch:
        older = [column for column in table_columns("executions") if column.name != "closed_size"]
        names = ", ".join(column.name for column in older)
        patch.setattr(history_writer, "table_columns", lambda kind: older)
        patch.setattr(history_writer, "typed_query", lambda *given: f"SELECT {names} FROM ({typed_query(*given)})")
        write_all(history_of(fleet_dsn, place))
    record_executions(recorder, range(5, 9))
    with shipping(tmp_path / "h1", fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    yesterday(fleet_dsn, "seq > 4")
    files = history_of(fleet_dsn, place)
    write_all(files)
    sizes = "SELECT exec_id, closed_size FROM executions ORDER BY qty"
    before = shown(fleet_dsn, sizes)
    assert len(before) == 8
    while files.care():
        pass
    assert asked(fleet_dsn, STATES) == [("gone", 4), ("there", 2)]
    assert shown(fleet_dsn, sizes) == before


def test_a_damaged_file_is_named_and_holds_up_no_other_day(tmp_path, fleet_dsn, place, monkeypatch):
    monkeypatch.setattr(history_writer, "PART_ROWS", 3)
    monkeypatch.setattr(history_writer, "AT_ONCE", 1)
    shipped(tmp_path / "h1", fleet_dsn, range(1, 13))
    yesterday(fleet_dsn, "seq <= 6", 2)
    yesterday(fleet_dsn, "seq > 6")
    files = history_of(fleet_dsn, place)
    write_all(files)
    _, second, *_ = sorted(place.rglob("*.parquet"))
    with gridbot.connect(fleet=fleet_dsn) as reader:
        whole = second.read_bytes()
        second.write_bytes(whole[:100])
        name = str(second.relative_to(place))
        with pytest.raises(Exception, match=f"{name}: expected {len(whole)} bytes, got 100: the file is damaged"):
            reader.execute("SELECT sum(fee) FROM executions").fetchall()
    while files.care():
        pass
    assert asked(fleet_dsn, STATES) == [("gone", 2), ("there", 3)], "the later day became one file"
    assert "the file is damaged" in str(files._aside.said())
    second.write_bytes(whole)
    files._aside = SetAside((ReadingError,), 0.0)
    while files.care():
        pass
    assert asked(fleet_dsn, STATES) == [("gone", 4), ("there", 2)]
    assert ids(fleet_dsn) == expected(12)
