"""A data directory in which a newer gridbot has worked is refused in words, and nothing of it is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gridbot.core import ledger_document
from gridbot.frames import frame
from gridbot.paper.storage import state_records
from gridbot.records.record_block import BLOCK_FORM
from gridbot.state import flatten_file, holds_file, ledger_checkpoint, strategy_store
from gridbot.state.data_formats import FILE_NAME, FILES, FORMATS, newer_data, note_formats
from gridbot.store.migrations import SCHEMA_VERSION
from gridbot.version import __version__
from gridbot.worker import ban_file, cap_guard, line_file
from supervisor.caps import caps_document
from supervisor.leases import sharing
from supervisor.notify import teller
from supervisor.telegram import offset_file
from tests.case_table import case_table
from tests.records.test_record_block import block, changed
from tests.store.kit import execution


def test_formats_are_those_of_the_code() -> None:
    assert {
        **dict.fromkeys(("formats", "loss latch", "numbers", "run", "order entry"), 1),
        "database": SCHEMA_VERSION,
        "journal": BLOCK_FORM,
        "ledger checkpoint": ledger_checkpoint.VERSION,
        "ledger": ledger_document.VERSION,
        "grid": strategy_store.FORMAT,
        "holds": holds_file.VERSION,
        "flatten": flatten_file.VERSION,
        "account caps": cap_guard.VERSION,
        "ban": ban_file.VERSION,
        "lines": line_file.VERSION,
        "address": sharing.VERSION,
        "fleet caps": caps_document.VERSION,
        "messages": teller.FORMAT,
        "telegram": offset_file.FORMAT,
        "paper exchange": state_records.VERSION,
    } == FORMATS, "a changed format is told by the start of every later version"


def put(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@case_table(("pattern", "kind", "keys"), FILES)
def test_each_file_that_says_its_format_is_asked(
    tmp_path_factory: pytest.TempPathFactory, pattern: str, kind: str, keys: tuple[str, ...]
) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    name = pattern.replace("state/*", "state/alice").replace("*", "btc")
    for more in (0, 1):
        document: Any = FORMATS[kind] + more
        for key in reversed(keys):
            document = {key: document}
        path = put(data_dir / name, document)
        refusal = (
            f"expected format {FORMATS[kind]} of {kind} at most, got {kind} of format {FORMATS[kind] + 1} by {path}: "
            f"a newer gridbot has worked in this data directory, and this one is {__version__}; nothing was changed: "
            "start the newer one again, or this one with another --data-dir"
        )
        assert newer_data(data_dir) == (refusal if more else None)


def test_the_marker_tells_of_what_says_nothing_itself(tmp_path: Path) -> None:
    assert newer_data(tmp_path / "none") is None
    note_formats(tmp_path)
    assert newer_data(tmp_path) is None
    noted = json.loads((tmp_path / FILE_NAME).read_text())
    assert noted == {"gridbot": __version__, "formats": FORMATS}
    for kind in (*FORMATS, "clouds"):
        newer = {"gridbot": "99.0", "formats": {**FORMATS, kind: FORMATS.get(kind, 0) + 1}}
        put(tmp_path / FILE_NAME, newer)
        told = newer_data(tmp_path) or ""
        assert f"{kind} of format {FORMATS.get(kind, 0) + 1} by {tmp_path / FILE_NAME}: gridbot 99.0 has" in told
    for damaged in ("", "[]", '{"formats": [9]}', '{"formats": {"database": "x"}}'):
        put(tmp_path / FILE_NAME, damaged)
        assert newer_data(tmp_path) is None
    note_formats(tmp_path)
    assert json.loads((tmp_path / FILE_NAME).read_text()) == noted


@case_table("at_end", [False, True])
def test_journals_that_came_without_the_marker_are_asked(
    tmp_path_factory: pytest.TempPathFactory, at_end: bool
) -> None:
    """Workers and writer refused theirs, each alone and again and again, while other accounts traded on."""
    data_dir = tmp_path_factory.mktemp("data")
    segment = data_dir / "journal" / "alice" / f"{1:020d}.journal"
    segment.parent.mkdir(parents=True)
    records = [execution(number) for number in range(1, 20)]
    known, newer = frame(block(records)), frame(changed(block(records, 20), form=BLOCK_FORM + 1))
    text = frame(b'{"kind":"raw_messages","data":"' + newer[:200].replace(b'"', b'\\"') + b'"}')
    segment.write_bytes(known * 400 + text)
    assert newer_data(data_dir) is None
    segment.write_bytes(known * 400 + newer if at_end else newer + known * 400)
    assert f"got journal of format {BLOCK_FORM + 1} by {segment}: a newer" in str(newer_data(data_dir))
