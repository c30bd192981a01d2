"""The lock file of journals, the paper exchange and the database's writer."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbot.lock_file import Locked, is_at, keep_lock, take_lock


def fails(number: int) -> Callable[..., int]:
    def pwrite(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    return pwrite


def test_the_second_is_told_who_was_first_until_that_one_closes_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("4711\n")  # as an earlier version wrote it
    first = take_lock(path)
    with pytest.raises(Locked, match=f"^{os.getpid()}$"):
        take_lock(path)
    os.close(first)
    os.close(take_lock(path))


def test_a_removed_file_is_made_and_locked_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = take_lock(path)
    assert keep_lock(path, first) == first
    path.unlink()
    assert not is_at(path, first)
    second = keep_lock(path, first)
    assert is_at(path, second)
    with pytest.raises(Locked):
        take_lock(path)
    os.close(second)


def test_a_full_disk_keeps_nobody_from_locking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    monkeypatch.setattr(os, "pwrite", fails(errno.ENOSPC))
    held = take_lock(path)
    with pytest.raises(Locked, match="unknown"):
        take_lock(path)
    os.close(held)


def test_a_lock_that_could_not_be_taken_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor stayed open and locked: each later try of the same process was refused by itself, for ever."""
    path = tmp_path / "lock"
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fails(errno.EIO))
        with pytest.raises(OSError, match="Input/output error"):
            take_lock(path)
    os.close(take_lock(path))
