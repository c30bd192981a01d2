from __future__ import annotations

import pytest

from gridbot.records.recorder import Recorder
from gridbot.state.documents import StateFile, StopFile, Unreadable
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from gridbot.system_ports import SystemClock
from tests.store.kit import make_recorder


@pytest.fixture
def files(tmp_path):
    made = StateFiles(tmp_path)
    yield made
    made.close()


@pytest.fixture
def latch(files, tmp_path_factory):
    """The file alone: its journal is empty."""
    with make_recorder(tmp_path_factory.mktemp("journal")).journal as journal:
        yield lambda: StopFile(StateLog(files, Recorder("alice", "run", journal, clock=SystemClock())), "latch.json")


def test_a_document_is_there_after_a_restart(files, tmp_path):
    file = StateFile(files, "ledger.json")
    assert file.load() is None
    assert file.on_disk is None
    document = {"seq": 1}
    file.save(document)
    document["seq"] = 2  # what was saved is what it was then
    assert files.flush()
    assert StateFile(StateFiles(tmp_path), "ledger.json").load() == {"seq": 1}
    file.save_now({"seq": 3})
    assert file.on_disk == {"seq": 3}
    assert StateFile(files, "ledger.json").load() == {"seq": 3}


def test_only_what_is_safe_counts_as_on_disk(files, tmp_path):
    file = StateFile(files, "ledger.json")
    (tmp_path / "ledger.json" / "file").mkdir(parents=True)
    file.save({"seq": 1})
    assert not files.flush(timeout_s=0.1)
    assert file.on_disk is None
    with pytest.raises(OSError, match="directory"):
        file.save_now({"seq": 2})
    assert file.on_disk is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(b'{"seq": 1', "expected JSON, got"), (b"", "expected JSON, got"), (b"[1]", "expected a JSON object, got list")],
)
def test_a_damaged_document_is_kept_aside(files, tmp_path, caplog, content, message):
    path = tmp_path / "ledger.json"
    path.write_bytes(content)
    file = StateFile(files, "ledger.json")
    assert file.load() is None
    assert (tmp_path / "ledger.json.bad-1").read_bytes() == content
    assert not path.exists()
    assert f"{path} cannot be read ({message}" in caplog.text
    assert "kept as ledger.json.bad-1, starting without it" in caplog.text


def test_a_directory_in_its_place_is_kept_aside_too(files, tmp_path, caplog):
    """Each start was refused, with the advice to make room on the disk."""
    path = tmp_path / "ledger.json"
    (path / "what is in it").mkdir(parents=True)
    file = StateFile(files, "ledger.json")
    assert file.load() is None
    assert (tmp_path / "ledger.json.bad-1" / "what is in it").is_dir()
    assert "Is a directory" in caplog.text
    file.save_now({"seq": 1})
    assert file.load() == {"seq": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"net": 1, "seq": true}', "expected the number of a record, got True"),
        (b'{"net": 1, "seq": -1}', "expected the number of a record, got -1"),
        (b'{"net": 1, "seq": 1e400}', "expected the number of a record, got inf"),
        (b'{"net": 1, "seq": 9007199254740992}', "expected the number of a record, got 9007199254740992"),
        (b'{"net": ' + b"[" * 100_000, "expected a JSON object, got a torn"),
        (b'{"net": 1', "expected a JSON object, got a torn"),
        (b"", "expected a JSON object, got a torn"),
        (b"[1]", "expected a JSON object, got list"),
        (b'{"net": 1, "checksum": "0"}', "expected a checksum that fits"),
        (b"{}", "KeyError"),
        (b'{"net": "x"}', "invalid literal"),
        (b'{"net": null}', "TypeError"),
    ],
)
def test_a_damaged_document_that_must_not_count_as_none_stays_and_is_copied(files, latch, tmp_path, content, message):
    path = tmp_path / "latch.json"
    path.write_bytes(content)
    for _ in range(2):  # the next start must not take it for none either
        with pytest.raises(Unreadable, match=f"latch.json cannot be read .*{message}.* kept as latch.json.bad"):
            latch().load_as(lambda document: int(document["net"]))
    assert files.flush()
    assert path.read_bytes() == (tmp_path / "latch.json.bad").read_bytes() == content


def test_a_document_is_read_and_none_is_none(files, latch):
    file = latch()
    assert file.load_as(lambda document: int(document["net"])) is None
    file.save({"net": 3})
    assert file.load_as(lambda document: int(document["net"])) == 3
    assert files.flush()
    assert latch().load_as(lambda document: int(document["net"])) == 3


def test_a_document_that_the_disk_does_not_give_is_unreadable(latch, tmp_path):
    (tmp_path / "latch.json").mkdir()
    with pytest.raises(Unreadable, match=r"latch.json cannot be read \(Is a directory\)"):
        latch().load_as(len)
