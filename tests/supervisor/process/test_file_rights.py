"""Modes in a data directory at the start."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pytest

from gridbot.private_files import SHARED_UMASK, make_directory, open_private, shared_open
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


VISITOR = """
import os, sys
from pathlib import Path
from gridbot.store.reading import connect
home, gid = Path(sys.argv[1]), int(sys.argv[2])
os.setgroups([])
os.setresgid(gid, gid, gid)
os.setresuid(65534, 65534, 65534)
def may(what):
    try:
        what()
        return "yes"
    except OSError:
        return "no"
    except Exception as error:
        return "no" if "ermission" in str(error) else repr(error)
answers = {
    "database": may(lambda: connect(home).execute("SELECT count(*) FROM t").fetchall()),
    "log": may((home / "logs" / "writer.jsonl").read_text),
    "journal": may(lambda: os.listdir(home / "journal")),
    "state": may((home / "state" / "alice" / "latch.json").read_text),
    "seed": may((home / "paper.seed").read_text),
    "write": may(lambda: open(home / "gridbot.duckdb", "ab")),
    "log write": may(lambda: open(home / "logs" / "writer.jsonl", "a")),
    "new file": may(lambda: open(home / "new", "w")),
    "remove": may((home / "state").rmdir),
}
odd = [answer for answer in answers.values() if answer not in ("yes", "no")]
print(*(name for name, answer in answers.items() if answer == "yes"), odd)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize(("of_group", "reads"), [(True, "database log []"), (False, "[]")])
def test_another_user_of_the_group_reads_database_and_logs_and_nothing_else(of_group: bool, reads: str) -> None:
    """Database and log are made as the processes make them: in a directory of the group, with the writer's umask."""
    group = next(each for each in grp.getgrall() if each.gr_gid not in (0, 65534))
    with tempfile.TemporaryDirectory() as folder:  # pytest's own directories are root's alone
        Path(folder).chmod(0o755)
        home = Path(folder) / "data"
        assert settle_rights(home, group.gr_name) == []
        for name in ("journal/alice/1.journal", "state/alice/latch.json", "paper.seed"):
            make_directory((home / name).parent)
            with open_private(home / name, "x") as file:
                file.write("{}")
        before = os.umask(SHARED_UMASK)
        try:
            with duckdb.connect(str(home / "gridbot.duckdb")) as con:
                con.execute("CREATE TABLE t AS SELECT 1 AS x")
        finally:
            os.umask(before)
        os.close(shared_open(home / "logs" / "writer.jsonl", os.O_RDWR | os.O_CREAT))
        command = [sys.executable, "-c", VISITOR, str(home), str(group.gr_gid if of_group else 65534)]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.stderr == ""
        assert answer.stdout.strip() == reads
