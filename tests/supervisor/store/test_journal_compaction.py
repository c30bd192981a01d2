"""Finished segments in a tenth of the room: the same records, whoever reads or dies meanwhile."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.frames import frame, split
from gridbot.records import codec, journal_compaction
from gridbot.records.block_reader import bodies_of
from gridbot.records.compact_block import compacted
from gridbot.records.journal_compaction import JournalCompaction
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.journal_sync import DOUBT
from supervisor.store.writer import Writer, WriterSpec
from tests.examples import examples
from tests.fork_server import run_program
from tests.records.test_codec import any_record
from tests.store.kit import execution, flush_all, make_recorder, sequences, ticker

COUNT = 600


def recorded(data_dir: Path, count: int = COUNT) -> Path:
    """Records as a quiet worker writes them, each in a write of its own; the directory of the journal."""
    recorder = make_recorder(data_dir, segment_bytes=100_000)
    for number in range(1, count + 1):
        ids = {"exec_id": str(uuid.uuid4()), "order_id": str(uuid.uuid4())}
        recorder.record(ticker(number) if number % 5 == 0 else execution(number, **ids))
        recorder.write()
    recorder.close()
    return journal_directory(data_dir, "alice")


def step(data_dir: Path, seq: int = COUNT, **kwargs: Any) -> list[Path]:
    compaction = JournalCompaction(data_dir, **({"quiet_s": 0.0, "look_s": 0.0} | kwargs))
    found: list[Path] = []
    while path := compaction.step({"alice": seq}, float(len(found))):
        found.append(path)
    return found


def content(directory: Path) -> list[tuple[Any, Any]]:
    return list(JournalReader(directory).read_from(1))


def test_a_compacted_journal_has_the_same_records_in_less_than_150_bytes_each(tmp_path: Path) -> None:
    directory = recorded(tmp_path)
    before, segments = content(directory), sorted(directory.glob("*.journal"))
    assert len(before) == COUNT
    times = [path.stat().st_mtime_ns for path in segments]
    assert step(tmp_path) == segments[:-1], "the newest is being appended to"
    assert content(directory) == before
    assert [path.stat().st_mtime_ns for path in segments] == times
    records = int(segments[-1].stem) - 1
    assert sum(path.stat().st_size for path in segments[:-1]) < 150 * records
    assert not step(tmp_path), "also a new writer finds them done"
    assert not list(directory.glob("*.tmp"))
    recorder = make_recorder(tmp_path)
    assert recorder.last_seq == COUNT
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.close()
    assert sorted(sequences(tmp_path)["alice"] + sequences(tmp_path, "tickers")["alice"]) == list(range(1, COUNT + 1))


def test_what_is_not_finished_not_committed_not_synced_or_not_whole_stays_as_it_is(tmp_path: Path) -> None:
    directory = recorded(tmp_path)
    first, second, *_ = sorted(directory.glob("*.journal"))
    assert not step(tmp_path, quiet_s=3600.0)
    assert not step(tmp_path, seq=int(second.stem) - 2)
    (directory / DOUBT).write_bytes(b"1\n")
    assert not step(tmp_path)
    (directory / DOUBT).unlink()
    damaged = bytearray(first.read_bytes())
    damaged[500] ^= 1
    first.write_bytes(damaged)
    assert step(tmp_path, seq=int(second.stem) - 1) == []
    assert first.read_bytes() == bytes(damaged)


def test_a_look_reads_one_segment_and_what_could_not_be_put_in_place_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that starts finds hundreds: those that are compact, or cannot become so, are not all read at once."""
    directory = recorded(tmp_path)
    first, second, *_ = sorted(directory.glob("*.journal"))
    damaged = bytearray(first.read_bytes())
    damaged[500] ^= 1
    first.write_bytes(damaged)
    assert (compaction := JournalCompaction(tmp_path, 0.0, 0.0)).step({"alice": COUNT}, 0.0) is None
    with monkeypatch.context() as started:  # a worker, which removes what it finds beside its journal
        started.setattr(journal_compaction, "open_private", lambda path, mode: open(path.with_suffix(".gone"), mode))  # noqa: SIM115
        assert compaction.step({"alice": COUNT}, 1.0) is None
    assert compaction.step({"alice": COUNT}, 2.0) == second
    whole: list[Path] = []
    read = Path.read_bytes

    def noted(path: Path) -> bytes:
        whole.append(path)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert step(tmp_path) == []
    assert whole == [first]


def test_a_reader_in_the_middle_of_a_segment_goes_on_with_each_record_once(tmp_path: Path) -> None:
    directory = recorded(tmp_path)
    reader = JournalReader(directory)
    found = [codec.seq_of(body) for body in reader.read(20_000).bodies]
    records = JournalReader(directory).read_from(20)
    numbers = [next(records)[0].seq]
    assert step(tmp_path)
    numbers += [header.seq for header, _ in records]
    assert numbers == list(range(20, COUNT + 1))
    while bodies := reader.read().bodies:
        found += [codec.seq_of(each) for body in bodies for each in bodies_of(body)]
    assert sorted(set(found)) == list(range(1, COUNT + 1))


@pytest.mark.parametrize("call", ["open_private", "put_in_place"])
def test_a_kill_leaves_the_old_segment_or_the_new_one(call: str, tmp_path: Path) -> None:
    directory = recorded(tmp_path)
    before = content(directory)
    program = f"""
import os, signal, sys
from pathlib import Path
from gridbot.records import journal_compaction as module
module.{call} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
module.JournalCompaction(Path(sys.argv[1]), 0.0, 0.0).step({{"alice": {COUNT}}}, 0.0)
"""
    assert run_program(program, str(tmp_path)) == -signal.SIGKILL
    assert content(directory) == before
    assert len(list(directory.glob("*.tmp"))) == (call == "put_in_place")
    make_recorder(tmp_path).close()
    assert not list(directory.glob("*.tmp"))
    assert step(tmp_path)
    assert content(directory) == before


def test_a_disk_that_refuses_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = recorded(tmp_path)
    before = content(directory)
    with monkeypatch.context() as full:
        full.setattr(journal_compaction, "put_in_place", lambda *_: os.stat("/no such place"))
        assert not step(tmp_path)
    with monkeypatch.context() as removed:
        removed.setattr(journal_compaction, "split", lambda *_, **__: os.stat("/no such place"))
        assert not step(tmp_path)
    assert content(directory) == before
    assert not list(directory.glob("*.tmp"))


@settings(max_examples=examples(60), deadline=None)
@given(records=st.lists(any_record(), min_size=1, max_size=12), skip=st.integers(0, 12), extra=st.integers(0, 3))
def test_whatever_a_segment_holds_is_the_same_byte_for_byte(records: list[Any], skip: int, extra: int) -> None:
    """Also kinds and fields of a newer version, a gap in the numbers, values that no column has."""
    bodies = [codec.body_of("a", f"r{n // 5}", n + (n > skip), 7 * n, record) for n, record in enumerate(records, 1)]
    unknown: tuple[Mapping[str, Any], ...] = (
        {"x": 1.5, "y": None, "z": [1, {"a": "\r"}]},
        {"x": True, "y": 2**63, "z": "t"},
        {"x y": 1},
    )
    head = codec.head_of("of_a_later_version", "a", "r9")
    for n, data in enumerate(unknown[:extra], start=20):
        bodies.append(codec.body_of_data(head, n, n, orjson.dumps(data)))
    made = compacted(bodies)
    assert made is not None or extra == 3, "a name with a blank in it stays as it is"
    if made is not None:
        found, damaged, _ = split(made, complete=True)
        assert not damaged
        assert [each for body in found for each in bodies_of(body)] == bodies
        assert b"".join(map(frame, found)) == made
