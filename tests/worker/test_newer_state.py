"""An older program on a directory of a newer one says so, and replaces nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot.core.execution_ledger import Ledger
from gridbot.core.ledger_document import document_of
from gridbot.state.state_files import StateFiles
from gridbot.worker.newer_state import refuse_newer
from gridbot.worker.startup import StartRefused

GRID = "grids/btc.grid.json"
OURS: dict[str, dict[str, Any]] = {
    "ledger.json": {"version": 1, "seq": 7, "ledger": document_of(Ledger()), "orders": []},
    "holds.json": {"version": 1, "strategies": {}},
    "ban.json": {"version": 1, "until_ms": 0},
    "lines.json": {"version": 1, "opened_ms": []},
    GRID: {"format": 1, "strat_id": "btc", "grid": {}, "told": []},
}


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StateFiles]:
    made = StateFiles(tmp_path)
    for name, document in OURS.items():
        made.write(name, json.dumps(document).encode())
    yield made
    made.close()


def test_what_this_version_has_written_is_no_newer(files: StateFiles) -> None:
    refuse_newer(files, [GRID])


@pytest.mark.parametrize(
    ("name", "change", "known"),
    [
        ("ledger.json", {"version": 2}, 1),
        ("ledger.json", {"ledger": {"version": 4}}, 3),
        ("holds.json", {"version": 2}, 1),
        ("ban.json", {"version": 2}, 1),
        ("lines.json", {"version": 2}, 1),
        (GRID, {"format": 2}, 1),
    ],
)
def test_a_newer_file_refuses_the_start(files: StateFiles, name: str, change: dict[str, Any], known: int) -> None:
    files.write(name, json.dumps({**OURS[name], **change}).encode())
    with pytest.raises(StartRefused) as refused:
        refuse_newer(files, [GRID])
    assert str(refused.value) == (
        f"expected {files.path(name)} of version {known} at most, got {known + 1}: a newer gridbot has worked here; "
        "start that one again, or this one with another --data-dir"
    )


@pytest.mark.parametrize("content", [b"", b"torn {", b"[1]", b'{"version": "2"}', b'{"ledger": 5}'])
def test_what_cannot_be_read_is_left_to_its_reader(files: StateFiles, content: bytes) -> None:
    for name in OURS:
        files.write(name, content)
    files.path(GRID).unlink()
    files.path(GRID).mkdir()
    refuse_newer(files, [GRID, "grids/none.grid.json"])
