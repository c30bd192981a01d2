from __future__ import annotations

import pytest

from gridbot.state.documents import StateFile, Unreadable
from gridbot.state.state_files import StateFiles


@pytest.fixture
def files(tmp_path):
    made = StateFiles(tmp_path)
    yield made
    made.close()


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"seq": 1', "expected JSON, got"),
        (b"", "expected JSON, got"),
        (b"[1]", "expected a JSON object, got list"),
        (b"{}", "KeyError"),
        (b'{"seq": "x"}', "invalid literal"),
        (b'{"seq": null}', "TypeError"),
    ],
)
def test_a_damaged_document_that_must_not_count_as_none_stays_and_is_copied(files, tmp_path, content, message):
    path = tmp_path / "latch.json"
    path.write_bytes(content)
    for _ in range(2):  # the next start must not take it for none either
        with pytest.raises(Unreadable, match=f"latch.json cannot be read .*{message}.* kept as latch.json.bad"):
            StateFile(files, "latch.json").load_as(lambda document: int(document["seq"]))
    assert files.flush()
    assert path.read_bytes() == (tmp_path / "latch.json.bad").read_bytes() == content


def test_a_document_is_read_and_none_is_none(files):
    file = StateFile(files, "latch.json")
    assert file.load_as(lambda document: int(document["seq"])) is None
    file.save_now({"seq": 3})
    assert file.load_as(lambda document: int(document["seq"])) == 3


def test_a_document_that_the_disk_does_not_give_is_unreadable(files, tmp_path):
    (tmp_path / "latch.json").mkdir()
    with pytest.raises(Unreadable, match=r"latch.json cannot be read \(Is a directory\)"):
        StateFile(files, "latch.json").load_as(len)
