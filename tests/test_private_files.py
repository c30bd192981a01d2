"""Files and directories of this user alone, whatever umask and whatever somebody has put at their names."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbot.lock_file import take_lock
from gridbot.private_files import (
    copy_private,
    make_directory,
    open_private,
    open_to_group,
    private_open,
    shared_open,
    tighten,
)

WRITE = os.O_WRONLY | os.O_CREAT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_what_is_made_is_for_this_user_alone(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    with open_private(tmp_path / "a" / "text", "w", encoding="utf-8") as file:
        file.write("é")
    copy_private(tmp_path / "a" / "text", tmp_path / "a" / "copy")
    os.close(private_open(tmp_path / "a" / "log", WRITE, 0o666))
    os.close(shared_open(tmp_path / "a" / "not shared", WRITE))
    assert [mode(tmp_path / "a"), mode(tmp_path / "a" / "b")] == [0o700] * 2
    made = {path.name: mode(path) for path in (tmp_path / "a").iterdir() if path.is_file()}
    assert made == dict.fromkeys(("text", "copy", "log", "not shared"), 0o600)
    assert (tmp_path / "a" / "copy").read_text(encoding="utf-8") == "é"
    with pytest.raises(FileExistsError):
        make_directory(tmp_path / "a" / "text")


def test_a_link_at_a_name_that_can_be_guessed_is_not_followed(tmp_path: Path) -> None:
    """A lock file in a shared directory truncated another file."""
    precious, name = tmp_path / "precious", tmp_path / "lock"
    precious.write_text("precious")
    for make in (name.symlink_to, name.hardlink_to):
        make(precious)
        for touch in (
            lambda: private_open(name, WRITE),
            lambda: take_lock(name),
            lambda: open_private(name, "a"),
            lambda: open_private(name, "w"),  # cuts off what is there, but not before it is looked at
        ):
            with pytest.raises(OSError, match=r"symbolic link|one name"):
                touch()
        name.unlink()
    assert precious.read_text() == "precious"


def test_a_file_of_somebody_else_is_not_written_unless_the_directory_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    os.close(private_open(theirs, WRITE))  # root works in the directory of a user
    real = os.stat

    def of_another(path: os.PathLike[str] | str) -> os.stat_result:
        values = list(real(path))
        values[4] += 7
        return os.stat_result(values)

    monkeypatch.setattr(os, "stat", of_another)
    with pytest.raises(PermissionError, match="remove it"):
        private_open(theirs, WRITE)
    os.close(private_open(theirs, os.O_RDONLY))


def test_what_an_earlier_version_made_is_tightened_and_links_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("")
    other.chmod(0o666)
    ours = tmp_path / "ours"
    (ours / "deep").mkdir(parents=True)
    (ours / "deep" / "file").write_text("")
    (ours / "deep" / "script").write_text("")
    (ours / "deep" / "link").symlink_to(other)
    for name, wide in ((".", 0o777), ("deep", 0o2755), ("deep/file", 0o666), ("deep/script", 0o775)):
        (ours / name).chmod(wide)
    assert tighten(ours) == []
    assert [mode(ours), mode(ours / "deep"), mode(ours / "deep" / "file")] == [0o700, 0o700, 0o600]
    assert mode(ours / "deep" / "script") == 0o700
    assert mode(other) == 0o666


def test_what_cannot_be_tightened_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o644)

    def refuse(path: Path, _: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(Path, "chmod", refuse)
    assert any("file: Operation not permitted" in line for line in tighten(tmp_path))


def test_a_group_reads_what_is_shared_in_the_directory_that_was_opened_to_it(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    make_directory(logs)
    open_to_group(logs, os.getgid())
    os.close(shared_open(logs / "worker.jsonl", WRITE))
    os.close(private_open(logs / "crash.log", WRITE))
    assert (mode(logs), mode(logs / "worker.jsonl"), mode(logs / "crash.log")) == (0o2750, 0o640, 0o600)
