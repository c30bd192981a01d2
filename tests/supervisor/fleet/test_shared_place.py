"""The place of a fleet's history: a directory or a bucket, away, full, of others, or not writable."""

from __future__ import annotations

import asyncio
import errno
import json

import pytest

import gridbot
from gridbot import atomic_file
from gridbot.config.models import GridbotConfig
from gridbot.doors.history_name import place_problem
from gridbot.store import history_place
from gridbot.store.history_place import MARK, PlaceAway
from gridbot.store.reading import ReadingError
from supervisor.fleet import history_writer
from supervisor.fleet.fleet_examination import _place, examined
from supervisor.web.hosts_records import FleetRecords
from supervisor.web.record_desk import RecordDesk
from tests.case_table import case_table
from tests.store.kit import make_recorder, record_executions, until
from tests.supervisor.fleet.history_kit import (
    expected,
    files_of,
    history_of,
    ids,
    write_all,
    yesterday,
)
from tests.supervisor.fleet.test_record_shipper import asked, fleet_at, ship_all, shipping


def test_a_place_that_is_away_full_or_of_others_stops_nothing(tmp_path, fleet_dsn, place, monkeypatch):
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 4))
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        ship_all(writer, shipper)
    with pytest.raises(PlaceAway, match="No such file"):
        history_of(fleet_dsn, tmp_path / "not-mounted").once()
    assert not (tmp_path / "not-mounted").exists(), "a mount point is never made"
    files = history_of(fleet_dsn, place)
    real = atomic_file.write_atomic

    def full(path, data):
        if path.suffix == ".parquet":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, data)

    monkeypatch.setattr(history_place, "write_atomic", full)
    with pytest.raises(PlaceAway, match="No space left on device"):
        files.once()
    assert ids(fleet_dsn) == expected(3), "they are live rows"
    monkeypatch.setattr(history_place, "write_atomic", real)
    # Rows that no file has are not removed, however old they are.
    yesterday(fleet_dsn, days=60)
    with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
        shipper._next_forget = 0.0
        shipper.once()
        assert ids(fleet_dsn) == expected(3)
        write_all(files)
        shipper._next_forget = 0.0
        shipper.once()
    assert asked(fleet_dsn, "SELECT count(*) FROM gridbot.record") == [(0,)]
    assert ids(fleet_dsn) == expected(3)
    assert ids(fleet_dsn, history=False) == []
    # An execution whose row went into a file is known all the same.
    other = tmp_path / "h2"
    other.mkdir()
    record_executions(make_recorder(other), range(2, 6))
    with shipping(other, fleet_at(fleet_dsn, "h2")) as (writer, shipper):
        ship_all(writer, shipper)
    assert ids(fleet_dsn) == expected(5)
    assert asked(fleet_dsn, "SELECT sum(executions) FROM gridbot.daily_sums") == [(5,)]
    # The place of another fleet, and an empty directory where the place should be mounted.
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlaceAway, match="is the directory mounted"):
        history_of(fleet_dsn, tmp_path / "empty", "h2").once()
    (tmp_path / "empty" / MARK).write_text('{"fleet": "others", "mark": "x"}')
    with pytest.raises(PlaceAway, match="got another"):
        history_of(fleet_dsn, tmp_path / "empty", "h2").once()
    for wrong, got in (("/nowhere", "/nowhere: "), (tmp_path / "empty", ".*: expected the mark of this fleet")):
        with pytest.raises(ReadingError, match=f"expected the history of the fleet, got: {got}"):
            gridbot.connect(fleet=fleet_dsn, history=str(wrong))
    downloads = tmp_path / "page" / "web" / "downloads"
    downloads.mkdir(parents=True)
    page = RecordDesk(tmp_path / "page", FleetRecords(lambda: fleet_dsn, downloads, str(tmp_path / "empty")))
    told = json.loads(page.answer({"ask": "fleet"}).body)
    assert "older rows are left out: " in told["problems"]["history"]
    asked_of = {"ask": "rows", "name": "fills"}
    assert "got another" in json.loads(page.answer(asked_of).body)["missing"]
    refused = page.answer({**asked_of, "account": "alice", "format": "csv"})
    assert (refused.status, b"no file is made, older rows" in refused.body) == (503, True)
    # A file of it is gone, or damaged: one line says which, to whoever reads or writes.
    [first, *_] = sorted(place.rglob("*.parquet"))
    first.write_bytes(b"damaged")
    with pytest.raises(ReadingError, match=r"history of executions cannot be read: .*the file is damaged"):
        gridbot.connect(fleet=fleet_dsn)
    first.unlink()
    with pytest.raises(ReadingError, match=r"history of executions cannot be read: FileNotFoundError: .*parquet"):
        gridbot.connect(fleet=fleet_dsn)
    # The thread says it, and goes on by itself.
    broken = history_of(fleet_dsn, tmp_path / "empty", "h2")
    broken.start()
    until(lambda: broken.health()["error"], "its health says what is wrong")
    assert "got another" in broken.health()["error"]
    broken.close()


def test_a_bucket_of_s3_is_as_good_as_a_directory(tmp_path, fleet_dsn, monkeypatch):
    """moto's server speaks S3; the keys are in the environment alone."""
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id-of-tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-tests")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        place = "s3://records/of/tests"
        recorder = make_recorder(tmp_path)
        record_executions(recorder, range(1, 8))
        with shipping(tmp_path, fleet_at(fleet_dsn)) as (writer, shipper):
            ship_all(writer, shipper)
        yesterday(fleet_dsn, "seq <= 6")
        files = history_of(fleet_dsn, place)
        with pytest.raises(PlaceAway, match="bucket") as away:
            files.once()
        assert "a-secret-of-tests" not in str(away.value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="records", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        monkeypatch.setattr(history_writer, "PART_ROWS", 3)
        monkeypatch.setattr(history_writer, "SUMS_DAYS", 100_000)
        monkeypatch.setattr(history_writer, "GONE_S", -1.0)
        write_all(files)
        write_all(files)
        assert ids(fleet_dsn) == expected(7)
        files.care()
        files.care()
        names = [each["Key"] for each in client.list_objects_v2(Bucket="records", Prefix="of/tests/")["Contents"]]
        assert sum(name.endswith(".parquet") for name in names) == 2, "one of yesterday, one of today"
        assert f"of/tests/{MARK}" in names
        assert ids(fleet_dsn) == expected(7)
        facts = _place(
            GridbotConfig.model_construct(accounts=(), fleet=fleet_at(fleet_dsn, history=place)), ("", "", 0.0)
        )
        assert facts["history_problem"] == ""
    finally:
        server.stop()


@case_table(
    ("named", "is_place"),
    [
        ("/mnt/history", True), ("history", True), ("s3://bucket", True), ("s3://bucket/a/b=c", True),
        ("s3://KEY:SECRET@bucket/x", False), ("s3://bucket/x?access_key=SECRET", False), ("s3://bucket/../x", False),
        ("https://bucket.example/x", False), ("s3://", False), ("s3:/bucket", False),
    ],
)  # fmt: skip
def test_places(named, is_place):
    problem = place_problem(named)
    assert (not problem) == is_place
    assert "SECRET" not in problem


def test_doctor_looks_at_the_place(tmp_path, fleet_dsn, place):
    def facts(history, host="h1"):
        own = GridbotConfig.model_construct(
            accounts=(), fleet=fleet_at(fleet_dsn, host, history=str(history) if history else "")
        )
        found = asyncio.run(examined(own))
        return found.history_problem, found.history_elsewhere

    assert facts(place) == ("", "")
    assert "No such file" in facts(tmp_path / "not-mounted")[0]
    write_all(history_of(fleet_dsn, place))
    assert facts(place, "h2") == ("", "")
    assert facts("", "h2") == ("", str(place))
    (tmp_path / "other").mkdir()
    assert "is the directory mounted?" in facts(tmp_path / "other", "h2")[0]
    assert files_of(place) == [], "the probe is gone"
