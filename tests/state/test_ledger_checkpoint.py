"""The ledger of the next start: checkpoint and journal together, whatever happened to either."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from gridbot.core import Direction
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.ledger_document import document_of
from gridbot.records.record_types import ExecutionRecord, UtcMs
from gridbot.segment_file import segment_path
from tests.state.checkpoint_life import Life, assert_counted
from tests.store.kit import execution, ticker


@pytest.mark.parametrize("saves", ["never", "in between", "at the end"])
def test_each_execution_is_counted_once_after_a_restart(tmp_path: Path, saves: str) -> None:
    life = Life(tmp_path)
    life.trade(1, 5)
    if saves == "in between":
        life.checkpoint.save(life.ledger)
    life.trade(6, 9)
    if saves == "at the end":
        life.checkpoint.save_now(life.ledger)
    life.end()
    again = Life(tmp_path)
    assert_counted(again.ledger, 9)
    again.end()


@pytest.mark.parametrize(
    "content",
    [
        b'{"seq": 3',
        b"{}",
        b'{"seq": "x", "ledger": {}}',
        b'{"seq": 1, "ledger": [1]}',
        b'{"seq": true, "ledger": LEDGER}',
        b'{"seq": 99999999999999999999, "ledger": LEDGER}',
        b'{"seq": 1, "states_to": -1, "ledger": LEDGER}',
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_made_again_from_the_journal(tmp_path: Path, content: bytes) -> None:
    """One without a number failed each save until the next one was on the disk. Behind a number above all that a record
    can have, nothing was recorded any more."""
    life = Life(tmp_path)
    life.trade(1, 4)
    life.end()
    ledger = orjson.dumps(document_of(Ledger()))
    life.files.path("ledger.json").write_bytes(content.replace(b"LEDGER", ledger))
    again = Life(tmp_path)
    assert_counted(again.ledger, 4)
    again.checkpoint.release()
    assert again.recorder.record(ticker(1))
    again.end()


@pytest.mark.parametrize("content", [None, b'{"seq": 3'])
def test_a_ledger_whose_checkpoint_is_lost_began_with_its_journal(tmp_path: Path, content: bytes | None) -> None:
    """It began with the start, or with its first execution: what was filled before that was never recorded."""
    life = Life(tmp_path)
    assert life.ledger.complete_to == 0
    life.recorder.record(ticker(1))
    life.recorder.flush()
    life.ledger.begin(life.recorder.replay().__next__()[0].local_ts // 1000 + 250)
    life.checkpoint.save_now(life.ledger)
    life.end()
    if content is None:
        life.files.path("ledger.json").unlink()
    else:
        life.files.path("ledger.json").write_bytes(content)
    again = Life(tmp_path)
    ledger = again.ledger
    assert ledger.complete_to == ledger.checked_to == life.ledger.complete_to - 250
    again.trade(1, 1)
    again.end()
    third = Life(tmp_path)
    assert third.ledger.complete_to == ledger.complete_to, "an execution does not move where paging goes on"
    third.end()


def test_segments_stay_until_the_checkpoint_behind_them_is_on_the_disk(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.trade(1, 20)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq == 1, "the database has it all, the next start needs it"
    (life.files.path("ledger.json") / "file").mkdir(parents=True)  # the disk refuses
    life.checkpoint.save(life.ledger)
    assert not life.files.flush(timeout_s=0.1)
    life.checkpoint.release()
    life.trade(21, 21)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq == 1
    (life.files.path("ledger.json") / "file").rmdir()
    life.files.path("ledger.json").rmdir()
    assert life.files.flush()
    life.checkpoint.release()
    life.trade(22, 22)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq > 20
    life.end()
    again = Life(tmp_path)
    assert_counted(again.ledger, 22)
    again.end()


@pytest.mark.parametrize("copy", ["older", "torn"])
def test_a_copy_that_ends_before_the_journal_begins_counts_nothing_twice(tmp_path: Path, copy: str) -> None:
    """What was counted in between is in no file any more: paged again, it would be recorded a second time."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    file = life.files.path("ledger.json")
    older = file.read_bytes() if copy == "older" else b"{"
    life.trade(4, 20)
    life.checkpoint.save_now(life.ledger)
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    life.trade(21, 40)
    first = next(record for _, record in life.recorder.replay() if isinstance(record, ExecutionRecord))
    assert first.exchange_ts > 1_700_000_000_003 + 1
    assert life.ledger.last_exec_ts == 1_700_000_000_040
    life.end()
    file.write_bytes(older)
    again = Life(tmp_path)
    counted = [record.exec_id for _, record in again.recorder.replay() if isinstance(record, ExecutionRecord)]
    assert_counted(again.ledger, len(counted))
    assert again.ledger.complete_to - OVERLAP_MS == first.exchange_ts + 1, "where paging begins"
    assert not again.ledger.is_new("e-40")
    assert again.ledger.last_exec_ts == life.ledger.last_exec_ts
    assert [f"{file} is an older copy" in text for text in again.problems] == [True] * (copy == "older")
    again.end()


@pytest.mark.parametrize("copy", ["older", "torn"])
def test_without_an_execution_in_the_journal_counting_begins_where_it_begins(tmp_path: Path, copy: str) -> None:
    """What was filled after the last life's end is paged; what is before it may be counted already."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    file = life.files.path("ledger.json")
    older = file.read_bytes() if copy == "older" else b"{"
    life.trade(4, 9)
    for number in range(40):
        life.recorder.record(ticker(number))
        life.recorder.flush()
    life.checkpoint.save_now(life.ledger)
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    left = list(life.recorder.replay())
    assert not [record for _, record in left if isinstance(record, ExecutionRecord)]
    life.end()
    file.write_bytes(older)
    again = Life(tmp_path)
    assert again.ledger.totals == {}
    assert again.ledger.complete_to - OVERLAP_MS == left[0][0].local_ts // 1000
    again.end()


def test_a_torn_end_of_the_journal_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    """Numbers go on above the record that was torn: the hole is no lost beginning."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    saved, at = life.recorder.last_seq, life.recorder.journal.position
    life.recorder.record(ticker(4))
    life.end()
    with segment_path(life.recorder.journal.directory, at[0]).open("r+b") as segment:
        segment.seek(at[1] + 30)
        segment.write(b"\0")
    again = Life(tmp_path)
    assert again.recorder.stats.damages
    again.recorder.record(ticker(5))
    again.end()
    third = Life(tmp_path)
    assert third.recorder.replay(saved).__next__()[0].seq > saved + 1
    assert third.problems == []
    assert_counted(third.ledger, 3)
    third.end()


def test_nothing_is_written_when_nothing_was_counted(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.trade(1, 1)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    before = life.files.path("ledger.json").stat().st_ino
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert life.files.path("ledger.json").stat().st_ino == before
    life.trade(2, 2)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert (after := life.files.path("ledger.json").stat().st_ino) != before
    life.ledger.reached(complete_to=life.ledger.last_exec_ts + 1)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert life.files.path("ledger.json").stat().st_ino != after
    life.end()


def test_what_is_complete_survives_a_restart_and_live_fills_do_not_move_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.ledger.begin(1)
    life.ledger.reached(complete_to=50)
    life.checkpoint.save_now(life.ledger)
    life.trade(1, 3)
    life.end()
    again = Life(tmp_path)
    assert again.ledger.last_exec_ts > again.ledger.complete_to == 50
    again.end()


def test_a_checkpoint_of_before_the_watermark_still_opens(tmp_path: Path) -> None:
    """The form of version a1c99c4: no `complete_to`, ids without a time."""
    life = Life(tmp_path)
    life.trade(1, 4)
    life.checkpoint.save_now(life.ledger)
    life.trade(5, 6)
    life.end()
    path = life.files.path("ledger.json")
    document = json.loads(path.read_bytes())
    old = document["ledger"]
    del old["complete_to"], old["checked_to"]
    old["version"] = 1
    old["legs"] = [["btc", "long", "0.010", "104233.10", ""]]
    old["seen"] = [exec_id for exec_id, _ in old["seen"]]
    path.write_text(json.dumps(document))
    again = Life(tmp_path)
    assert_counted(again.ledger, 6)
    assert again.ledger.complete_to == old["last_exec_ts"]
    assert again.ledger.leg("btc", Direction.LONG) == (Decimal("0.021"), Decimal("104233.10"))
    again.end()


FAR = 9_000_000_000_000


def test_a_checkpoint_of_the_far_future_does_not_blind_the_account(tmp_path: Path) -> None:
    """An older version believed an execution of the year 2255, and paged from there on: nothing was missed any more."""
    life = Life(tmp_path)
    life.trade(1, 4)
    made_ms = life.ledger.last_exec_ts
    life.ledger.reached(complete_to=FAR, checked_to=FAR)
    life.ledger.last_exec_ts = FAR
    life.checkpoint.save_now(life.ledger)
    life.end()
    again = Life(tmp_path, now_ms=made_ms + 3_600_000)
    assert_counted(again.ledger, 4)
    assert again.ledger.complete_to <= made_ms + OVERLAP_MS
    assert again.ledger.checked_to <= made_ms + OVERLAP_MS
    [problem] = again.problems
    assert "ledger.json: it has a time in the future (2255-" in problem
    again.checkpoint.save_now(again.ledger)
    again.end()
    once = Life(tmp_path, now_ms=made_ms + 3_600_000)
    assert once.problems == []
    once.end()


def test_records_of_the_far_future_do_not_either(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.trade(1, 2)
    record = replace(execution(3), exchange_ts=UtcMs(FAR))
    life.recorder.record(record)
    life.recorder.flush()
    life.end()
    again = Life(tmp_path)
    assert_counted(again.ledger, 3)
    assert again.ledger.last_exec_ts < 10 * 365 * 86_400_000 + execution(1).exchange_ts
    assert again.problems == []
    again.end()
