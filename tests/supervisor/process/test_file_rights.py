"""Modes in a data directory at the start."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

import pytest

from supervisor.exit_codes import CommandError, ExitCode
from supervisor.process.file_rights import settle_rights


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A data directory as an earlier version made it without an umask, with a file of somebody else in it."""
    home = tmp_path / "data"
    for name in ("gridbot.duckdb", "gridbot.duckdb.wal", "journal/alice/1.journal", "state/alice/latch.json", "notes"):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        path.chmod(0o666)
    (home / "logs").mkdir()
    (home / "logs" / "writer.jsonl").write_text("")
    home.chmod(0o755)
    return home


def test_what_is_ours_is_tightened_and_nothing_else(wide: Path) -> None:
    assert settle_rights(wide) == []
    assert mode(wide / "notes") == 0o666
    assert mode(wide) == 0o755, "whose directory it is otherwise is not known; its names are no secret"
    ours = [path for path in wide.rglob("*") if path.name != "notes"]
    assert {oct(mode(path)) for path in ours} == {oct(0o600), oct(0o700)}


def test_beside_a_state_file_elsewhere_only_what_is_its_own_is_tightened(wide: Path, tmp_path: Path) -> None:
    """All that began with its name was taken for ours, whole directories with what lay in them."""
    state = tmp_path / "state.json"
    own = [state, tmp_path / "state.json.journal" / "1.journal"]
    foreign = [tmp_path / "state.json-notes", tmp_path / "states" / "texas", tmp_path / "state"]
    for path in (*own, *foreign):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        path.chmod(0o644)
    assert settle_rights(wide, paper_state=state) == []
    assert [mode(path) for path in own] == [0o600] * 2
    assert [mode(path) for path in foreign] == [0o644] * 3


def test_a_directory_in_which_others_can_replace_files_is_told(wide: Path) -> None:
    wide.chmod(0o777)
    [told] = settle_rights(wide)
    assert "lift a loss limit" in told
    assert f"chmod go-w {wide}" in told


def test_a_new_directory_is_for_this_user_alone(tmp_path: Path) -> None:
    assert settle_rights(tmp_path / "new") == []
    assert mode(tmp_path / "new") == 0o700


def test_a_group_reads_database_and_logs_and_not_journals_and_state(wide: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    assert settle_rights(wide, group) == []
    shared = {"gridbot.duckdb", "gridbot.duckdb.wal", "logs/writer.jsonl"}
    assert {name: mode(wide / name) for name in shared} == dict.fromkeys(shared, 0o640)
    assert [mode(wide), mode(wide / "logs")] == [0o2750] * 2
    assert [mode(wide / name) for name in ("journal", "state", "journal/alice/1.journal")] == [0o700, 0o700, 0o600]
    assert settle_rights(wide) == []
    assert mode(wide) == 0o700
    assert {mode(wide / name) for name in shared} == {0o600}


def test_a_group_that_is_none_is_refused(wide: Path) -> None:
    with pytest.raises(CommandError, match="getent group") as refused:
        settle_rights(wide, "no-such-group")
    assert refused.value.code == ExitCode.CONFIG
