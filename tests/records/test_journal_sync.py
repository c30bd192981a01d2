"""The thread that syncs a journal: what it cannot sync costs neither descriptors nor the end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from gridbot.records import journal_sync
from gridbot.records.journal_sync import JournalSync


def test_a_disk_that_does_not_answer_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for ever."""
    asked, answers = threading.Event(), threading.Event()

    def hang(fd: int) -> None:
        asked.set()
        answers.wait(60)

    monkeypatch.setattr(os, "fdatasync", hang)
    monkeypatch.setattr(journal_sync, "STOP_S", 0.05)
    sync = JournalSync(0, 0.01)
    sync.wrote(os.open(tmp_path / "segment", os.O_CREAT | os.O_WRONLY), 1, urgent=True)
    assert asked.wait(30)
    sync.stop()
    assert sync.synced_seq == 0
    answers.set()
    sync._thread.join(30)


def test_finished_segments_behind_one_that_cannot_be_synced_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their descriptors stayed open."""
    holds, released = threading.Event(), threading.Event()
    asked: list[int] = []
    closed: list[int] = []
    close = os.close

    def refuse_the_second(fd: int) -> None:
        asked.append(fd)
        holds.set()
        released.wait(30)
        if len(asked) == 2:
            raise OSError(5, "Input/output error")

    def note_close(fd: int) -> None:
        closed.append(fd)
        close(fd)

    monkeypatch.setattr(os, "fdatasync", refuse_the_second)
    monkeypatch.setattr(os, "close", note_close)
    sync = JournalSync(0, 0.01)
    files = [os.open(tmp_path / f"segment-{number}", os.O_CREAT | os.O_WRONLY) for number in range(4)]
    sync.retire(files[0], tmp_path)
    assert holds.wait(30)
    for fd in files[1:]:  # these three come together
        sync.retire(fd, tmp_path)
    released.set()
    sync.stop()
    assert asked == files
    assert set(files) <= set(closed)


def test_what_was_written_is_synced_soon(tmp_path: Path) -> None:
    sync = JournalSync(0, 0.01)
    fd = os.open(tmp_path / "segment", os.O_CREAT | os.O_WRONLY)
    sync.wrote(fd, 7, urgent=False)
    until_s = time.monotonic() + 30
    while sync.synced_seq != 7:
        assert time.monotonic() < until_s
        threading.Event().wait(0.005)
    assert sync.error is None
    sync.stop()
    os.close(fd)
