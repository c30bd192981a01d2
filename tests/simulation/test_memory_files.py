"""Files that fail on command."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from gridbot.simulation.memory_files import Disk, MemoryFiles
from gridbot.simulation.network import Network
from gridbot.simulation.run_faults import Fault, FaultKind, Plan
from gridbot.simulation.virtual_loop import VirtualLoop


def disk_of(*faults: Fault) -> Disk:
    loop = VirtualLoop()  # type: ignore[abstract]
    return Disk(loop, Network(Plan(1, 60.0, False, faults), loop))


def documents_after(disk: Disk, *waits_s: float) -> list[dict[str, bytes]]:
    """The documents after each wait."""

    async def wait() -> list[dict[str, bytes]]:
        found = []
        for seconds in waits_s:
            await asyncio.sleep(seconds)
            found.append(dict(disk.documents))
        return found

    found: list[dict[str, bytes]] = disk.loop.run(wait())
    return found


def test_what_waits_is_lost_with_its_life_and_written_otherwise(tmp_path: Path) -> None:
    disk = disk_of()
    files = MemoryFiles(disk, tmp_path)
    safe: list[int] = []
    files.write("a", b"1")
    files.write_soon("a", lambda: b"2", lambda: safe.append(1))
    assert disk.documents == {"a": b"1"}
    assert documents_after(disk, 0.1) == [{"a": b"2"}]
    assert safe == [1]


def test_a_full_disk_refuses_and_what_waited_is_written_afterwards(tmp_path: Path) -> None:
    disk = disk_of(Fault(1, FaultKind.FULL_DISK, 0.0, 5.0, {"room": 0}))
    files = MemoryFiles(disk, tmp_path)
    with pytest.raises(OSError, match="No space"):
        files.write("a", b"1")
    files.write_soon("a", lambda: b"2")
    assert documents_after(disk, 4.0, 3.0) == [{}, {"a": b"2"}]


def test_a_death_closes_the_journal_and_may_tear_its_last_write(tmp_path: Path) -> None:
    disk = disk_of()
    journal = disk.journal()
    descriptor = journal.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    journal.write(descriptor, b"first\n")
    journal.write(descriptor, b"0123456789\n")
    disk.die(1)
    assert (tmp_path / "x").read_bytes() == b"first\n0123"
    with pytest.raises(OSError, match="Bad file"):
        journal.write(descriptor, b"more")


def test_write_errors_hit_journal_or_files(tmp_path: Path) -> None:
    disk = disk_of(Fault(1, FaultKind.WRITE_ERRORS, 0.0, 5.0, {"where": "journal", "chance": 1.0}))
    MemoryFiles(disk, tmp_path).write("a", b"1")
    descriptor = disk.journal().open(tmp_path / "x", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with pytest.raises(OSError, match="Input/output"):
        disk.journal().write(descriptor, b"first")
    disk.die(0)


def test_a_slow_disk_takes_time_and_what_waits_for_it_may_be_lost(tmp_path: Path) -> None:
    disk = disk_of(Fault(1, FaultKind.SLOW_DISK, 0.0, 5.0, {"late_s": 2.0, "chance": 1.0}))
    MemoryFiles(disk, tmp_path).write_soon("a", lambda: b"1")
    assert documents_after(disk, 1.0, 1.5) == [{}, {"a": b"1"}]
    before_s = disk.loop.time()
    descriptor = disk.journal().open(tmp_path / "x", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    disk.journal().write(descriptor, b"first")
    assert disk.loop.time() == before_s + 2.0
    disk.die(0)


@pytest.mark.parametrize(("how", "left"), [("torn", b"ab"), ("empty", b""), ("garbled", b"dcba")])
def test_documents_are_spoiled_but_not_their_copies(how: str, left: bytes) -> None:
    disk = disk_of()
    disk.documents |= {"holds.json": b"abcd", "holds.json.bad": b"abcd", "run.json": b"abcd"}
    assert disk.spoil("holds", how) == ["holds.json"]
    assert disk.documents == {"holds.json": left, "holds.json.bad": b"abcd", "run.json": b"abcd"}
    assert disk.spoil("", how) == []
