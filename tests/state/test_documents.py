from __future__ import annotations

import pytest

from gridbot.state.documents import StateFile
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
